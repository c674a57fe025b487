"""A person is found in whatever letters the name was sent, on every engine, and what went with it is told as erased."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.verdict import Entry
from service.operations.erase import ErasureRequest, Subject, deletions, erase, find
from service.operations.lookup import Depth, look_up
from tests.support import builders
from tests.support.engines import Engine

LETTERS = [  # what a person types, and what was sent
    ("Jörg Strauß", "JÖRG STRAUSS"),
    ("STRASSE@example.com", "straße@example.com"),
    ("renée@example.com", "rene\u0301e@example.com"),
    ("rene\u0301e@example.com", "RENÉE@example.com"),
    ("istanbul@example.com", "İSTANBUL@example.com"),
    ("İpek@example.com", "ipek@example.com"),
    ("jane@example.com", "\uff4a\uff41\uff4e\uff45@example.com"),
    ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
]
EXACTLY = [("jane@example.com", "jané@example.com"), ("strasse", "straßen"), ("Müller", "Mueller")]


@pytest.fixture(autouse=True)
def _believed(engine: Engine) -> None:
    put(engine, [builders.postback("c=another&value=1")])
    engine.database.deletions().clock.accept(datetime.now(UTC))


def put(engine: Engine, entries: list[Entry]) -> None:
    ledger = engine.database.ledger()
    ledger.open()
    ledger.commit(entries)
    ledger.close()


def refused(click_id: str | None, query: str) -> Rejection:
    return Rejection(builders.raw(query), "ezmob", Outcome.MISSING_VALUE, "", click_id)


def erased(engine: Engine, tmp_path: Path, subject: Subject) -> None:
    erase(engine.database, tmp_path, ErasureRequest(subject, "maria", datetime.now(UTC)), lambda _: None)


@pytest.mark.parametrize(("typed", "sent"), LETTERS)
@pytest.mark.parametrize("as_is", [True, False], ids=["as it is", "in percents"])
def test_a_person_is_found_in_whatever_letters_the_name_was_sent(
    engine: Engine, tmp_path: Path, typed: str, sent: str, *, as_is: bool
) -> None:
    query = f"c=hers&value=1&name={sent if as_is else quote(sent)}"
    put(engine, [builders.postback(f"c=hers&value=1&name={quote(sent)}"), refused("refused", query)])
    found = find(engine.database, tmp_path, Subject(typed, personal=True))
    assert [(row.table, row.click_id) for row in found.rows] == [
        ("conversion", "hers"),
        ("rejected_postback", "refused"),
    ]


@pytest.mark.parametrize(("typed", "other"), EXACTLY)
def test_other_letters_are_another_name(engine: Engine, tmp_path: Path, typed: str, other: str) -> None:
    put(engine, [builders.postback(f"c=his&value=1&name={quote(other)}"), refused("refused", f"name={quote(other)}")])
    assert find(engine.database, tmp_path, Subject(typed, personal=True)).rows == []


def test_the_book_knows_it_in_whatever_letters_it_is_asked_for(engine: Engine, tmp_path: Path) -> None:
    put(engine, [builders.postback(f"c=hers&value=1&name={quote('renée@example.com')}")])
    erased(engine, tmp_path, Subject("RENE\u0301E@example.com", personal=True))
    assert deletions(engine.database, Subject("renée@EXAMPLE.com", personal=True), 9).entries


@pytest.mark.parametrize(
    "subject", [Subject("jane@example.com", personal=True), Subject("click-of-jane")], ids=["a person", "a click id"]
)
def test_of_a_click_id_whose_rejected_postbacks_went_with_another_it_is_told_when(
    engine: Engine, tmp_path: Path, subject: Subject
) -> None:
    went = [refused(one, f"c={one}&n=jane@example.com&x=click-of-jane") for one in ("gone", "partly")]
    put(engine, [*went, refused("partly", "c=partly"), refused(None, "n=jane@example.com&x=click-of-jane")])
    erased(engine, tmp_path, subject)
    gone, partly = (look_up(engine.database, tmp_path, one, Depth.INDEX) for one in ("gone", "partly"))
    assert (len(gone.arrivals), len(partly.arrivals)) == (0, 1)
    assert all(one.erased_at for one in (gone, partly))
    assert look_up(engine.database, tmp_path, "another").erased_at is None


def test_what_comes_of_a_click_id_that_lost_only_a_rejected_postback_is_stored_and_no_damage(
    engine: Engine, tmp_path: Path
) -> None:
    put(engine, [refused("partly", "c=partly&n=jane@example.com"), refused("partly", "c=partly")])
    erased(engine, tmp_path, Subject("jane@example.com", personal=True))
    put(engine, [builders.postback("c=partly&value=1")])  # it came before the erasure
    assert look_up(engine.database, tmp_path, "partly").stored
    with engine.database.audit() as audit:
        assert set(audit.erased_rows().values()) == {0}
