"""Owns generated postbacks: hypothesis strategies for requests as bytes, and an independent reading of each."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import quote, quote_plus, unquote_to_bytes

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support.outside.wire import request

Pairs = list[tuple[str, str]]

_NAMES = ("c", "value", "currency", "goal", "transaction_id", "txid", "sub1", "campaign", "c ", "C", "")
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_NUMBER = "NUMBER"  # stands for the number of the request
_BREAKS_FRAMING = bytes(range(33)) + b"#\x7f"  # what ends a request target, or cannot be in one


@dataclass(frozen=True, slots=True)
class Input:
    """One request; `query`, `content_type` and `body` are what it is made of."""

    method: str
    query: bytes
    content_type: str = ""
    body: bytes | None = None

    def numbered(self, number: int) -> "Input":
        """Return this input with a click id of its own, so that the same input can be sent again and be stored."""
        mark, own = _NUMBER.encode(), b"%d" % number
        body = self.body.replace(mark, own) if self.body else self.body
        return replace(self, query=self.query.replace(mark, own), body=body)

    def as_bytes(self) -> bytes:
        """Return what goes out."""
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        return request(b"/postback?" + self.query, method=self.method, headers=headers, body=self.body)

    def pairs(self) -> Pairs:
        """Read the parameters as the URL standard and JSON say, with other code than the service's."""
        pairs = _query_pairs(self.query)
        try:
            return pairs + (self._body_pairs() if self.body else [])
        except ValueError:  # then the query alone counts, if it is complete
            return pairs

    def _body_pairs(self) -> Pairs:
        assert self.body
        said, body = self.content_type.lower(), self.body.strip(b" \t\r\n")
        if "latin-1" in said and not body.isascii():
            raise ValueError("no UTF-8")
        if not body.startswith(b"{") or (said.startswith(_FORM) and body[1:].lstrip()[:1] not in (b'"', b"}")):
            if said.startswith(_JSON) and not re.match(rb"[?&]{0,8}[A-Za-z_][\w.%\-\[\]]*=", body):
                raise ValueError("no JSON")
            if not said.startswith((_FORM, _JSON)) and not re.match(rb"[?&]{0,8}[A-Za-z_][\w.%\-\[\]]*=|$", body):
                raise ValueError("no form")
            return _query_pairs(body)
        text = body.decode("utf-8", "surrogateescape")
        members = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_no_constant)
        return [(_kept(name), _kept(_as_text(member))) for name, member in members if member is not None]


def _as_text(member: object) -> str:
    if isinstance(member, list):  # of whole numbers
        return f"[{','.join(member)}]"
    return member if isinstance(member, str) else json.dumps(member)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _query_pairs(query: bytes) -> Pairs:
    if query.startswith(b"?") or query.endswith(b"?"):
        query = query.strip(b"?&")
    halves = (part.partition(b"=") for part in query.split(b"&") if part)
    return [(_read(name), _read(text)) for name, _, text in halves]


def _read(half: bytes) -> str:
    """Read a name or a text; one that cannot be decoded is kept as it was sent."""
    decoded = unquote_to_bytes(half.replace(b"+", b" "))
    with suppress(UnicodeDecodeError):
        if not re.search(rb"%(?![0-9A-Fa-f]{2})", half) and b"\0" not in decoded:
            return decoded.decode()
    return "".join(chr(byte) if ord(" ") <= byte <= ord("~") else f"%{byte:02X}" for byte in half)


def _kept(text: str) -> str:
    """Return a text of JSON as it is kept: what is no text in escapes."""
    shown = (f"%{ord(one) - 0xDC00:02X}" if "\udc80" <= one <= "\udcff" else one for one in text)
    return "".join(f"\\u{ord(one):04x}" if one == "\0" or "\ud800" <= one <= "\udfff" else one for one in shown)


_AMOUNTS = st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", fullmatch=True)
_ODD_AMOUNTS = st.sampled_from(
    ["", "1e3", "+1", " 1", "1,50", "NaN", "\uff11", "0x1", "1.", ".5", "-0", "1_000", "{value}"]
)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_LABELS = st.text("abcXYZ0123456789-_.:/~|é漢😀{}[]$%+&=;#\"'\\", max_size=12)
_IDS = _LABELS.map(lambda label: label + _NUMBER)
_CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "XXX", "usd", "{currency}"])

_fields = st.fixed_dictionaries(
    {"c": _IDS | _IDS | _IDS | _TEXTS, "value": st.one_of(*[_AMOUNTS] * 6, _ODD_AMOUNTS)},
    optional={"currency": _CURRENCIES, "goal": _LABELS, "transaction_id": _LABELS, "sub1": _TEXTS, "sub 2": _TEXTS},
)
_extra_pairs = st.lists(st.tuples(st.sampled_from(_NAMES) | _TEXTS, _TEXTS), max_size=3)
_mostly_nothing: SearchStrategy[Pairs] = st.one_of(*[st.just([])] * 3)
_ENCODERS: list[Callable[[str], str]] = [
    partial(quote, safe=""),
    quote_plus,
    lambda text: re.sub("%..", lambda escape: escape[0].lower(), quote(text, safe="")),
    partial(quote, safe="{}[]$|;:/~\"'\\!*()<>^`"),
]


@st.composite
def _encoded(draw: st.DrawFn) -> bytes:
    """Return a well-formed query or form: every text arrives as it was meant, however it is escaped."""
    encode = draw(st.sampled_from(_ENCODERS))
    pairs = [*draw(_fields).items(), *draw(_mostly_nothing | _extra_pairs)]
    return "&".join(f"{encode(name)}={encode(text)}" for name, text in pairs).encode()


@st.composite
def _json_body(draw: st.DrawFn) -> bytes:
    """Return a JSON object, with repeated members and other types among them."""
    odd = st.integers() | st.booleans() | st.none() | st.floats() | st.lists(st.integers(), max_size=1)
    odd_members = st.lists(st.tuples(st.sampled_from(_NAMES), odd), max_size=2)
    members = [*draw(_fields).items(), *draw(_mostly_nothing | odd_members)]
    ascii_only = draw(st.booleans())
    shown = (f"{json.dumps(name)}: {json.dumps(member, ensure_ascii=ascii_only)}" for name, member in members)
    return ("{" + ", ".join(shown) + "}").encode()


_raw = st.binary(max_size=60)
_raw_query = _raw.map(lambda raw: b"c=NUMBER" + raw.translate(None, _BREAKS_FRAMING) + b"&value=1")
_content_types = st.sampled_from(
    [_FORM, _JSON, f"{_JSON}; charset=utf-8", "text/plain", "", f"{_FORM};charset=latin-1"]
)
_mangled = st.tuples(_encoded() | _json_body(), st.integers(0, 200), st.binary(max_size=4)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)

INPUTS: SearchStrategy[Input] = st.one_of(
    st.builds(Input, st.just("GET"), _encoded()),
    st.builds(Input, st.just("GET"), _encoded() | _raw_query),
    st.builds(Input, st.just("POST"), st.just(b""), st.just(_FORM), _encoded()),
    st.builds(Input, st.just("POST"), st.just(b""), st.just(_JSON), _json_body()),
    st.builds(Input, st.just("POST"), st.just(b"") | _encoded(), _content_types, _raw | _mangled),
    st.builds(Input, st.sampled_from(["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"]), _encoded()),
)

ANY_BYTES: SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda template, cut, junk: (whole := template.numbered(0).as_bytes())[:cut] + junk + whole[cut:],
        INPUTS,
        st.integers(0, 300),
        st.binary(max_size=8),
    ),
    st.lists(INPUTS, max_size=5).map(lambda templates: b"".join(t.numbered(0).as_bytes() for t in templates)),
)
