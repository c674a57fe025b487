"""Owns parsing: the pure way from a raw postback to the fact, or to the reason why it is rejected.

Reading order is the order of `parse`: sizes, decoding, naming the fields, then one check per field. Nothing is repaired
on the way: what is stored is what was sent, or the postback is rejected with the reason.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Literal

from service.core.currency import CURRENCIES
from service.core.decoding import (
    MAX_PARAMETERS,
    Pairs,
    decode_csv,
    decode_json,
    decode_json_together,
    decode_query,
    too_many_parameters,
)
from service.core.lifecycle import Status
from service.core.outcome import Outcome, Rejected
from service.core.postback import TEST, TEST_VALUES, Postback, RawPostback
from service.core.sender import Field, NumberFormat, Sender

MAX_URL_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024
MAX_CLICK_ID_BYTES = 512
MAX_LABEL_BYTES = 255  # goal, transaction_id: the whole key stays below PostgreSQL's 2,704 bytes of an index row


def parse(raw: RawPostback, sender: Sender, pairs: Pairs | None = None) -> Postback:
    """Turn the raw input into a conversion, or raise `Rejected` with the first thing that is wrong.

    `pairs` are its parameters, if they were decoded together with others'.
    """
    fields, params = _name_fields(_decode(raw) if pairs is None else pairs, sender)
    is_test = raw.is_test or (bool(params) and _says_test(params.get(TEST, "")))
    if is_test:
        params.pop(TEST, None)
    click_id = _click_id(fields)
    value, micros = _value(fields, sender)
    values = (
        raw,
        sender.name,
        is_test,
        click_id,
        _label(fields, "goal") if "goal" in fields else "",
        _transaction_id(fields, sender, raw.request_id, params)
        if "transaction_id" in fields or sender.duplicates == "sum"
        else "",
        value,
        micros,
        _currency(fields) if "currency" in fields else None,
        params,
        None,
        _status(fields, sender) if "conversion_status" in fields else None,
    )
    return tuple.__new__(Postback, values)  # its own __new__ is a function in Python


def _says_test(sent: str | list[str]) -> bool:
    """Tell whether one of the marks that were sent makes it a test: in doubt it counts nowhere."""
    return any(text in TEST_VALUES for text in ([sent] if isinstance(sent, str) else sent))


def claims_test(pairs: Pairs) -> bool:
    """Tell whether a rejected postback says that it is a test."""
    return any(name == TEST and text in TEST_VALUES for name, text in pairs)


def claimed_click_id(pairs: Pairs, sender: Sender) -> str | None:
    """Return the click id that a rejected postback names, so that a person can find it again."""
    own = (text for name, text in pairs if sender.fields.get(name) == "click_id" and text)
    return next((text[:MAX_CLICK_ID_BYTES] for text in own), None)


def claimed(raw: RawPostback) -> Pairs:
    """Return the parameters of a postback that may be broken, as far as they can be read."""
    try:
        return [*decode_query(raw.query), *(_body_pairs(raw) if len(raw.body) <= MAX_BODY_BYTES else ())]
    except Rejected:
        parts = raw.query[:MAX_URL_BYTES].replace(b"\0", b"").decode("ascii", "backslashreplace").split("&")
        return [(name, text) for name, _, text in (part.partition("=") for part in parts)]


def _decode(raw: RawPostback) -> Pairs:
    size = len(raw.path) + 1 + len(raw.query)
    if size > MAX_URL_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the URL has {size} bytes, {MAX_URL_BYTES} are allowed")
    if not raw.complete:
        raise Rejected(Outcome.MALFORMED_BODY, f"the sender hung up after {len(raw.body)} bytes of the body")
    if not raw.body:
        return decode_query(raw.query)
    if len(raw.body) > MAX_BODY_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes")
    pairs = [*decode_query(raw.query), *_body_pairs(raw)] if raw.query else _body_pairs(raw)
    if len(pairs) > MAX_PARAMETERS:
        raise too_many_parameters(len(pairs))
    return pairs


def decode_together(raws: Sequence[RawPostback]) -> Iterable[Pairs | None]:
    """Return the parameters of rows of a batch, as `parse` takes them; None for those that it must decode itself."""
    _, _, paths, queries, types, encodings, bodies, complete, *_ = zip(*raws, strict=True)
    plain = all(complete) and not any(queries) and not any(encodings) and {*types} == {"application/json"}
    if not plain or max(map(len, bodies)) > MAX_BODY_BYTES or max(map(len, paths)) >= MAX_URL_BYTES:
        return repeat(None)
    pairs = decode_json_together(bodies)
    return pairs if pairs and max(map(len, pairs)) <= MAX_PARAMETERS else repeat(None)


def _body_pairs(raw: RawPostback) -> Pairs:
    if not raw.body:
        return []
    if raw.content_encoding not in ("", "identity"):
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content encoding {raw.content_encoding[:40]!a}")
    match media_type_of(raw.content_type):
        case "application/x-www-form-urlencoded":
            return decode_query(raw.body)
        case "application/json":
            return decode_json(raw.body)
        case "text/csv" if raw.door in ("batch", "import"):
            return decode_csv(raw.body)
        case other:
            raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"content type {other[:80]!a}")


@lru_cache(maxsize=64)
def media_type_of(content_type: str) -> str:
    """Return the body's media type in lower case. Raises `Rejected` for a charset that is not UTF-8."""
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "') or "utf-8"
    if charset not in ("utf-8", "utf8"):
        raise Rejected(Outcome.UNSUPPORTED_MEDIA_TYPE, f"charset {charset[:40]!a}")
    return media_type.strip()


def _name_fields(pairs: Pairs, sender: Sender) -> tuple[dict[Field, str], dict[str, str | list[str]]]:
    fields: dict[Field, str] = {}
    params: dict[str, str | list[str]] = {}
    for name, text in pairs:
        field = sender.fields.get(name)
        if field is None:
            earlier = params.get(name)
            params[name] = text if earlier is None else [*([earlier] if isinstance(earlier, str) else earlier), text]
        elif field in fields:
            raise Rejected(Outcome.REPEATED_PARAMETER, f"{field} was sent more than once (parameter {name})")
        else:
            fields[field] = text
    return fields, params


SPACES_AND_CONTROLS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")


def _click_id(fields: dict[Field, str]) -> str:
    click_id = fields.get("click_id", "")
    if not click_id:
        raise Rejected(Outcome.MISSING_CLICK_ID, "empty" if "click_id" in fields else "absent")
    plain = click_id.isascii() and click_id.replace("-", "").isalnum()
    if plain and len(click_id) <= MAX_CLICK_ID_BYTES and click_id not in _CLICK_IDS:
        return click_id  # as most are
    _reject_macro("click_id", click_id)
    if SPACES_AND_CONTROLS.search(click_id):
        raise Rejected(Outcome.INVALID_CLICK_ID, "holds a space or a control character")
    if len(click_id.encode()) > MAX_CLICK_ID_BYTES:
        raise Rejected(Outcome.INVALID_CLICK_ID, f"{len(click_id.encode())} bytes, {MAX_CLICK_ID_BYTES} are allowed")
    return click_id


_AMOUNT_LENGTH = 20
AMOUNTS: Mapping[NumberFormat, re.Pattern[str]] = {
    "point": re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII),
    "comma": re.compile(r"-?[0-9]{1,12}(?:,[0-9]{1,6})?", re.ASCII),
    "cents": re.compile(r"-?[0-9]{1,14}", re.ASCII),
}


def _value(fields: dict[Field, str], sender: Sender) -> tuple[str, int]:
    value = fields.get("value", "")
    if not value:
        if "value" not in sender.required:
            return "", 0
        raise Rejected(Outcome.MISSING_VALUE, "empty" if "value" in fields else "absent")
    micros = micros_of(value, sender.numbers)
    if micros is None:
        _reject_macro("value", value)
        raise Rejected(Outcome.INVALID_VALUE, f"{value[:80]!a} is not an amount")
    return value, micros


def micros_of(text: str, numbers: NumberFormat = "point") -> int | None:
    """Return an amount in millionths, None if the text is not an amount in this format."""
    return _micros(text, numbers) if len(text) <= _AMOUNT_LENGTH else None


@lru_cache(maxsize=1024)  # payouts are few, and come again and again
def _micros(text: str, numbers: NumberFormat) -> int | None:
    if not AMOUNTS[numbers].fullmatch(text):
        return None
    if numbers == "cents":
        return int(text) * 10_000
    whole, _, fraction = text.partition("," if numbers == "comma" else ".")
    return int(whole + fraction.ljust(6, "0"))


def _currency(fields: dict[Field, str]) -> str | None:
    currency = fields.get("currency")
    if currency is None or currency in CURRENCIES:
        return currency
    _reject_macro("currency", currency)
    raise Rejected(Outcome.INVALID_CURRENCY, f"{currency[:80]!a} is not an ISO 4217 code")


def _status(fields: dict[Field, str], sender: Sender) -> Status | None:
    word = fields.get("conversion_status")
    if not word:
        return None
    status = sender.statuses.get(word.lower())
    if status is None:
        _reject_macro("conversion_status", word)
        raise Rejected(Outcome.INVALID_STATUS, f"{word[:80]!a} is no status of {sender.name}'s")
    return status


def _transaction_id(
    fields: dict[Field, str], sender: Sender, request_id: str, params: dict[str, str | list[str]]
) -> str:
    """Return the transaction id of the key; one that the policy for duplicates ignores is kept among the parameters."""
    label = _label(fields, "transaction_id")
    if sender.duplicates == "first":
        return label
    if sender.duplicates == "sum":
        return label or request_id
    if label:
        params[next(name for name, field in sender.fields.items() if field == "transaction_id")] = label
    return ""


def _label(fields: dict[Field, str], field: Literal["goal", "transaction_id"]) -> str:
    label = fields.get(field, "")
    if not label:
        return ""
    _reject_macro(field, label)
    if len(label.encode()) > MAX_LABEL_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"{field} has {len(label.encode())} bytes, {MAX_LABEL_BYTES} are allowed")
    return label


_NAME = r"[A-Za-z_][A-Za-z0-9_.:\-]*"
_BRACED = re.compile(rf"\{{\s*{_NAME}\s*\}}")  # {x} ${x} {{x}}: anywhere, because macros are joined: {pubfeed}_{subid}
_WHOLE = re.compile(rf"\[{_NAME}\]|<{_NAME}>|\({_NAME}\)|%{_NAME}%|#{_NAME}#|\${_NAME}\$?|__[A-Z][A-Z0-9_]*__")
_GUID = re.compile(r"[{(\[][0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}[})\]]")  # an id that may wear brackets
_LITERAL_TOKENS: Mapping[Field, frozenset[str]] = {
    "click_id": frozenset(
        {"click_id", "clickid", "click-id", "clickId", "CLICK_ID", "subid", "sub_id", "conversion", "REPLACE"}
    ),
    "value": frozenset({"value", "payout", "amount", "VALUE", "OPTIONAL"}),
    "currency": frozenset({"currency", "CURRENCY"}),
    "goal": frozenset(),  # a goal may well be called "goal"
    "transaction_id": frozenset({"transaction_id", "txid", "TRANSACTION_ID", "OPTIONAL"}),
    "conversion_status": frozenset({"conversion_status", "status", "STATUS", "OPTIONAL"}),
}


_CLICK_IDS = _LITERAL_TOKENS["click_id"]


def is_bare_token(field: Field, text: str) -> bool:
    """Tell whether a text is the name of a token, without its braces."""
    return text in _LITERAL_TOKENS[field]


def _reject_macro(field: Field, text: str) -> None:
    if is_bare_token(field, text):
        raise Rejected(Outcome.UNEXPANDED_MACRO, f"{field} is the token's bare name {text!a}")
    if text.isalnum():
        return
    macro = _BRACED.search(text) or _WHOLE.fullmatch(text)
    if macro and not _GUID.fullmatch(text):
        raise Rejected(Outcome.UNEXPANDED_MACRO, f"{field} holds {macro[0][:80]!a}")
