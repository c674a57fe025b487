"""Owns multipart forms (RFC 7578): the body becomes pairs of name and text. A file is no text, and is rejected."""

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value

from service.core.decoding import MAX_PARAMETERS, Pairs, too_many_parameters
from service.core.outcome import Outcome, Rejected
from service.core.undecoded import Undecoded, escaped

BOUNDARY = re.compile(  # the first line of a form that says no boundary, or whose type says nothing of a form
    rb"--([A-Za-z0-9'()+_,./:=?-]{1,70})[ \t]*\r\nContent-Disposition[ \t]*:", re.IGNORECASE
)

_LONGEST_HEAD = 512  # bytes of a part's: the time to read one grows with its square


def decode_multipart(body: bytes, boundary: str) -> Pairs:
    """Decode the parts between lines of `--boundary`; without a boundary the first line says it.

    Raises `Rejected`: malformed_body, too_many_parameters.
    """
    if not boundary and (found := BOUNDARY.match(body)):
        boundary = found[1].decode("ascii")
    if not boundary:
        raise Rejected(Outcome.MALFORMED_BODY, "the multipart form names no boundary")
    line = b"\r\n--" + boundary.encode("latin-1", "replace")
    count = body.count(line)
    if count > MAX_PARAMETERS:  # before the work of decoding them
        raise too_many_parameters(count)
    _, *parts = (b"\r\n" + body).split(line)
    if not parts or not parts[-1].startswith(b"--"):
        raise Rejected(Outcome.MALFORMED_BODY, "the multipart form has no end")
    return [*_pairs(parts[:-1])]


def _pairs(parts: list[bytes]) -> Iterator[tuple[str, str]]:
    for number, part in enumerate(parts, 1):
        blanks, found, rest = part.partition(b"\r\n")
        head, ended, content = rest.partition(b"\r\n\r\n")
        if blanks.strip(b" \t") or not (found and ended):
            raise Rejected(Outcome.MALFORMED_BODY, f"part {number} of the multipart form has no head")
        if len(head) > _LONGEST_HEAD:
            raise Rejected(Outcome.MALFORMED_BODY, f"the head of part {number} has more than {_LONGEST_HEAD} bytes")
        shown, wrong = _decoded(head)
        headers = HeaderParser().parsestr(shown)
        name = _name(headers, number)
        if headers.get_filename() is not None and (headers.get_filename() or content):
            raise Rejected(Outcome.MALFORMED_BODY, f"part {number} of the multipart form is a file; send text alone")
        text, faulty = _decoded(content)
        wrong = wrong or faulty
        yield name, Undecoded(text, f"part {number} of the multipart form {wrong}") if wrong else text


def _name(headers: Message, number: int) -> str:
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or name is None:
        raise Rejected(Outcome.MALFORMED_BODY, f"part {number} of the multipart form has no name")
    return collapse_rfc2231_value(name)


def _decoded(encoded: bytes) -> tuple[str, str]:
    """Return the text and nothing; of what cannot be decoded, its escapes and what is wrong with it."""
    try:
        text = encoded.decode("utf-8")
    except UnicodeDecodeError:
        return escaped(encoded), "is not UTF-8"
    return (escaped(encoded), "holds a NUL character") if "\0" in text else (text, "")
