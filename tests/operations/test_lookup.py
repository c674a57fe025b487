"""Looking up a click id, on every engine: what arrived, what it is now, and what waits in the spool."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.judging import Manner, Part
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.unavailable import StorageError
from service.operations.lookup import Depth, look_up
from service.spool.journal import Journal
from service.spool.ownership import Owner, note
from service.storage.database import database_at
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import ON_POSTGRES, Engine

NOBODY = "postgresql://nobody@127.0.0.1:1/postback?connect_timeout=1"


@pytest.fixture
def spool_directory(tmp_path: Path) -> Path:
    """Let one postback of `waits` wait in the journal of a worker."""
    journal = Journal(tmp_path / "spool" / "worker-0" / "spool.db")
    journal.open()
    journal.commit([builders.postback("c=waits&value=1")])
    journal.close()
    return tmp_path / "spool"


def test_what_was_stored_is_told_with_what_it_is_now(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    later = builders.RECEIVED_AT + timedelta(hours=1)
    ledger.commit([builders.postback("c=a&value=1.50&currency=EUR"), builders.rejection(Outcome.INVALID_VALUE, "a")])
    ledger.commit([builders.postback("c=a&value=2&conversion_status=approved", received_at=later)])
    found = look_up(engine.database, tmp_path, "a")
    assert (found.accepted, found.stored, found.spooled, found.only_tests) == (True, True, False, False)
    assert [arrival.outcome.value for arrival in found.arrivals][-1] == "updated"
    assert len(found.arrivals) == 3
    assert [(one.value, one.conversion_status) for one in found.now] == [("2", "approved")]
    members = found.members()
    assert list(members) == [
        "click_id",
        "stored",
        "spooled",
        "conversions",
        "arrivals",
        "named",
        "corrections",
        "erased_at",
        "searched",
    ]


def test_a_test_counts_nowhere(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    ledger.commit([builders.postback("c=a&value=1&test=1")])
    found = look_up(engine.database, tmp_path, "a")
    assert (found.stored, found.only_tests) == (True, True)
    assert not look_up(engine.database, tmp_path, "never").only_tests


def test_what_waits_is_told_though_the_database_is_away(spool_directory: Path) -> None:
    away = database_at(NOBODY)
    found = look_up(away, spool_directory, "waits")
    assert (found.accepted, found.stored, found.spooled) == (True, False, True)
    assert found.unknown
    with pytest.raises(StorageError):
        look_up(away, spool_directory, "never")


@ON_POSTGRES
def test_what_waits_for_another_database_is_told_as_that(engine: Engine, ledger: Ledger, spool_directory: Path) -> None:
    ledger.commit([builders.postback("c=another&value=1")])
    journal = Journal(spool_directory / "worker-0" / "spool.db")
    journal.open()
    for identity, told in ((engine.database.spooling().identity(), False), ("1" * 32, True)):
        with closing(sqlite3.connect(journal.path)) as connection, connection:
            note(connection, Owner(), Owner(identity, ""))
        (arrival,) = look_up(engine.database, spool_directory, "waits").arrivals
        assert ("another database" in arrival.detail) is told
    journal.close()


@ON_POSTGRES
def test_what_was_drained_is_told_with_both_answers(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    """A rejection has its own answer at once, also where it waits in the spool."""
    batch = [builders.postback(query) for query in ("c=a&value=1", "c=a&value=2", "c=a&value=1")]
    refused = builders.rejection(Outcome.INVALID_VALUE, "a")
    ledger.commit([*batch, refused], [Part(0, 4, Manner.DRAINED)])
    ledger.commit([builders.postback("c=a&value=1")])
    arrivals = look_up(engine.database, tmp_path, "a").members()["arrivals"]
    assert isinstance(arrivals, list)
    assert [(it["outcome"], it["answered"], it["status"], it["drained_at"] is not None) for it in arrivals] == [
        ("stored", "spooled", 200, True),
        ("conflict", "spooled", 200, True),
        ("duplicate", "spooled", 200, True),
        ("invalid_value", "invalid_value", Outcome.INVALID_VALUE.status, True),
        ("duplicate", "duplicate", 200, False),
    ]


CLICK = "click-of-jane"
OTHERWISE = {  # by the parameter that is told: how a rejected click came, and of which click id it was taken to be
    "clickid": (builders.raw(f"clickid={CLICK}&value=1"), Outcome.MISSING_CLICK_ID, None),
    "C": (builders.raw(f"C={CLICK}&value=1"), Outcome.MISSING_CLICK_ID, None),
    "c": (builders.raw(f"c={CLICK}&value=1"), Outcome.UNAUTHENTICATED, None),
    "sub1": (builders.raw(f"c=another&sub1={CLICK}"), Outcome.MISSING_VALUE, "another"),
    "cid": (builders.posted(f'{{"cid":"{CLICK}"}}'.encode()), Outcome.MISSING_CLICK_ID, None),
    "": (builders.posted(f'{{"c":"{CLICK}'.encode()), Outcome.MALFORMED_BODY, None),
}


def rejected(parameter: str) -> Rejection:
    raw, outcome, click_id = OTHERWISE[parameter]
    return Rejection(raw, None, outcome, "absent", click_id)


@pytest.mark.parametrize("parameter", OTHERWISE)
def test_a_click_that_was_rejected_under_another_name_is_told(
    engine: Engine, ledger: Ledger, tmp_path: Path, parameter: str
) -> None:
    entry = rejected(parameter)
    ledger.commit([builders.postback("c=unlike&value=1"), entry])
    found = look_up(engine.database, tmp_path, CLICK)
    (named,) = found.named
    assert (named.parameter, named.click_id) == (parameter, entry.click_id)
    assert (named.arrival.outcome, named.arrival.request_id) == (entry.outcome, entry.raw.request_id)
    assert (found.accepted, list(found.arrivals)) == (False, [])
    assert look_up(engine.database, tmp_path, CLICK, Depth.INDEX).named == []
    assert look_up(engine.database, tmp_path, CLICK[:-1]).named == []


def test_of_a_stored_click_what_was_rejected_beside_it_is_told_where_everything_is_searched(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    """By the index it is known at once that it is stored: nobody waits for the rest, and it is said what that is."""
    ledger.commit([builders.postback(f"c={CLICK}&value=1"), rejected("clickid"), builders.rejection(click_id=CLICK)])
    read: list[int] = []
    found = look_up(engine.database, tmp_path, CLICK, advance=read.append)
    assert [one.outcome.value for one in found.arrivals] == ["stored", "invalid_value"]
    assert (found.named, found.searched, read) == ([], Depth.INDEX, [])
    everywhere = look_up(engine.database, tmp_path, CLICK, Depth.EVERYWHERE)
    assert ([one.parameter for one in everywhere.named], everywhere.searched) == (["clickid"], Depth.EVERYWHERE)


@pytest.mark.parametrize("query", ["value=1&test=1", "value=x", ""], ids=["a test of it", "a rejected one", "nothing"])
def test_of_a_click_that_is_not_stored_all_that_was_rejected_is_told(
    engine: Engine, ledger: Ledger, tmp_path: Path, query: str
) -> None:
    under = {"value=x": builders.rejection(click_id=CLICK), "": builders.rejection(click_id="another-click")}
    ledger.commit([rejected("clickid"), under.get(query) or builders.postback(f"c={CLICK}&{query}")])
    found = look_up(engine.database, tmp_path, CLICK)
    assert ([one.parameter for one in found.named], found.searched) == (["clickid"], Depth.REJECTED)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        (f"c=another&value=1&clickid={CLICK}", "clickid"),
        (f"c=another&value=1&goal={CLICK}", "goal"),
        (f"c=another&value=1&txid={CLICK}", "transaction_id"),
    ],
)
def test_what_is_stored_under_another_click_id_is_told_where_everything_is_searched(
    engine: Engine, ledger: Ledger, tmp_path: Path, query: str, parameter: str
) -> None:
    ledger.commit([builders.postback(query), builders.postback(query), builders.postback(f"c={CLICK}x&value=1")])
    assert look_up(engine.database, tmp_path, CLICK).named == []
    named = look_up(engine.database, tmp_path, CLICK, Depth.EVERYWHERE).named
    expected = {("stored", parameter, "another")}
    if parameter != "clickid":  # a duplicate has no parameters of its own
        expected.add(("duplicate", parameter, "another"))
    assert {(one.arrival.outcome.value, one.parameter, one.click_id) for one in named} == expected


@ON_POSTGRES
def test_a_rejection_that_waits_in_the_spool_and_names_it_is_told(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.commit([builders.postback("c=unlike&value=1")])
    journal = Journal(tmp_path / "spool" / "worker-0" / "spool.db")
    journal.open()
    journal.commit([rejected("clickid"), builders.postback(f"c=unlike&value=1&x={CLICK}")])
    journal.close()
    for database in (engine.database, database_at(NOBODY)):
        found = look_up(database, tmp_path / "spool", CLICK)
        assert [(one.parameter, one.arrival.outcome.value) for one in found.named] == [("clickid", "missing_click_id")]
        assert "waits in" in found.named[0].arrival.detail
