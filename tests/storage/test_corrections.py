"""Corrections, on every engine: rows of a history that go where it goes, and that nothing else is counted by."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.postback import Postback
from service.core.verdict import Correction
from service.storage.audit import Window
from service.storage.copying import copy
from service.storage.corrections import Corrections, Occasion
from service.storage.erasure import Whose
from service.storage.ledger import Ledger
from service.storage.location import PostgresServer, SqliteFile, location_of
from service.storage.reads.conversions import Wanted
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.engines import Engine

NOW = builders.RECEIVED_AT + timedelta(days=100)
OCCASION = Occasion(NOW, "maria", "a reason")
WHOSE = Whose(("click-1",))
TEN = Correction(0, 1, None, "10", 10_000_000, "USD")


def corrected(corrections: Corrections, postbacks: Sequence[Postback], correction: Correction = TEN) -> int:
    """Correct the conversions of postbacks."""
    return corrections.add([(one.key, [correction]) for one in postbacks], OCCASION)


@pytest.fixture
def stored(ledger: Ledger) -> list[Postback]:
    """Store some conversions."""
    postbacks = [builders.postback(f"c=click-{n}&value=0&goal=é") for n in range(3)]
    ledger.commit(postbacks)
    return postbacks


def left(engine: Engine) -> list[object]:
    return [click_id for (click_id,) in engine.rows("SELECT click_id FROM correction ORDER BY 1, number, revision")]


def test_a_correction_is_added_once_and_the_next_beside_it(engine: Engine, stored: list[Postback]) -> None:
    book = engine.database.corrections()
    assert [corrected(book, stored) for _ in range(2)] == [3, 3]
    assert left(engine) == ["click-0", "click-1", "click-2"]
    corrected(book, stored[:1], TEN._replace(revision=2, value="11", value_micros=11_000_000))
    (now,) = engine.database.history().conversions("click-0")
    assert (now.value, now.currency) == ("11", "USD")


def test_what_was_erased_meanwhile_is_not_corrected(engine: Engine, ledger: Ledger, stored: list[Postback]) -> None:
    assert ledger
    erasure = engine.database.erasure(clock=lambda _: NOW)
    erasure.erase(WHOSE, erasure.find(WHOSE, lambda _: None), "maria", NOW)
    assert corrected(engine.database.corrections(), stored) == 2
    assert left(engine) == ["click-0", "click-2"]


def test_an_erasure_takes_the_corrections_of_its_click_id(
    engine: Engine, ledger: Ledger, stored: list[Postback]
) -> None:
    assert ledger
    corrected(engine.database.corrections(), stored)
    erasure = engine.database.erasure(clock=lambda _: NOW)
    found = erasure.find(WHOSE, lambda _: None)
    assert [held.table for held in found] == ["conversion", "correction"]
    assert erasure.erase(WHOSE, found, "maria", NOW)["correction"] == 1
    assert left(engine) == ["click-0", "click-2"]
    assert engine.rows("SELECT rows FROM deletion WHERE table_name = 'correction'") == [(1,)]


def test_retention_takes_them_with_their_conversion(engine: Engine, ledger: Ledger, stored: list[Postback]) -> None:
    ledger.commit([builders.postback("c=young&value=0", received_at=NOW)])
    corrected(engine.database.corrections(), stored)
    keys = [one.key for one in stored]
    removed = engine.database.deletions().remove_conversions(keys[0], keys[-1], NOW, NOW)
    assert (removed.rows, left(engine)) == (3, [])
    noted = engine.rows("SELECT table_name, rows FROM deletion ORDER BY 1")
    assert noted == [("conversion", 3), ("correction", 3)]


def test_no_postback_is_counted_by_one_and_one_without_its_conversion_is_found(
    engine: Engine, stored: list[Postback]
) -> None:
    window = Window("0" * 16, builders.RECEIVED_AT, NOW)
    with engine.database.audit() as audit:
        before = audit.counts(window)
    corrected(engine.database.corrections(), stored)
    with engine.database.audit() as audit:
        assert audit.counts(window) == before
        assert audit.orphans()["correction"] == 0
    engine.change("DELETE FROM conversion WHERE click_id = 'click-2'")
    with engine.database.audit() as audit:
        assert audit.orphans()["correction"] == 1


def test_whole_histories_are_walked_through_in_pages(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([builders.postback(f"c=click-{n}&value=1&x={n}") for n in range(5)])
    ledger.commit([builders.postback(f"c=click-{n}&value=2&x=y&conversion_status=approved") for n in (1, 4)])
    book = engine.database.corrections()
    corrected(book, [builders.postback("c=click-4&value=1")], TEN._replace(number=1))
    pages = list(book.histories(Wanted("ezmob"), "ezmob", 2))
    assert [len(page) for page in pages] == [2, 2, 1]
    told = [(one.key[2], len(one.winner.changes), [row.params for row in one.rows]) for page in pages for one in page]
    assert told == [
        ("click-0", 0, [{"x": "0"}]),
        ("click-1", 1, [{"x": "1"}, {"x": "y"}]),
        ("click-2", 0, [{"x": "2"}]),
        ("click-3", 0, [{"x": "3"}]),
        ("click-4", 1, [{"x": "4"}, {"x": "y"}]),
    ]
    assert pages[-1][0].winner.corrections == (TEN._replace(number=1),)


def test_they_are_copied_to_a_server(path: Path, postgres_url: str) -> None:
    ledger = SqliteLedger(path)
    ledger.open()
    postbacks = [builders.postback(f"c=click-{n}&value=0&goal=é") for n in range(3)]
    ledger.commit(postbacks)
    database = SqliteDatabase(SqliteFile(path))
    corrected(database.corrections(), postbacks)
    database.close()
    ledger.close()
    target = location_of(postgres_url)
    assert isinstance(target, PostgresServer)
    compared = {one.table: one for one in copy(SqliteFile(path), target, lambda *_: None)}
    assert (compared["correction"].target_rows, compared["correction"].equal) == (3, True)
