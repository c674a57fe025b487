"""Owns the hints: what a sender should do about a rejection, in the names that it uses itself.

One short sentence that the person at the other end can act on. An outcome in which nothing of the sender's is meant has
its hint in itself (`Outcome.hint`), and so has one of which no sender is known.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from service.core.decoding import Pairs
from service.core.fields.currencies import CODES_OF_SIGNS, OTHER_CODES
from service.core.outcome import Outcome
from service.core.sender import Field, NumberFormat, Sender

_EXAMPLES: Mapping[NumberFormat, str] = {"point": "1.50", "comma": "1,50", "cents": "150"}
_LABELS: tuple[Field, ...] = ("goal", "transaction_id")
_MANY = frozenset({"batch", "import"})  # doors where a body is one of many rows


class Said(NamedTuple):
    """What a rejected postback said: its sender, its door, the text of each field that could be read; all pairs."""

    sender: Sender
    door: str
    fields: Mapping[Field, str]
    pairs: Pairs = ()

    def name(self, field: Field) -> str:
        """Return under which name a field was sent, or what the sender calls it."""
        return self.sender.name_sent(field, self.fields.get(field), self.pairs)


def hint_for(outcome: Outcome, said: Said) -> str:
    """Return what the sender should do about this outcome."""
    hints = _OF_ROWS if said.door in _MANY and outcome in _OF_ROWS else _HINTS
    return hints[outcome](said) if outcome in hints else outcome.hint


def kept_hint(outcome: Outcome, door: str) -> str:
    """Return what to do about a rejection that is kept, and came in by this door: its hint was not kept with it."""
    return _hint_of_rows(door) if door in _MANY and outcome is Outcome.MALFORMED_BODY else outcome.hint


def _missing_click_id(said: Said) -> str:
    return f"Send the click id as parameter {said.name('click_id')}."


def _invalid_click_id(said: Said) -> str:
    name = said.name("click_id")
    return f"Send {name} as it was received: at most 512 bytes, no spaces or control characters; a literal + is %2B."


def _missing_value(said: Said) -> str:
    name = said.name("value")
    return (
        f"Send what the conversion is worth as parameter {name}, for example {name}={_EXAMPLES[said.sender.numbers]}."
    )


def _invalid_value(said: Said) -> str:
    name, example = said.name("value"), _EXAMPLES[said.sender.numbers]
    how = "a whole number of cents" if said.sender.numbers == "cents" else "a plain number"
    return f"Send {name} as {how} such as {example}: no currency sign, no thousands separators, at most 12 digits."


def _invalid_currency(said: Said) -> str:
    name, sent = said.name("currency"), said.fields.get("currency", "").strip().upper()
    if sent in OTHER_CODES:
        how = f"senders set {said.sender.name} --currency {sent}"
        return f"Send {name} as a code of ISO 4217's present list, or have {sent} allowed by the receiver ({how})."
    codes = CODES_OF_SIGNS.get(sent.lower(), frozenset())
    example = next(iter(codes)) if len(codes) == 1 else "USD"  # a sign that several share names none
    return f"Send {name} as an ISO 4217 code such as {example}."


def _invalid_status(said: Said) -> str:
    name = said.name("conversion_status")
    return f"Send {name} as pending, approved, rejected or refunded, or as a word that is set up for this sender."


def _too_large(said: Said) -> str:
    named = said.sender.fields.values()
    labels = [said.name(field) for field in _LABELS if field in named]
    within = f", {' and '.join(labels)} within 255 bytes each" if labels else ""
    return f"Keep the URL within 8 KiB, the body within 64 KiB{within}."


def _rows(said: Said) -> str:
    return _hint_of_rows(said.door)


def _hint_of_rows(door: str) -> str:
    if door == "import":
        return "Mend the row as its detail says, and import it again in a file of its own."
    return "Send a JSON array, NDJSON or CSV with a header, in UTF-8: each row is one object, or one record."


def _large_rows(said: Said) -> str:
    return f"Send at most 50,000 rows and 16 MiB at once (2 MiB and 5,000 of all or none). {_too_large(said)}"


_HINTS: Mapping[Outcome, Callable[[Said], str]] = {
    Outcome.MISSING_CLICK_ID: _missing_click_id,
    Outcome.INVALID_CLICK_ID: _invalid_click_id,
    Outcome.MISSING_VALUE: _missing_value,
    Outcome.INVALID_VALUE: _invalid_value,
    Outcome.INVALID_CURRENCY: _invalid_currency,
    Outcome.INVALID_STATUS: _invalid_status,
    Outcome.TOO_LARGE: _too_large,
}
_OF_ROWS: Mapping[Outcome, Callable[[Said], str]] = {
    Outcome.MALFORMED_BODY: _rows,
    Outcome.UNSUPPORTED_MEDIA_TYPE: _rows,
    Outcome.TOO_LARGE: _large_rows,
}
