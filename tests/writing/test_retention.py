"""Retention: what is over the limits goes, in the promised order, counted and said, beside the writer's commits."""

import asyncio
import os
import resource
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from service.core.unavailable import ErrorKind, StorageError
from service.storage.admission import Bounds
from service.storage.deletions.book import Reason
from service.storage.deletions.deleting import Deletions, Removed
from service.storage.deletions.finding import CHUNK, Aged
from service.storage.reads.quarantine import Chosen
from service.storage.schema.tables import Replay
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import NOBODY
from service.writing.committing import OnThread
from service.writing.retention import Clock, Limits, Looked, Pace, Retention
from service.writing.writer import Writer
from tests.support import builders
from tests.support.engines import NotingTurns
from tests.support.fakes import PATIENCE, in_time, kept_log, samples
from tests.writing.kept import AT_ONCE, EACH, FOR_EVER, days, keeping, rejected, room

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "postback.db"


def deleted(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return samples(metrics, "postback_deleted_rows_total")


def test_each_table_has_its_own_age(path: Path) -> None:
    limits = Limits(rejected_days=10, duplicate_days=20, conversion_days=30, rejected=Bounds(2**20, 2**20))
    with keeping(path, limits, replace(AT_ONCE, age_seconds=0.0)) as kept:
        kept.ledger.commit([builders.postback("c=a&value=1"), builders.postback("c=a&value=1"), rejected("r")])
        ages = {9.9: (1, 1, 1), 10.1: (0, 1, 1), 19.9: (0, 1, 1), 20.1: (0, 0, 1), 29.9: (0, 0, 1), 30.1: (0, 0, 0)}
        for age, counts in ages.items():
            kept.now = days(age)
            kept.look()
            assert tuple(len(kept.left(it)) for it in ("rejected_postback", "duplicate", "conversion")) == counts, age
        assert deleted(kept.metrics) == {
            ("rejected_postback", "age"): 1,
            ("duplicate", "age"): 1,
            ("conversion", "age"): 1,
        }
        assert {line["table"] for line in kept.lines.events("deleted")} == {
            "rejected_postback",
            "duplicate",
            "conversion",
        }


def test_by_default_for_ever_is_for_ever(path: Path) -> None:
    with keeping(path, FOR_EVER) as kept:
        kept.ledger.commit([builders.postback(f"c={name}&value=1") for name in "aab"])
        kept.ledger.commit([rejected("r")])
        kept.now = days(36_500)
        assert kept.look() == Looked(Counter(), None)
        assert deleted(kept.metrics) == {}


def test_conversions_are_walked_through_in_pages_and_chunks(path: Path) -> None:
    pace = replace(AT_ONCE, page_rows=7, chunk=CHUNK._replace(rows=3))
    with keeping(path, FOR_EVER._replace(conversion_days=1), pace) as kept:
        entries = [builders.postback(f"c={n:02}&value=1", received_at=days(n % 2 * 5)) for n in range(40)]
        kept.ledger.commit(entries)
        kept.now = days(3)
        kept.look()
        assert sorted(kept.left("conversion")) == [f"{n:02}" for n in range(40) if n % 2]


def test_nothing_goes_while_there_is_room(path: Path) -> None:
    with keeping(path, room(10)) as kept:
        kept.ledger.commit([rejected(f"{n}") for n in range(10)])
        kept.look()
        assert len(kept.left()) == 10
        assert samples(kept.metrics, "postback_rejected_bytes") == {(): 10 * EACH}
        assert samples(kept.metrics, "postback_rejected_capacity_bytes") == {(): 11 * EACH}


def test_beyond_the_bound_the_oldest_go_until_there_is_a_tenth_of_room(path: Path) -> None:
    with keeping(path, room(10)) as kept:
        kept.ledger.commit([rejected(f"{n:02}", n) for n in range(9)])
        kept.look()
        kept.ledger.commit([rejected(f"{n:02}", n) for n in range(9, 12)])
        kept.look()
        assert kept.left() == [f"{n:02}" for n in range(3, 12)]
        assert deleted(kept.metrics) == {("rejected_postback", "size_known"): 3}
        assert samples(kept.metrics, "postback_rejected_bytes") == {(): 9 * EACH}


def test_strangers_have_their_own_room_and_take_none_of_known_senders(path: Path) -> None:
    with keeping(path, room(10, strangers=5)) as kept:
        kept.ledger.commit([rejected(f"known-{n}", n) for n in range(10)])
        kept.ledger.commit([rejected(f"stranger-{n}", 10 + n, None) for n in range(8)])
        kept.look()
        assert kept.left() == [f"known-{n}" for n in range(10)] + [f"stranger-{n}" for n in range(4, 8)]
        assert deleted(kept.metrics) == {("rejected_postback", "size"): 4}
        (line,) = kept.lines.events("deleted")
        assert (line["level"], line["reason"], line["rows"]) == ("warning", "size", 4)


def test_whoever_has_most_makes_room_and_loses_no_more_than_what_the_others_have(path: Path) -> None:
    with keeping(path, room(10)) as kept:
        kept.ledger.commit([rejected(f"quiet-{n}", n, "quiet") for n in range(3)])
        kept.ledger.commit([rejected(f"loud-{n:02}", n, "loud") for n in range(40)])
        kept.ledger.commit([rejected(f"other-{n}", n, "other") for n in range(2)])
        kept.look()
        left = kept.left()
        assert [name for name in left if not name.startswith("loud")] == [
            *("quiet-0", "other-0", "quiet-1", "other-1", "quiet-2"),
        ]
        assert [name for name in left if name.startswith("loud")] == [f"loud-{n}" for n in range(36, 40)]


def test_what_was_replayed_goes_before_what_was_not_and_is_no_loss(path: Path) -> None:
    with keeping(path, room(10)) as kept:
        kept.ledger.commit([rejected(f"{n:02}", n) for n in range(12)])
        replays, at = kept.database.replays(), kept.now
        ids = [str(row[0]) for row in kept.rows("SELECT request_id FROM rejected_postback WHERE click_id >= '09'")]
        replays.begin(
            [Replay(rejected_request_id=it, request_id=f"r{it}", replayed_by="", replayed_at=at) for it in ids]
        )
        replays.finish(dict.fromkeys(ids, "stored"))
        kept.look()
        assert kept.left() == [f"{n:02}" for n in range(9)]
        assert deleted(kept.metrics) == {("rejected_postback", "size"): 3}


def test_what_another_replica_deleted_is_not_deleted_for_again(path: Path) -> None:
    with keeping(path, room(10)) as kept:
        kept.ledger.commit([rejected(f"{n}", n) for n in range(10)])
        kept.look()
        log = kept_log(kept.lines, kept.metrics)
        limits = room(9)
        clock = Clock(now=lambda: kept.now)
        Retention(kept.database.deletions, limits, Metrics(), log, pace=AT_ONCE, clock=clock).look()
        kept.ledger.commit([rejected(f"{n}", n) for n in range(10, 12)])
        kept.look()
        assert len(kept.left()) == 8 + 2


@pytest.mark.parametrize("later", [1, -1], ids=["what came later", "what was on its way for longer"])
def test_who_floods_while_room_is_made_loses_and_nobody_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    """A flood goes on meanwhile."""
    pace = replace(AT_ONCE, chunk=CHUNK._replace(rows=1))
    with keeping(path, room(10), pace) as kept:
        kept.ledger.commit([rejected(f"quiet-{n}", n, "quiet") for n in range(4)])
        kept.ledger.commit([rejected(f"loud-{n}", 30 + n, "loud") for n in range(7)])
        rounds = count(7)
        remove = Deletions.remove

        def beside_a_flood(self: Deletions, table: Aged, ids: list[int], reason: Reason, now: datetime) -> Removed:
            if (number := next(rounds)) < 20:
                kept.ledger.commit([rejected(f"loud-{number}", 30 + later * number, "loud")])
            return remove(self, table, ids, reason, now)

        monkeypatch.setattr(Deletions, "remove", beside_a_flood)
        kept.look()
        assert kept.left()[:4] == [f"quiet-{n}" for n in range(4)]
        assert len(kept.left()) == 9


def test_a_figure_that_no_rows_explain_ends_no_look_and_deletes_nothing(path: Path) -> None:
    with keeping(path, room(10)) as kept:
        kept.ledger.commit([rejected(f"{n}", n) for n in range(3)])
        kept.change("INSERT INTO quarantine_share VALUES ('gone', 0, 99999)")
        kept.look()
        assert kept.left() == ["0", "1", "2"]
        assert kept.database.deletions().shares() == {"ezmob": 3 * EACH}


@pytest.mark.parametrize(("bound", "rested"), [(11, 9.0), (5, 1.0)])
def test_a_chunk_leaves_the_writer_to_the_postbacks_unless_the_disk_is_in_danger(
    path: Path, bound: int, rested: float
) -> None:
    rests: list[float] = []

    def wait(_: threading.Event, seconds: float) -> bool:
        rests.append(seconds)
        return False

    clock = Clock(seconds=count(0.0, 1.0).__next__, wait=wait)  # a chunk takes a second
    with keeping(path, room(bound), Pace(pause_seconds=0.0), clock) as kept:
        kept.ledger.commit([rejected(f"{n}", n) for n in range(12)])
        kept.look()
        assert rests == [rested]


def test_an_error_is_said_once_until_it_is_over_and_the_next_look_tries_again(path: Path) -> None:
    with keeping(path, FOR_EVER) as kept:
        kept.opening = [StorageError("away", ErrorKind.PG_CONNECTION)]
        kept.look()
        kept.look()
        assert [line["detail"] for line in kept.lines.events("retention_failed")] == ["away"]
        kept.opening = []
        kept.look()
        kept.opening = [LookupError("no such thing")]
        kept.look()
        assert [line["detail"] for line in kept.lines.events("retention_failed")][1:] == ["LookupError: no such thing"]


async def test_running_out_of_descriptors_ends_nothing_and_the_next_look_tries_again(path: Path) -> None:
    """Its connection is opened on the writer's thread, where what leaves a file in doubt ends the service."""
    with keeping(path, room(2)) as kept:
        writer = Writer(OnThread(kept.ledger), kept.metrics)
        writer.start()
        await in_time(writer.write(NOBODY, *(rejected(f"{n}") for n in range(9))))
        kept.database.deletions().clock.begin(kept.now)
        kept.database.close()
        await asyncio.to_thread(kept.database.quarantine().count, Chosen())  # it can read, and must connect to delete
        kept.opened = [kept.database.deletions(writer)]
        with no_descriptors_left():
            looked = await asyncio.to_thread(kept.look, trusted=False)
        assert isinstance(looked.failure, StorageError)
        assert len(kept.lines.events("retention_failed")) == 1
        await in_time(writer.write(NOBODY, rejected("later")))
        await asyncio.to_thread(kept.look, trusted=False)
        assert len(kept.left()) == 1
        await in_time(writer.close())


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let this process open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(int(it.name) for it in Path("/proc/self/fd").iterdir()) + 1, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with suppress(OSError):
            while True:
                stack.enter_context(Path(os.devnull).open("rb"))
        yield


@pytest.mark.proof
async def test_it_deletes_on_the_writers_thread_and_stops_when_told(path: Path) -> None:
    with keeping(path, FOR_EVER) as kept:
        writer = Writer(OnThread(kept.ledger), kept.metrics)
        writer.start()
        turns = NotingTurns(writer)
        limits, pace = room(2), replace(AT_ONCE, look_seconds=0.01)
        log = kept_log(kept.lines, kept.metrics)
        retention = Retention(lambda: kept.database.deletions(turns), limits, kept.metrics, log, pace=pace)
        kept.database.deletions().clock.begin(datetime.now(UTC))
        async with retention.running():
            await in_time(writer.write(NOBODY, *(rejected(f"{n}") for n in range(9))))
            async with asyncio.timeout(PATIENCE):
                while not deleted(kept.metrics):  # noqa: ASYNC110 - what is looked at tells nobody
                    await asyncio.sleep(0.01)
        assert set(turns.threads) == {"writer"}
        assert len(kept.left()) == 1
        await in_time(writer.close())
        assert "retention" not in {thread.name for thread in threading.enumerate()}
