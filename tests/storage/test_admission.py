"""Admission, on every engine: what has no room is counted in the book, in the commit that would have kept it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.verdict import Entry
from service.storage import admission
from service.storage.admission import Bounds
from service.storage.audit import Window
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine
from tests.support.migrated import put_migrated

OWN = "0" * 16  # how the builders' request ids begin
KIB = 1024


def rejected(sender: str | None = "ezmob", outcome: Outcome = Outcome.INVALID_VALUE) -> Rejection:
    return Rejection(builders.posted(b"x" * (10 * KIB)), sender, outcome, "", None)


def sampled_out() -> Rejection:
    return replace(rejected(None), sampled_out=True)


@pytest.fixture(autouse=True)
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no slack, and look at the figures for each commit."""
    for name in ("STRANGERS_SLACK", "SENDERS_SLACK", "_SECONDS", "_UNSEEN_BYTES"):
        monkeypatch.setattr(admission, name, 0)


@contextmanager
def bounded(engine: Engine, strangers: int = 2**30, senders: int = 2**30) -> Iterator[Ledger]:
    opened = engine.database.ledger(bounds=Bounds(strangers, senders))
    opened.open()
    yield opened
    opened.close()


def kept(engine: Engine) -> dict[str, int]:
    found = engine.rows("SELECT coalesce(sender, ''), count(*) FROM rejected_postback GROUP BY 1")
    return {str(share): int(str(number)) for share, number in found}


def dropped(engine: Engine) -> dict[str, tuple[int, int]]:
    """Return by outcome what the book has that never was a row, and what it has that was one."""
    with engine.database.audit() as audit:
        found = audit.counts(Window(OWN, builders.RECEIVED_AT, builders.RECEIVED_AT))
    return {outcome: (counts.dropped, counts.deleted) for outcome, counts in found.items() if counts.dropped}


@pytest.fixture
def migrated(engine: Engine) -> Engine:
    if engine.kind == "sqlite":
        put_migrated(Path(engine.url.removeprefix("sqlite:///")))
    return engine


def test_strangers_beyond_their_bound_are_counted_and_known_senders_are_kept(migrated: Engine) -> None:
    with bounded(migrated, strangers=25 * KIB) as ledger:
        done = [ledger.commit([rejected(None, Outcome.UNAUTHENTICATED), rejected()]) for _ in range(5)]
    assert kept(migrated) == {"": 2, "ezmob": 5}
    assert [dict(one.not_kept) for one in done] == [{}, {}, *[{"strangers_full": 1}] * 3]
    assert [one.rows["rejected_postback"] for one in done] == [2, 2, 1, 1, 1]
    assert dropped(migrated) == {"unauthenticated": (3, 0)}


def test_the_bound_holds_within_one_commit(migrated: Engine) -> None:
    with bounded(migrated, strangers=25 * KIB) as ledger:
        done = ledger.commit([rejected(None) for _ in range(50)])
    assert kept(migrated) == {"": 2}
    assert done.not_kept == {"strangers_full": 48}
    assert dropped(migrated) == {"invalid_value": (48, 0)}


def test_the_figure_is_the_databases_so_all_processes_share_one_bound(migrated: Engine) -> None:
    for _ in range(4):
        with bounded(migrated, strangers=25 * KIB) as ledger:
            ledger.commit([rejected(None)])
    assert kept(migrated) == {"": 2}


def test_a_sender_beyond_its_part_is_turned_away_and_another_one_is_not(migrated: Engine) -> None:
    with bounded(migrated, senders=60 * KIB) as ledger:
        ledger.commit([rejected("acme")])
        flood = ledger.commit([rejected("ezmob") for _ in range(50)])
        quiet = ledger.commit([rejected("acme")])
    assert kept(migrated) == {"acme": 2, "ezmob": 4}
    assert (flood.not_kept, quiet.not_kept) == ({"sender_full": 46}, {})
    assert dropped(migrated) == {"invalid_value": (46, 0)}


def test_what_is_sampled_out_is_counted_whatever_the_room(migrated: Engine) -> None:
    with bounded(migrated) as ledger:
        entries: list[Entry] = [sampled_out(), builders.postback("c=a&value=1"), rejected(None)]
        done = ledger.commit(entries)
    assert kept(migrated) == {"": 1}
    assert (done.not_kept, done.rows["conversion"]) == ({"sampled": 1}, 1)


def test_the_same_kind_is_one_row_of_the_book_however_often_it_comes(migrated: Engine) -> None:
    with bounded(migrated) as ledger:
        for _ in range(5):
            ledger.commit([sampled_out()])
    (row,) = migrated.rows("SELECT table_name, reason, outcome, process, rows, deleted_by FROM deletion")
    assert row == ("rejected_postback", "not_kept", "invalid_value", OWN, 5, "retention")
