"""Which click ids wait, and since when: in whichever journal of the directory."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.postback import Postback
from service.spool.flags import Flags
from service.spool.journal import Journal
from service.spool.places import journal_paths
from service.spool.waiting import Came, WaitingClickIds
from tests.support import builders


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Journal, Journal]]:
    """Open the journals of two workers of one directory."""
    opened = [Journal(journal_paths(tmp_path, worker)[0]) for worker in (1, 2)]
    for journal in opened:
        journal.open()
    yield opened[0], opened[1]
    for journal in opened:
        journal.close()


@pytest.fixture
def waiting(tmp_path: Path, two: tuple[Journal, Journal]) -> Iterator[WaitingClickIds]:
    """Look into both."""
    assert two
    looking = WaitingClickIds(Flags(tmp_path))
    yield looking
    looking.close()


def came(seconds: float, click_id: str = "a") -> Postback:
    """Return a postback that came so many seconds after the first."""
    at = builders.RECEIVED_AT + timedelta(seconds=seconds)
    return builders.postback(f"c={click_id}&value=1", received_at=at)


def test_what_waits_in_any_journal_is_found_until_it_has_left(
    two: tuple[Journal, Journal], waiting: WaitingClickIds
) -> None:
    assert not waiting.anything()
    for journal in two:
        journal.commit([came(0)])
        assert waiting.anything()
        assert waiting.among(["b", "a"]) == {"a"}
        assert waiting.among(["b"]) == set()
        journal.remove([1])
        assert not waiting.anything()
        assert waiting.among(["a"]) == set()


def test_a_rejection_that_waits_holds_nobody_back(two: tuple[Journal, Journal], waiting: WaitingClickIds) -> None:
    two[0].commit([builders.rejection(click_id="a")])
    assert waiting.among(["a"]) == set()
    assert waiting.oldest(["a"], ()) == {}


def test_what_waits_is_seen_as_soon_as_it_is_durable(two: tuple[Journal, Journal], waiting: WaitingClickIds) -> None:
    for number in range(20):
        assert waiting.among([str(number)]) == set()
        two[number % 2].commit([came(0, str(number))])
        assert waiting.among([str(number)]) == {str(number)}


def test_a_click_id_of_any_characters_is_found(two: tuple[Journal, Journal], waiting: WaitingClickIds) -> None:
    two[0].commit([came(0, "%F0%9F%98%80%22%5C%27")])
    assert waiting.among(["\U0001f600\"\\'"]) == {"\U0001f600\"\\'"}


def test_of_several_journals_the_earliest_entry_of_a_click_id_counts(
    two: tuple[Journal, Journal], waiting: WaitingClickIds
) -> None:
    first, second, third = came(3), came(2), came(1)  # the wall clock steps back
    two[1].commit([first])
    two[0].commit([second, came(9, "b")])
    two[1].commit([third])
    assert [(click_id, one.request_id) for click_id, one in waiting.oldest(["a", "c"], ()).items()] == [
        ("a", first.raw.request_id)
    ]
    assert waiting.oldest(["a"], [two[1].path])["a"].request_id == second.raw.request_id


def test_what_the_version_before_appended_counts_from_its_arrival(
    two: tuple[Journal, Journal], waiting: WaitingClickIds
) -> None:
    first, second = came(0), came(1)
    two[0].commit([second])
    two[1].commit([first])
    for journal in two:
        with closing(sqlite3.connect(journal.path)) as connection, connection:
            connection.execute("UPDATE entry SET appended_at = NULL")
    assert waiting.oldest(["a"], ()) == {"a": Came(1767323045678901000, first.raw.request_id)}
    two[0].commit([came(-9, "b")])
    two[1].commit([came(-8, "b")])
    assert waiting.oldest(["b"], ())["b"].at > waiting.oldest(["a"], ())["a"].at


def test_of_one_journal_its_own_order_counts_whatever_the_clock_did(
    two: tuple[Journal, Journal], waiting: WaitingClickIds
) -> None:
    before, after = came(9), came(1)
    two[0].commit([before])
    two[0].commit([after])
    assert waiting.oldest(["a"], ())["a"].request_id == before.raw.request_id


def test_a_journal_that_cannot_be_read_holds_nobody_back(
    two: tuple[Journal, Journal], waiting: WaitingClickIds
) -> None:
    two[0].commit([came(0)])
    two[1].commit([came(0)])
    assert waiting.among(["a"]) == {"a"}
    for journal in two:
        for name in ("spool.db", "spool.db-wal", "spool.db-shm"):
            (journal.path.parent / name).unlink()
    assert waiting.among(["a"]) == set()
    assert waiting.oldest(["a"], ()) == {}
