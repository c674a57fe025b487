"""However the same postbacks come (one by one, in batches, as pixels, by replay, in any order), they are the same."""

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.judging import Manner
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.intake import Intake
from service.operations.files.row_file import RowFile
from service.operations.importing.file import ImportFile
from service.operations.own_line import storing
from service.operations.replay import Rehearsal, carry_out
from service.operations.replay_author import Author
from service.storage.database import database_at
from service.storage.reads.quarantine import Chosen
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.telemetry.record import LiveRecord
from service.writing.committing import OnThread
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import KeptLines, from_ezmob, in_time, kept_log, samples
from tests.support.migrated import put_migrated
from tests.support.watched_intake import Arrived

Way = Literal["single", "pixel", "batch", "csv", "import", "replay"]
Fields = tuple[tuple[str, str], ...]
AUTHOR = Author("me")
NUMBERS = count()


@dataclass(frozen=True)
class Delivery:
    """Some postbacks, and how they come."""

    way: Way
    postbacks: tuple[Fields, ...]


def a_postback(values: st.SearchStrategy[str], statuses: st.SearchStrategy[str]) -> st.SearchStrategy[Fields]:
    click_ids = st.sampled_from(["a", "b", "ü", "c d", "", "{click_id}", "a,b", 'q"'])
    labels = st.sampled_from(["", "lead", "sale"])
    fields = {"c": click_ids, "value": values, "goal": labels, "conversion_status": statuses}
    return st.tuples(*(st.tuples(st.just(name), texts) for name, texts in fields.items()))


VALUES = st.sampled_from(["1", "1.0", "2", "-3.5", "x", ""])
STATUSES = st.sampled_from(["", "", "pending", "approved", "sale", "rejected", "refunded", "x"])
AGREEING = a_postback(st.just("1.50"), st.just(""))  # no two values under one key: then no order can matter
WAYS: tuple[Way, ...] = ("single", "pixel", "batch", "csv", "import")


@st.composite
def deliveries(
    draw: st.DrawFn, postbacks: Sequence[Fields], ways: tuple[Way, ...], *, shuffled: bool
) -> list[Delivery]:
    """Deal the same postbacks into deliveries."""
    left = draw(st.permutations(postbacks)) if shuffled else list(postbacks)
    dealt = []
    while left:
        count = draw(st.integers(1, len(left)))
        dealt.append(Delivery(draw(st.sampled_from(ways)), tuple(left[:count])))
        left = left[count:]
    return dealt


class Site:
    """A service without its HTTP, on a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "postback.db"
        self.metrics = Metrics()
        self._files = 0
        put_migrated(self.path)
        self._ledger = SqliteLedger(self.path)
        self._ledger.open()

    async def receive(self, dealt: Sequence[Delivery]) -> dict[tuple[object, ...], tuple[object, ...]]:
        """Let everything come, replay what is to be replayed, and return the conversions with their changes."""
        writer = Writer(OnThread(self._ledger), self.metrics, deadline=60.0)
        writer.start()
        intake = Intake(from_ezmob, writer, LiveRecord(self.metrics, kept_log(KeptLines(), self.metrics)))
        for delivery in dealt:
            await in_time(self._deliver(intake, delivery))
        assert samples(self.metrics, "postback_conservation_drift") == {}
        await in_time(writer.close())
        await self._replay()
        self._ledger.close()
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute("""
                SELECT click_id, goal, transaction_id, 0, conversion_status, value FROM conversion UNION ALL
                SELECT click_id, goal, transaction_id, number, conversion_status, value FROM status_change
            """)
            return {row[:4]: row[4:] for row in found}

    async def _deliver(self, intake: Intake, delivery: Delivery) -> None:
        given = [dict(fields) for fields in delivery.postbacks]
        match delivery.way:
            case "single":
                await asyncio.gather(*[intake.receive(builders.raw(urlencode(one))) for one in given])
            case "pixel":
                path = {"door": "pixel", "path": "/pixel.gif"}
                await asyncio.gather(*[intake.receive(builders.raw(urlencode(one), **path)) for one in given])
            case "batch":
                body = "\n".join(json.dumps(one) for one in given)
                await self._batch(intake, body, "application/x-ndjson")
            case "csv":
                await self._batch(intake, table(given), "text/csv")
            case "import":  # nothing else is under way meanwhile
                self._files += 1
                file = self.path.with_name(f"{self._files}.csv")
                file.write_text(table(given), encoding="utf-8")
                rows = ImportFile(RowFile(file, "csv"))
                async with storing(self._ledger, rows.caller, ignored, Manner.NEW) as line:
                    await line.receive_rows(rows.groups(), amend=rows.amend)
            case "replay":  # each was refused by a rule that is no longer today's
                refused = [builders.raw(urlencode(one)) for one in given]
                self._ledger.commit(
                    [Rejection(raw, "ezmob", Outcome.INVALID_VALUE, "an old rule", None) for raw in refused]
                )

    async def _batch(self, intake: Intake, body: str, content_type: str) -> None:
        given = {"door": "batch", "path": "/postbacks"}
        assert isinstance(
            await intake.receive_batch(Arrived(builders.posted(body.encode(), content_type, **given))), list
        )

    async def _replay(self) -> None:
        database = database_at(f"sqlite:///{self.path}")
        assert isinstance(database, SqliteDatabase)
        rehearsal = Rehearsal(database, AUTHOR)
        async for page in rehearsal.attempts(Chosen(not_replayed=True)):
            await carry_out(page, self._ledger, database.replays(), AUTHOR)


def ignored(*_: object) -> None:
    """Hear what became of imported rows, and do nothing about it."""


def refused(query: str) -> Rejection:
    return Rejection(builders.raw(query), "ezmob", Outcome.INVALID_VALUE, "an old rule", None)


def table(given: Sequence[dict[str, str]]) -> str:
    """Return postbacks as CSV; numbered, so that no two files are the same."""
    rows = (",".join(map(quoted, one.values())) for one in given)
    return "\n".join(["c,value,goal,conversion_status,number", *(f"{row},{next(NUMBERS)}" for row in rows)])


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def stored(dealt: Sequence[Delivery]) -> dict[tuple[object, ...], tuple[object, ...]]:
    """Return the conversions that a new service has in the end, each change of status under its number."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(Site(Path(folder)).receive(dealt))


def one_by_one(postbacks: Sequence[Fields]) -> list[Delivery]:
    return [Delivery("single", (postback,)) for postback in postbacks]


def splittings(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[list[Fields], list[Delivery]]]:
    return st.lists(a_postback(values, STATUSES), min_size=1, max_size=12).flatmap(
        lambda postbacks: st.tuples(st.just(postbacks), deliveries(postbacks, WAYS, shuffled=False))
    )


@settings(max_examples=20, deadline=None)
@given(splittings(VALUES))
def test_any_splitting_gives_the_same_conversions(case: tuple[list[Fields], list[Delivery]]) -> None:
    postbacks, dealt = case
    assert stored(dealt) == stored(one_by_one(postbacks))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(AGREEING, min_size=1, max_size=12).flatmap(
        lambda postbacks: st.tuples(st.just(postbacks), deliveries(postbacks, (*WAYS, "replay"), shuffled=True))
    )
)
def test_any_order_and_any_way_gives_the_same_conversions(case: tuple[list[Fields], list[Delivery]]) -> None:
    postbacks, dealt = case
    assert stored(dealt) == stored(one_by_one(postbacks))


@settings(max_examples=15, deadline=None)
@given(st.lists(a_postback(VALUES, STATUSES), min_size=1, max_size=8))
def test_what_was_refused_and_is_replayed_gives_what_the_right_postback_would_have_given(
    postbacks: list[Fields],
) -> None:
    replayed = stored([Delivery("replay", tuple(postbacks))])
    assert replayed == stored(one_by_one(postbacks))


def test_the_comparison_notices_a_lost_one() -> None:
    some: list[Fields] = [(("c", "a"), ("value", "1")), (("c", "b"), ("value", "2"))]
    assert stored(one_by_one(some)) != stored(one_by_one(some[:1]))
