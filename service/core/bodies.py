"""Owns bodies: what a Content-Type says a body is, and how its bytes become pairs of name and text."""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from email.message import Message
from functools import lru_cache
from typing import NamedTuple

from service.core.decoding import Pairs, decode_csv, decode_json, decode_query
from service.core.multipart import BOUNDARY, decode_multipart
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
UNSAID = ""  # a body is what it looks like

_LONGEST_TYPE = 256  # characters: a longer one is no type that we know
_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("text/plain", "application/octet-stream", "binary/octet-stream", "*/*"), UNSAID),
    **dict.fromkeys(("application/x-json", "text/json", "text/x-json"), JSON),
    **dict.fromkeys(("application/ndjson", "application/jsonl", "application/jsonlines", "text/x-ndjson"), NDJSON),
    **dict.fromkeys(("application/csv", "application/x-csv", "text/x-csv", "application/vnd.ms-excel"), CSV),
}
_UTF_8 = frozenset({"utf-8", "utf8"})
# Where bytes below 128 are what they are in UTF-8. A list, because Python's search remembers every name it is asked.
_ASCII_IN = frozenset(
    """
    us-ascii ascii iso-8859-1 iso8859-1 iso_8859-1 latin-1 latin1 iso-8859-2 iso-8859-5 iso-8859-15 windows-1250
    windows-1251 windows-1252 cp1250 cp1251 cp1252 koi8-r gbk gb2312 big5 euc-jp euc-kr
    """.split()  # noqa: SIM905 - a table of words reads better than quoted ones
)
_BLANKS = b" \t\r\n"
_OBJECT_BEGINS = re.compile(rb'\{[ \t\r\n]*["}]')  # no form begins so: it would escape the quote
_FORM_BEGINS = re.compile(rb"[?&]{0,8}[A-Za-z_][A-Za-z0-9_.%\-\[\]]{0,100}=")  # and no JSON begins so


class ContentType(NamedTuple):
    """What a Content-Type says: one of our types where it means one, the charset in lower case, the boundary."""

    media_type: str
    charset: str
    boundary: str


@lru_cache(maxsize=64)
def content_type_of(said: str) -> ContentType:
    """Read a Content-Type (RFC 9110, 8.3)."""
    if len(said) > _LONGEST_TYPE:
        return ContentType(said, "utf-8", "")
    message = Message()
    message["content-type"] = said
    media_type = message.get_content_type()  # text/plain where it is none
    known = JSON if media_type.endswith("+json") else _NAMES.get(media_type, media_type)
    return ContentType(known, (message.get_content_charset() or "utf-8").strip(), str(message.get_boundary("")))


def body_pairs(raw: RawPostback) -> Pairs:
    """Return what the body of one postback holds. Raises `Rejected`."""
    if not raw.body:
        return []
    if raw.content_encoding not in ("", "identity"):
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content encoding {raw.content_encoding[:40]!a}")
    said = content_type_of(raw.content_type)
    reject_charset(said.charset, raw.body)
    match _looks(raw.body, said.media_type):
        case "application/json" | "application/x-ndjson":
            return decode_json(raw.body)
        case "application/x-www-form-urlencoded":
            return decode_query(raw.body.removeprefix(BOM_UTF8).strip(_BLANKS))
        case "multipart/form-data":
            return decode_multipart(raw.body.removeprefix(BOM_UTF8).lstrip(_BLANKS), said.boundary)
        case "text/csv" if raw.door in ("batch", "import"):
            return decode_csv(raw.body)
        case "":
            raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, "a body without a type that is neither JSON nor a form")
        case other:
            raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content type {other[:80]!a}")


def reject_charset(charset: str, body: bytes) -> None:
    """Raise `Rejected` for a body that may not be the same in UTF-8."""
    if charset not in _UTF_8 and not (charset in _ASCII_IN and body.isascii()):
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"charset {charset[:40]!a}: send UTF-8")


def _looks(body: bytes, media_type: str) -> str:
    """Return the type that a body unmistakably has: often the wrong one is said, or none."""
    if media_type not in (JSON, FORM, UNSAID) or (media_type == JSON and body[:1] == b"{"):
        return media_type
    start = body.removeprefix(BOM_UTF8).lstrip(_BLANKS)
    if _OBJECT_BEGINS.match(start) or (media_type == UNSAID and start[:1] in (b"{", b"[")):
        return JSON
    if _FORM_BEGINS.match(start) or (media_type == UNSAID and not start):
        return FORM
    return MULTIPART if BOUNDARY.match(start) else media_type
