"""The roster while it serves: changes are followed, an outage changes nothing, uses are written and never lost."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.auth.keeper import RosterKeeper
from service.auth.roster_copy import RosterCopy
from service.core.roster import EMPTY_ROSTER, Roster
from service.core.unavailable import ErrorKind, StorageError
from service.storage.senders import Rows
from service.telemetry.metrics import Metrics
from tests.support import builders, registration
from tests.support.fakes import KeptLines, in_time, kept_log

pytestmark = pytest.mark.anyio

AWAY = StorageError("PG_CONNECTION: refused", ErrorKind.PG_CONNECTION)
ROWS = Rows([registration.sender()], [registration.key()])


class FakeSenders:
    """Rows that a test changes, or an error in their place."""

    def __init__(self, found: Rows | Exception) -> None:
        self.found = found
        self.used: list[dict[str, datetime]] = []

    def rows(self) -> Rows:
        """Give the rows, or raise."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def note_used(self, used: Mapping[str, datetime]) -> None:
        """Keep what is noted, or raise."""
        if isinstance(self.found, Exception):
            raise self.found
        self.used.append(dict(used))


class Kept:
    """A keeper, what it follows, and what it says."""

    def __init__(self, found: Rows | Exception, copy: Path | None = None) -> None:
        self.senders = FakeSenders(found)
        self.followed: list[Roster | None] = []
        self.changed = asyncio.Event()
        self.metrics, self.lines = Metrics(), KeptLines()
        self.keeper = RosterKeeper(
            lambda: self.senders,  # type: ignore[arg-type,return-value]  # it has what the keeper uses
            self.follow,
            self.metrics,
            kept_log(self.lines, self.metrics),
            copy=RosterCopy(copy) if copy else None,
            look_seconds=0.001,
        )

    def follow(self, roster: Roster | None) -> None:
        """Remember it."""
        self.followed.append(roster)
        self.changed.set()

    async def next(self) -> Roster | None:
        """Wait for the next roster that is followed."""
        self.changed.clear()
        await in_time(self.changed.wait())
        return self.followed[-1]


async def test_it_follows_what_is_registered_at_the_start_and_what_changes_later() -> None:
    kept = Kept(ROWS)
    kept.keeper.begin()
    assert kept.followed == [ROWS.roster()]
    async with kept.keeper.running():
        revoked = Rows(ROWS.senders, [registration.key(revoked_at=builders.RECEIVED_AT)])
        kept.senders.found = revoked
        await kept.next()
        assert await kept.next() == revoked.roster()


async def test_it_looks_at_once_when_it_is_told_to() -> None:
    kept = Kept(Rows())
    kept.keeper.begin()
    kept.senders.found = ROWS
    await kept.keeper.look_now()
    assert kept.followed == [EMPTY_ROSTER, ROWS.roster()]


async def test_while_the_database_is_away_the_last_roster_stays_and_that_is_said_once() -> None:
    kept = Kept(ROWS)
    kept.keeper.begin()
    kept.senders.found = AWAY
    async with kept.keeper.running():
        await kept.next()
        assert await kept.next() == ROWS.roster()
        assert await kept.next() == ROWS.roster()
    (line,) = kept.lines.events("roster_not_read")
    assert "PG_CONNECTION" in str(line["detail"])


async def test_a_start_without_the_database_follows_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "roster.json"
    Kept(ROWS, path).keeper.begin()
    later = Kept(AWAY, path)
    later.keeper.begin()
    assert later.followed == [ROWS.roster()]


async def test_without_database_and_copy_nothing_is_known(tmp_path: Path) -> None:
    kept = Kept(AWAY, tmp_path / "roster.json")
    kept.keeper.begin()
    assert kept.followed == [None]


async def test_a_file_that_is_not_made_yet_has_nobody() -> None:
    kept = Kept(StorageError("there is no database", ErrorKind.NO_DATABASE))
    kept.keeper.begin()
    assert kept.followed == [EMPTY_ROSTER]


async def test_a_copy_that_cannot_be_written_is_told_and_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(ROWS, tmp_path / "file" / "roster.json")
    kept.keeper.begin()
    assert kept.followed == [ROWS.roster()]
    assert len(kept.lines.events("roster_not_copied")) == 1


async def test_uses_are_written_at_the_end_each_key_once_with_its_last() -> None:
    kept = Kept(ROWS)
    kept.keeper.begin()
    async with kept.keeper.running():
        for second in range(3):
            kept.keeper.note_used("a", builders.RECEIVED_AT + timedelta(seconds=second))
    assert kept.senders.used == [{"a": builders.RECEIVED_AT + timedelta(seconds=2)}]


async def test_uses_that_cannot_be_written_are_written_the_next_time() -> None:
    kept = Kept(AWAY)
    kept.keeper.note_used("a", builders.RECEIVED_AT)
    kept.keeper.note_used("b", builders.RECEIVED_AT)
    kept.keeper.write_used()
    later = builders.RECEIVED_AT + timedelta(seconds=1)
    kept.keeper.note_used("a", later)
    kept.senders.found = ROWS
    kept.keeper.write_used()
    assert kept.senders.used == [{"a": later, "b": builders.RECEIVED_AT}]


async def test_registered_senders_start_at_0_and_the_first_live_key_to_end_is_told() -> None:
    ends = datetime.now(UTC) + timedelta(days=5)
    kept = Kept(
        Rows(
            [registration.sender(), registration.sender("gone", disabled_at=builders.RECEIVED_AT)],
            [
                registration.key("a", expires_at=ends + timedelta(days=1)),
                registration.key("b", expires_at=ends),
                registration.key("c", expires_at=ends - timedelta(days=1), revoked_at=builders.RECEIVED_AT),
                registration.key("d", expires_at=builders.RECEIVED_AT),
                registration.key("e", expires_at=ends - timedelta(days=1), sender="gone"),
            ],
        )
    )
    kept.keeper.begin()
    assert kept.metrics.senders == {"acme"}
    assert kept.metrics.key_expires_at == ends.timestamp()
