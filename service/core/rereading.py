"""Owns reading a stored conversion again: what was kept of it, as its sender would send it, judged by today's rules.

Pure. Each row of its history is read by itself: the conversion's own, and its changes. What was sent is kept (the text
of the value, the parameters that no field took), so today's names and formats can be looked for in it. The key is not
read anew: a row that would have another one today is left as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from service.core.decoding import Pairs
from service.core.fields.amounts import micros_of
from service.core.outcome import Rejected
from service.core.parsing import parse
from service.core.postback import ConversionKey, Params, Postback, RawPostback
from service.core.sender import Field, Sender
from service.core.verdict import Change, Correction, Statement, Winner
from service.core.white_space import BLANKS


class Kept(NamedTuple):
    """What is kept of one row of a history beside what it says: its parameters, and when and how it came."""

    params: Params
    received_at: datetime
    request_id: str


@dataclass(frozen=True, slots=True)
class History:
    """All that is stored of a conversion: `rows` are what is kept of its own row, and then of each of its changes."""

    key: ConversionKey
    winner: Winner
    rows: Sequence[Kept]


@dataclass(frozen=True, slots=True)
class Reread:
    """What today's rules make of a conversion.

    `corrections` are what would be added to its history. `why` says for each of them what is different, in a few words.
    Where there are none, `left` says why it is left as it is: the outcome that it would have today, or OTHER_KEY, and
    then `key` is that of today; empty if it is read as it was.
    """

    corrections: tuple[Correction, ...] = ()
    why: tuple[str, ...] = ()
    left: str = ""
    key: ConversionKey | None = None

    def after(self, winner: Winner) -> Winner:
        """Return what the conversion is with these corrections."""
        return winner._replace(corrections=(*winner.corrections, *self.corrections))


OTHER_KEY = "another key"


def reread(history: History, sender: Sender) -> Reread:
    """Read a conversion again by today's rules of its sender."""
    corrections: list[Correction] = []
    why: list[str] = []
    said: list[Winner | Change] = [history.winner, *history.winner.changes]
    for number, (row, kept) in enumerate(zip(said, history.rows, strict=True)):
        try:
            today = _parsed(history.key, row, kept, sender, first=not number)
        except Rejected as rejected:
            return Reread(left=rejected.outcome.word)
        if today.key != history.key:
            return Reread(left=OTHER_KEY, key=today.key)
        now = history.winner.history[number]
        if differences := [*_differences(now, today, row, kept, sender)]:
            corrections.append(_correction(number, history.winner, row, today))
            why += differences
    return Reread(tuple(corrections), tuple(dict.fromkeys(why)))


def _correction(number: int, winner: Winner, row: Winner | Change, today: Postback) -> Correction:
    revision = 1 + sum(one.number == number for one in winner.corrections)
    status = row.conversion_status or today.conversion_status
    return Correction(number, revision, status, today.value, today.value_micros, today.currency)


def _parsed(key: ConversionKey, row: Winner | Change, kept: Kept, sender: Sender, *, first: bool) -> Postback:
    """Return what the row is today. A change may leave its value out. Raises `Rejected`.

    Under which name a kept value was sent is not known, so no such name says its currency.
    """
    number = _is_json_number(row, sender)
    if number or (not first and not row.value):
        sender = replace(sender, required=sender.required - {"value"})
    pairs = _pairs(key, row, kept, sender, value="" if number else row.value)
    implied = {name: code for name, code in sender.implied_currencies.items() if name in kept.params}
    today = parse(_raw(kept), replace(sender, implied_currencies=implied), pairs)
    if row.value and (not _may_be_sent(sender, "value") or (number and not today.value)):
        today = today._replace(value=row.value, value_micros=row.value_micros)
    return today if _may_be_sent(sender, "currency") else today._replace(currency=row.currency)


def _is_json_number(row: Winner | Change, sender: Sender) -> bool:
    """Tell whether the kept value of a sender of commas came as a number of JSON, which has a point."""
    return sender.numbers == "comma" and "." in row.value and micros_of(row.value) == row.value_micros


def _may_be_sent(sender: Sender, field: Field) -> bool:
    """Tell whether a sender has a name for a field: without one, what it sent before is not read again."""
    return field in sender.fields.values()


def _pairs(key: ConversionKey, row: Winner | Change, kept: Kept, sender: Sender, *, value: str) -> Pairs:
    """Return the parameters that were sent, as far as they are kept: fields under names of their sender.

    A currency that is kept as a parameter as well was sent as that says. A status that is kept in our own word is not
    read again: what the sender called it is not known any more.
    """
    _, _, click_id, goal, transaction_id = key
    fields: dict[Field, str | None] = {
        "click_id": click_id,
        "value": value,
        "currency": None if row.currency in _currencies(sender, kept.params) else row.currency,
        "goal": goal,
        "transaction_id": transaction_id,
    }
    own = [(_free_name(sender, field, kept.params), text) for field, text in fields.items() if text]
    statuses = _names(sender, "conversion_status", kept.params) if row.conversion_status else []
    return [*((name, text) for name, text in own if name), *_flat(kept.params, statuses)]


def _currencies(sender: Sender, params: Params) -> set[str]:
    """Return the codes that parameters say, as they are counted."""
    names = _names(sender, "currency", params)
    return {sent.strip(BLANKS).upper() for name in names if isinstance(sent := params[name], str)}


def _names(sender: Sender, field: Field, params: Mapping[str, object]) -> list[str]:
    """Return the parameters that are this field's by today's rules."""
    return [name for name in params if sender.fields.get(name) == field]


def _free_name(sender: Sender, field: Field, params: Mapping[str, object]) -> str | None:
    """Return the first name of a sender for a field that no parameter has; None: it has none."""
    return next((name for name, named in sender.fields.items() if named == field and name not in params), None)


def _flat(params: Params, without: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, sent in params.items():
        if name not in without:
            yield from ((name, text) for text in ([sent] if isinstance(sent, str) else sent))


def _differences(now: Statement, today: Postback, row: Winner | Change, kept: Kept, sender: Sender) -> Iterator[str]:
    """Yield in a few words what is read differently today."""
    if now.value_micros != today.value_micros:
        names = [name for name in _names(sender, "value", kept.params) if name not in today.params]
        before = "value" if now.value_micros else "value 0"
        yield f"{before} → {', '.join(names)}" if names else f"{before} → read by today's rules"
    if now.currency != today.currency:
        yield f"currency {now.currency or '(none)'} → {today.currency or '(none)'}"
    if not row.conversion_status and now.conversion_status != today.conversion_status:
        yield f"status {now.conversion_status or '(none)'} → {today.conversion_status or '(none)'}"


def _raw(kept: Kept) -> RawPostback:
    """Return a request that has nothing but its moment and its id: its parameters are given beside it."""
    return RawPostback(
        door="replay",
        method="",
        path="",
        query=b"",
        content_type="",
        content_encoding="",
        body=b"",
        complete=True,
        host=b"",
        forwarded=False,
        client_ip="",
        received_at=kept.received_at,
        request_id=kept.request_id,
        trace_id="",
    )
