"""Owns the hints: what a sender should do about a rejection, in the names that it uses itself.

One short sentence that the person at the other end can act on. An outcome in which nothing of the sender's is meant has
its hint in itself (`Outcome.hint`), and so has one of which no sender is known.
"""

from collections.abc import Callable, Mapping

from service.core.decoding import Member
from service.core.fields.currencies import CODES_OF_SIGNS, OTHER_CODES
from service.core.outcome import Outcome
from service.core.sender import Field, NumberFormat
from service.core.sent import Sent

_EXAMPLES: Mapping[NumberFormat, str] = {"point": "1.50", "comma": "1,50", "cents": "150"}
_LABELS: tuple[Field, ...] = ("goal", "transaction_id")
_OF_BODIES = frozenset({Outcome.MALFORMED_BODY, Outcome.UNSUPPORTED_MEDIA_TYPE})
_MANY = frozenset({"batch", "import"})  # doors where a body is one of many rows


def hint_for(outcome: Outcome, sent: Sent) -> str:
    """Return what the sender should do about this outcome."""
    field = REFUSED.get(outcome)
    if field and isinstance(sent.fields.get(field), Member):
        return f"Send {sent.name(field)} as a text or a number: what came is JSON of another kind."
    hints = _OF_ROWS if sent.door in _MANY and outcome in _OF_ROWS else _HINTS
    return hints[outcome](sent) if outcome in hints else outcome.hint


def kept_hint(outcome: Outcome, door: str) -> str:
    """Return what to do about a rejection that is kept, and came in by this door: its hint was not kept with it."""
    return _hint_of_rows(door) if door in _MANY and outcome in _OF_BODIES else outcome.hint


def _missing_click_id(sent: Sent) -> str:
    return f"Send the click id as parameter {sent.name('click_id')}."


def _invalid_click_id(sent: Sent) -> str:
    name = sent.name("click_id")
    return f"Send {name} as it was received: at most 512 bytes, no spaces or control characters; a literal + is %2B."


def _missing_value(sent: Sent) -> str:
    name = sent.name("value")
    return (
        f"Send what the conversion is worth as parameter {name}, for example {name}={_EXAMPLES[sent.sender.numbers]}."
    )


def _invalid_value(sent: Sent) -> str:
    name, example = sent.name("value"), _EXAMPLES[sent.sender.numbers]
    how = "a whole number of cents" if sent.sender.numbers == "cents" else "a plain number"
    return f"Send {name} as {how} such as {example}: no currency sign, no thousands separators, at most 12 digits."


def _invalid_currency(sent: Sent) -> str:
    name, code = sent.name("currency"), sent.fields.get("currency", "").strip().upper()
    if code in OTHER_CODES:
        how = f"senders set {sent.sender.name} --currency {code}"
        return f"Send {name} as a code of ISO 4217's present list, or have {code} allowed by the receiver ({how})."
    codes = CODES_OF_SIGNS.get(code.lower(), frozenset())
    example = next(iter(codes)) if len(codes) == 1 else "USD"  # a sign that several share names none
    return f"Send {name} as an ISO 4217 code such as {example}."


def _invalid_status(sent: Sent) -> str:
    words = ", ".join(sent.sender.words())
    return f"Send {sent.name('conversion_status')} in a word that is set up ({words}), or have another one set up."


def _too_large(sent: Sent) -> str:
    named = sent.sender.fields.values()
    labels = [sent.name(field) for field in _LABELS if field in named]
    within = f", {' and '.join(labels)} within 255 bytes each" if labels else ""
    return f"Keep the URL within 8 KiB, the body within 64 KiB{within}."


def _rows(sent: Sent) -> str:
    return _hint_of_rows(sent.door)


def _hint_of_rows(door: str) -> str:
    if door == "import":
        return "Mend the row as its detail says, and import it again in a file of its own."
    return "Send a JSON array, NDJSON or CSV with a header, in UTF-8: each row is one object, or one record."


def _large_rows(sent: Sent) -> str:
    return f"Send at most 50,000 rows and 16 MiB at once (2 MiB and 5,000 of all or none). {_too_large(sent)}"


REFUSED: Mapping[Outcome, Field] = {
    Outcome.INVALID_CLICK_ID: "click_id",
    Outcome.INVALID_VALUE: "value",
    Outcome.INVALID_CURRENCY: "currency",
    Outcome.INVALID_STATUS: "conversion_status",
}
_HINTS: Mapping[Outcome, Callable[[Sent], str]] = {
    Outcome.MISSING_CLICK_ID: _missing_click_id,
    Outcome.INVALID_CLICK_ID: _invalid_click_id,
    Outcome.MISSING_VALUE: _missing_value,
    Outcome.INVALID_VALUE: _invalid_value,
    Outcome.INVALID_CURRENCY: _invalid_currency,
    Outcome.INVALID_STATUS: _invalid_status,
    Outcome.TOO_LARGE: _too_large,
}
_OF_ROWS: Mapping[Outcome, Callable[[Sent], str]] = {
    Outcome.MALFORMED_BODY: _rows,
    Outcome.UNSUPPORTED_MEDIA_TYPE: _rows,
    Outcome.TOO_LARGE: _large_rows,
}
