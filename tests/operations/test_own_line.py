"""The straight line of a command: what is told is in order, and nothing is told after a failure."""

import pytest

from service.auth.authenticator import Caller
from service.core.outcome import Outcome
from service.core.presets import EZMOB
from service.core.verdict import STORED
from service.intake_parsing import Rows
from service.operations.own_line import OwnRecord, rehearsing, vouched
from service.telemetry.metrics.books import Books
from tests.support import builders

pytestmark = pytest.mark.anyio


def test_what_follows_a_failure_is_not_told_in_its_place() -> None:
    heard: list[object] = []
    record, raw = OwnRecord(lambda raws, *_: heard.extend(raws)), builders.raw()
    record.tell(record.arrive([raw], []), [raw], [builders.postback()], [STORED])
    with pytest.raises(LookupError):
        record.fail(raw, LookupError("a bug"))
    record.tell(record.arrive([raw], []), [raw], [builders.postback()], [STORED])
    assert heard == [raw]


def test_a_command_keeps_books_too() -> None:
    books, raw = Books(), builders.raw()
    record = OwnRecord(lambda *_: None, books)
    arrival = record.arrive([raw], [])
    arrival.durable(1)
    books.rows["conversion"] += 1
    record.tell(arrival, [raw], [builders.postback()], [STORED])
    arrival.end()
    assert (books.in_progress, books.untold, books.late) == (0, 0, 0)
    assert set(books.drift.values()) == {0}


async def test_a_rehearsal_remembers_what_it_would_store() -> None:
    told: list[Outcome] = []
    line = rehearsing(
        lambda _: {}, vouched(Caller(EZMOB)), lambda _raws, _all, verdicts: told.extend(one.outcome for one in verdicts)
    )
    for queries in (("c=a&value=1", "c=a&value=1"), ("c=a&value=2", "c=b")):
        await line.receive_rows([Rows([builders.raw(query) for query in queries], [Caller(EZMOB)] * 2)])
    assert told == [Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT, Outcome.MISSING_VALUE]
