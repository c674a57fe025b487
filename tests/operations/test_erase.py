"""Erasing a click id, on every engine: nothing goes before somebody agreed, and the book knows who."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.core.judging import Manner, Part
from service.core.outcome import Outcome
from service.core.postback import Postback, Rejection
from service.core.verdict import ERASED, Entry
from service.operations.erase import ErasureReport, ErasureRequest, Subject, deletions, erase, find
from service.operations.errors import BeingServed, Refused
from service.operations.files.row_file import RowFile
from service.operations.lookup import look_up
from service.operations.lookup_list import ListLookup
from service.operations.reconciling.partner_list import PartnerList
from service.spool.journal import Journal
from tests.support import builders
from tests.support.engines import ON_POSTGRES, Engine

NOW = datetime.now(UTC)
PERSON = Subject("person-1")
DAY = timedelta(days=1)


def asked(subject: Subject = PERSON) -> ErasureRequest:
    """Ask for an erasure by the clock of this moment: one that is behind the database's erases nothing."""
    return ErasureRequest(subject, "maria", datetime.now(UTC))


class Disagreed(Exception):  # noqa: N818 - a decision
    """Somebody said no."""


@pytest.fixture(autouse=True)
def _stored(engine: Engine) -> None:
    ledger = engine.database.ledger()
    ledger.open()
    ledger.commit([builders.postback(f"c={click_id}&value=1") for click_id in ("person-1", "person-1", "another")])
    engine.database.deletions().clock.accept(NOW)
    ledger.close()


def click_ids(engine: Engine) -> list[tuple[object, ...]]:
    return engine.rows("SELECT click_id FROM conversion ORDER BY 1")


def test_nothing_is_deleted_unless_somebody_agrees_to_what_was_found(engine: Engine, tmp_path: Path) -> None:
    shown: list[ErasureReport] = []

    def disagree(report: ErasureReport) -> None:
        shown.append(report)
        raise Disagreed

    with pytest.raises(Disagreed):
        erase(engine.database, tmp_path, asked(), disagree)
    assert [row.table for row in shown[0].rows] == ["conversion", "duplicate"]
    assert list(shown[0].rows) == list(find(engine.database, tmp_path, PERSON).rows)
    assert click_ids(engine) == [("another",), ("person-1",)]


def test_what_was_agreed_to_is_deleted_and_noted_under_a_hash(engine: Engine, tmp_path: Path) -> None:
    report = erase(engine.database, tmp_path, asked(), lambda _: None)
    assert (report.done, report.deleted["conversion"], report.deleted["duplicate"]) == (True, 1, 1)
    assert click_ids(engine) == [("another",)]
    book = deletions(engine.database, PERSON, 10)
    assert {(entry.deleted_by, entry.click_id_sha256) for entry in book.entries} == {("maria", report.click_id_sha256)}
    assert "person-1" not in str(book.members())
    assert not deletions(engine.database, Subject("another"), 10).entries


def test_nobody_is_asked_where_nothing_is_stored(engine: Engine, tmp_path: Path) -> None:
    def fail(_: ErasureReport) -> None:
        raise AssertionError

    nothing = asked(Subject("nobody"))
    assert erase(engine.database, tmp_path, nothing, fail) == ErasureReport(
        Subject("nobody"), [], ("nobody",), done=True
    )


def test_while_the_spool_holds_more_of_it_it_is_refused(engine: Engine, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "worker-0" / "spool.db")
    journal.open()
    journal.commit([builders.postback("c=person-1&value=1")])
    journal.close()
    with pytest.raises(Refused, match="1 of its postbacks wait"):
        erase(engine.database, tmp_path, asked(), lambda _: None)
    with pytest.raises(Refused):
        find(engine.database, tmp_path, PERSON)


def test_beside_a_running_service_only_a_server_lets_it_be_done(engine: Engine, tmp_path: Path) -> None:
    serving = engine.database.ledger()
    serving.open()
    if engine.kind == "sqlite":
        with pytest.raises(BeingServed, match="stop the service first, then erase"):
            erase(engine.database, tmp_path, asked(), lambda _: None)
    else:
        erase(engine.database, tmp_path, asked(), lambda _: None)
    serving.close()
    assert len(click_ids(engine)) == {"sqlite": 2, "postgres": 1}[engine.kind]


@pytest.mark.parametrize("believed", [NOW - 31 * DAY, None])
def test_by_a_clock_that_may_be_wrong_nothing_is_erased_until_a_person_accepts_it(
    engine: Engine, tmp_path: Path, believed: datetime | None
) -> None:
    clock = engine.database.deletions().clock
    if believed:
        clock.accept(believed)
    else:  # then the newest row tells
        engine.change("DELETE FROM trusted_clock")
    with pytest.raises(Refused, match=r"nothing is erased: this clock says .* set the clock, or, .*--accept-clock"):
        erase(engine.database, tmp_path, asked(), lambda _: None)
    assert len(click_ids(engine)) == 2
    assert not deletions(engine.database, None, 10).entries
    clock.accept(NOW)
    assert erase(engine.database, tmp_path, asked(), lambda _: None).deleted["conversion"] == 1


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_differs_from_the_servers_erases_nothing(engine: Engine, tmp_path: Path, minutes: int) -> None:
    request = asked()._replace(at=datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(Refused, match=r"nothing is erased: .* and the server's .*: set the one that is wrong"):
        erase(engine.database, tmp_path, request, lambda _: None)
    assert len(click_ids(engine)) == 2
    near = asked()._replace(at=datetime.now(UTC) + timedelta(minutes=4))
    assert erase(engine.database, tmp_path, near, lambda _: None).deleted["conversion"] == 1


JANE = Subject("Jane@Example.com", personal=True)
TABLES = ("conversion", "status_change", "duplicate", "rejected_postback", "replay")


def hers() -> list[Entry]:
    """Return what is kept of a person: her click ids have nothing in common."""
    return [
        builders.postback("c=in-params&value=1&email=jane%40example.com"),
        builders.postback("c=in-params&value=1&email=someone-else"),
        builders.postback("c=in-goal&value=1&goal=jane@example.com"),
        builders.postback("c=in-order&value=1&txid=JANE@EXAMPLE.COM"),
        builders.postback("c=later&value=1&conversion_status=pending"),
        builders.postback("c=later&value=1&conversion_status=approved&mail=%3Cjane@example.com%3E"),
        Rejection(builders.raw("c=person-1&mail=jane@example.com"), "ezmob", Outcome.MISSING_VALUE, "", "person-1"),
        Rejection(builders.posted(b'{"m":"jane\\u0040example.com"'), None, Outcome.MALFORMED_BODY, "", None),
        Rejection(builders.raw("c=in-params&value=7"), "ezmob", Outcome.CONFLICT, "", "in-params"),
    ]


def others() -> list[Entry]:
    return [
        builders.postback("c=mary&value=1&email=mary.jane@example.com"),
        builders.rejection(click_id="mary"),
    ]


def put(engine: Engine, entries: list[Entry]) -> None:
    ledger = engine.database.ledger()
    ledger.open()
    for entry in entries:  # each may change what the next one is judged by
        ledger.commit([entry])
    ledger.close()


def test_what_names_a_person_goes_with_the_click_ids_that_it_is_of(engine: Engine, tmp_path: Path) -> None:
    put(engine, [*hers(), *others()])
    foreseen = find(engine.database, tmp_path, JANE)
    assert set(foreseen.click_ids) == {"in-params", "in-goal", "in-order", "later"}
    numbers = [sum(row.table == table for row in foreseen.rows) for table in TABLES]
    assert numbers == [4, 1, 1, 3, 0]
    assert click_ids(engine)[-1] == ("person-1",)
    report = erase(engine.database, tmp_path, asked(JANE), lambda _: None)
    assert [report.deleted[table] for table in TABLES] == numbers
    assert click_ids(engine) == [("another",), ("mary",), ("person-1",)]
    assert engine.rows("SELECT click_id FROM rejected_postback") == [("mary",)]
    assert find(engine.database, tmp_path, JANE).rows == []
    with engine.database.audit() as audit:
        assert (set(audit.orphans().values()), set(audit.erased_rows().values())) == ({0}, {0})


def test_the_book_knows_a_person_by_a_hash_in_any_letter_case(engine: Engine, tmp_path: Path) -> None:
    put(engine, hers())
    report = erase(engine.database, tmp_path, asked(JANE), lambda _: None)
    lower = Subject("jane@example.com", personal=True)
    assert {entry.click_id_sha256 for entry in deletions(engine.database, lower, 99).entries} == {
        report.click_id_sha256
    }
    assert not deletions(engine.database, Subject("jane@example.com"), 99).entries
    assert [entry.rows for entry in deletions(engine.database, Subject("in-goal"), 99).entries] == [1]
    assert "jane" not in str(engine.rows("SELECT * FROM deletion")).lower()


def test_nobody_is_asked_where_no_person_is_named(engine: Engine, tmp_path: Path) -> None:
    nobody = asked(Subject("nobody@example.com", personal=True))
    assert erase(engine.database, tmp_path, nobody, lambda _: pytest.fail("asked")).deleted == {}


@pytest.mark.parametrize("text", ["", "   ", "abc"])
def test_a_text_that_tells_of_nobody_is_refused(engine: Engine, tmp_path: Path, text: str) -> None:
    with pytest.raises(Refused, match="too short"):
        find(engine.database, tmp_path, Subject(text, personal=True))


def test_while_the_spool_names_a_person_it_is_refused(engine: Engine, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "worker-0" / "spool.db")
    journal.open()
    journal.commit([builders.postback("c=new&value=1&email=jane@example.com"), builders.postback("c=another&value=1")])
    journal.close()
    with pytest.raises(Refused, match="1 of its postbacks wait"):
        find(engine.database, tmp_path, JANE)


ON_ITS_WAY = [
    (builders.postback("c=new&value=1&email=jane@example.com"), True),
    (builders.postback("c=new-2&value=1&goal=Jane@Example.com"), True),
    (Rejection(builders.raw("x=jane%40example.com"), None, Outcome.MISSING_CLICK_ID, "", None), True),
    (builders.postback("c=in-goal&value=1"), True),
    (builders.postback("c=mary&value=1&email=mary.jane@example.com"), False),
]


@ON_POSTGRES
@pytest.mark.parametrize(("entry", "refused"), ON_ITS_WAY)
def test_what_is_on_its_way_and_has_it_as_a_value_does_not_come_back(
    engine: Engine, tmp_path: Path, entry: Postback | Rejection, *, refused: bool
) -> None:
    put(engine, hers())
    erase(engine.database, tmp_path, asked(JANE), lambda _: None)
    ledger = engine.database.ledger()
    ledger.open()
    committed = ledger.commit([entry], [Part(0, 1, Manner.DRAINED)])
    ledger.close()
    assert (committed.verdicts[0] is ERASED) is refused
    assert (entry.raw.request_id in committed.unstored) is refused


@ON_POSTGRES
def test_what_is_stored_beside_the_search_goes_too(engine: Engine, tmp_path: Path) -> None:
    put(engine, hers())
    late = builders.postback("c=late&value=1&email=jane@example.com")
    request = asked(JANE)
    report = erase(engine.database, tmp_path, request, lambda _: put(engine, [late]))
    assert report.deleted["conversion"] == 5
    assert click_ids(engine) == [("another",), ("person-1",)]


def test_what_a_sender_encoded_twice_goes_from_what_was_rejected_too(engine: Engine, tmp_path: Path) -> None:
    twice = "value=1&m=jane%2540example.com"
    refused = Rejection(builders.raw(f"c=refused&{twice}"), "ezmob", Outcome.MISSING_VALUE, "", "refused")
    put(engine, [builders.postback(f"c=taken&{twice}"), refused])
    found = find(engine.database, tmp_path, JANE)
    assert [(row.table, row.click_id) for row in found.rows] == [
        ("conversion", "taken"),
        ("rejected_postback", "refused"),
    ]


def test_of_an_erased_click_id_it_is_told_when_and_not_that_it_never_arrived(engine: Engine, tmp_path: Path) -> None:
    put(engine, hers())
    before = datetime.now(UTC) - timedelta(minutes=1)
    for subject in (PERSON, JANE):
        erase(engine.database, tmp_path, asked(subject), lambda _: None)
    (tmp_path / "ids.csv").write_text("click_id\nin-goal\nperson-1\nanother\nnobody\n")
    erased = {one: look_up(engine.database, tmp_path, one).erased_at for one in ("person-1", "in-goal")}
    assert all(at and before < at <= datetime.now(UTC) + timedelta(minutes=1) for at in erased.values())
    assert [look_up(engine.database, tmp_path, one).erased_at for one in ("another", "nobody")] == [None, None]
    listed = ListLookup(engine.database, tmp_path, lambda _: None, PartnerList(RowFile(tmp_path / "ids.csv", "csv")))
    assert {one.click_id: one.reason for one in listed.answers(lambda _: None)} == {
        **{one: f"erased, {at:%Y-%m-%d %H:%M:%S} UTC" for one, at in erased.items()},
        "another": "",
        "nobody": "never arrived",
    }


def test_what_came_after_an_erasure_is_told_beside_it(engine: Engine, tmp_path: Path) -> None:
    erase(engine.database, tmp_path, asked(), lambda _: None)
    put(engine, [builders.postback("c=person-1&value=1", received_at=datetime.now(UTC) + timedelta(seconds=1))])
    found = look_up(engine.database, tmp_path, PERSON.text)
    assert found.stored
    assert found.erased_at
