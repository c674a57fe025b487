"""Owns histories made by hand: postbacks of one key with what is found of them, and what the check says of them."""

from dataclasses import replace
from decimal import Decimal

from tests.support.outside.model.checking import Check
from tests.support.outside.model.history import Erasure, History, Operation, Row
from tests.support.outside.model.rules import Key, Said
from tests.support.outside.model.telling import tell

KEY = Key("acme", False, "click", "", "")  # noqa: FBT003 - a tuple's member
TABLES = {"stored": "conversion", "updated": "status_change", "duplicate": "duplicate"}
Event = tuple[Operation, Row | None]


def said(words: str) -> Said:
    """Return what `approved 5 USD` says; `-` is what was not sent, and `?signup` a word that is not set up."""
    status, amount, currency = [*words.split(), "-", "-"][:3]
    word = status[1:] if status[0] == "?" else None
    known = None if word else _or_none(status)
    return Said(known, None if amount == "-" else Decimal(amount), _or_none(currency), word)


def _or_none(word: str) -> str | None:
    return None if word == "-" else word


def sent(  # noqa: PLR0913 - a builder: each test names what it is about
    at: float,
    words: str,
    answer: str | None,
    *,
    row: str | None = "as answered",
    number: int = 0,
    tag: str = "",
    group: str = "",
    place: int = 0,
    answered: float | None = None,
) -> Event:
    """Return a postback of the key, sent at `at` and answered half a second later, and the row that is found of it."""
    name = tag or f"{at:g} {words}"
    until = answered if answered is not None else float("inf") if answer is None else at + 0.5
    identity = f"id-{name}" if answer else ""
    one = Operation(name, KEY, said(words), "postback", at, until, answer, identity, "host", group, place)
    outcome = answer if row == "as answered" else row
    if outcome is None:
        return one, None
    known = outcome in ("stored", "updated")
    table = TABLES.get(outcome, "rejected_postback")
    number = number or int(outcome == "updated")
    tagged = name if outcome != "duplicate" else ""
    return one, Row(table, f"id-{name}", outcome, KEY, "postback", at, tagged, one.said if known else None, number)


def erased(at: float, *, surely: bool = True) -> Erasure:
    """Return an erasure of the key's click id."""
    return Erasure("click", at, at + 0.5 if surely else float("inf"), surely, at + 0.3 if surely else None)


def found(*events: Event, erasures: tuple[Erasure, ...] = (), further: tuple[Row, ...] = ()) -> list[str]:
    """Return the kinds of differences in a history."""
    rows = [row for _, row in events if row]
    history = History([replace(one) for one, _ in events], list(erasures))
    differences = Check(history, [*rows, *further]).differences()
    assert not differences or "key Key" in tell(differences)
    return [difference.kind for difference in differences]


def other_host(event: Event) -> Event:
    """Let another host have received it."""
    one, row = event
    return replace(one, host="another"), row


def atomic(*events: Event) -> list[Event]:
    """Make one atomic batch of them, each with a key of its own."""
    return [
        (replace(one, atomic=True, group="batch", place=place, key=KEY._replace(click_id=f"click-{place}")), row)
        for place, (one, row) in enumerate(events, 1)
    ]


def moved(event: Event) -> Event:
    """Give the row its operation's key."""
    one, row = event
    return one, row and replace(row, key=one.key)
