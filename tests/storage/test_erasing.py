"""Erasure, on every engine: all that is stored of one click id goes, nothing else does, and only its hash is left."""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.verdict import Entry
from service.operations.replay import Rehearsal, carry_out
from service.operations.replay_author import Author
from service.storage.erased_hashes import sha256
from service.storage.erasure import Erasure, Held, Whose
from service.storage.ledger import Ledger
from service.storage.reads.quarantine import Chosen
from service.storage.schema.registry import CONVERSION, REJECTED
from tests.support import builders
from tests.support.engines import Engine

FORM = "application/x-www-form-urlencoded"
CLICK = "3f9a-person/é"
URL = "3f9a-person%2f%C3%A9"
NOW = builders.RECEIVED_AT
TABLES = ("conversion", "status_change", "duplicate", "rejected_postback", "replay")


@pytest.fixture
def erasure(engine: Engine, ledger: Ledger) -> Erasure:
    assert ledger
    return engine.database.erasure(clock=lambda _: NOW)


@pytest.fixture
def stored(engine: Engine, ledger: Ledger) -> None:
    """Store it in every way there is, and beside it what must stay."""
    mine: list[Entry] = [
        builders.postback(f"c={URL}&value=1&goal={goal}&transaction_id={order}") for goal in "ab" for order in "12"
    ]
    ledger.commit([*mine, builders.postback("c=other-click&value=1")])
    ledger.commit([builders.postback(f"c={URL}&value={value}&goal=a&transaction_id=1") for value in (1, 2)])
    for id_ in (URL, "other-click"):
        ledger.commit([builders.postback(f"c={id_}&value=1&conversion_status=approved&goal={goal}") for goal in "xy"])
        ledger.commit([builders.postback(f"c={id_}&value=1&conversion_status=refunded&goal=y")])
    ledger.commit([builders.postback("c=other-click&value=1"), builders.rejection(click_id="other-click")])
    odd = [
        Rejection(builders.raw(f"c={URL}&value=7"), "ezmob", Outcome.INVALID_VALUE, "an older rule", CLICK),
        Rejection(builders.raw(f"c=a&c={URL}"), "ezmob", Outcome.REPEATED_PARAMETER, "", None),
        Rejection(builders.posted(f'[{{"c":"{CLICK}"}}'.encode()), None, Outcome.MALFORMED_BODY, "", None),
        Rejection(builders.raw(f"c=third-click&sub1={URL}"), "ezmob", Outcome.MISSING_VALUE, "", "third-click"),
    ]
    ledger.commit(odd)
    asyncio.run(replay(engine, ledger))


async def replay(engine: Engine, ledger: Ledger) -> None:
    rehearsal = Rehearsal(engine.database, Author("me"))
    async for page in rehearsal.attempts(Chosen(outcomes=("invalid_value",))):
        await carry_out(page, ledger, engine.database.replays(), Author("me"))


def find(erasure: Erasure, click_id: str) -> list[Held]:
    return erasure.find(Whose((click_id,)), lambda _: None)


def erase(erasure: Erasure, click_id: str, found: list[Held] | None = None, by: str = "me") -> dict[str, int]:
    return erasure.erase(Whose((click_id,)), find(erasure, click_id) if found is None else found, by, NOW)


def numbers(engine: Engine) -> list[object]:
    return [engine.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]  # noqa: S608 - our own names


@pytest.mark.usefixtures("stored")
def test_everything_that_names_it_is_found_and_goes_and_nothing_else_does(engine: Engine, erasure: Erasure) -> None:
    before = numbers(engine)
    found = find(erasure, CLICK)
    by_table = [sum(held.table == table for held in found) for table in TABLES]
    assert by_table == [7, 1, 1, 5, 1]  # a replay stored one more
    assert numbers(engine) == before
    assert erase(erasure, CLICK, found) == {**dict(zip(TABLES, by_table, strict=True)), "correction": 0}
    assert numbers(engine) == [3, 1, 1, 1, 0]
    for table in TABLES[:4]:
        assert engine.rows(f"SELECT DISTINCT click_id FROM {table}") == [("other-click",)]  # noqa: S608 - our own names
    assert find(erasure, CLICK) == []


@pytest.mark.usefixtures("stored")
def test_the_book_says_who_erased_how_much_and_not_what(engine: Engine, erasure: Erasure) -> None:
    assert not erasure.noted(Whose((CLICK,)))
    erase(erasure, CLICK, by="maria")
    digest = hashlib.sha256(CLICK.encode()).hexdigest()
    assert sha256(CLICK) == digest
    columns = "reason, deleted_by, click_id_sha256"
    assert engine.rows(f"SELECT DISTINCT {columns} FROM deletion WHERE rows > 0") == [("erase", "maria", digest)]  # noqa: S608 - our own names
    summed = engine.rows("SELECT table_name, sum(rows) FROM deletion GROUP BY 1 ORDER BY 1")
    assert [(table, int(str(rows))) for table, rows in summed] == list(
        zip(sorted(TABLES), (7, 1, 5, 1, 1), strict=True)
    )
    assert CLICK not in str(engine.rows("SELECT * FROM deletion"))
    assert erasure.noted(Whose((CLICK,)))
    assert [one.click_id_sha256 for one in engine.database.deletions().book(99, sha256("another"))] == []


@pytest.mark.usefixtures("stored")
def test_what_came_after_it_was_shown_goes_too(engine: Engine, ledger: Ledger, erasure: Erasure) -> None:
    found = find(erasure, CLICK)
    nameless = Rejection(builders.raw(f"c=a&c={URL}"), "ezmob", Outcome.REPEATED_PARAMETER, "", None)
    ledger.commit([builders.postback(f"c={URL}&value=1&goal=late"), nameless])
    erase(erasure, CLICK, found)
    assert numbers(engine) == [3, 1, 1, 1, 0]


def test_afterwards_nothing_looks_lost_and_it_is_stored_anew(engine: Engine, ledger: Ledger, erasure: Erasure) -> None:
    ledger.commit(
        [builders.postback("c=a&value=1"), builders.postback("c=a&value=1"), builders.postback("c=a&value=2")]
    )
    erase(erasure, "a")
    with engine.database.audit() as audit:
        assert set(audit.orphans().values()) == {0}
    anew = builders.postback("c=a&value=2", received_at=NOW + timedelta(seconds=1))
    assert ledger.commit([anew]).verdicts[0].outcome is Outcome.STORED


def test_a_short_click_id_takes_no_row_of_another_that_happens_to_hold_it(
    engine: Engine, ledger: Ledger, erasure: Erasure
) -> None:
    ledger.commit(
        [
            Rejection(builders.raw("c=other&value=1&x=y"), "ezmob", Outcome.INVALID_VALUE, "", "other"),
            Rejection(builders.raw("c=1&c=2"), "ezmob", Outcome.REPEATED_PARAMETER, "", None),
        ]
    )
    assert [held.outcome for held in find(erasure, "1")] == ["repeated_parameter"]
    assert numbers(engine)[3] == 2


PEOPLE = [f"person-{number * 7919 % 4001:05}" for number in range(4000)]  # in no order, so that pages are split


@pytest.mark.proof
def test_a_file_holds_no_trace_of_it_when_the_command_has_ended(path: Path) -> None:
    """Splits leave copies in unused parts of pages, where SQLite does not overwrite what it deletes by itself."""
    database = Engine(f"sqlite:///{path}").database
    ledger = database.ledger()
    ledger.open()
    ledger.commit([builders.postback("c=pattern&value=1"), builders.rejection(click_id="pattern")])
    ledger.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # 8,000 commits, of which none need survive a power cut
        connection.execute("PRAGMA secure_delete=OFF")  # some builds of SQLite begin with ON
        for person in PEOPLE:
            for table, columns in (("conversion", CONVERSION.columns), ("rejected_postback", REJECTED.columns)):
                changed = {"click_id": "?1", "request_id": f"'{table}' || ?1", "raw": "CAST(?1 AS BLOB)"}
                values = ", ".join(changed.get(column, column) for column in columns)
                pattern = f"SELECT {values} FROM {table} WHERE click_id = 'pattern'"  # noqa: S608 - our own names
                connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) {pattern}", [person])
    assert all(person.encode() in path.read_bytes() for person in PEOPLE)
    ledger.open()
    erasure = database.erasure()
    erased = PEOPLE[::500]
    for person in erased:
        erase(erasure, person)
    ledger.close()
    files = [file.read_bytes() for file in path.parent.iterdir()]
    assert [person for person in erased if any(person.encode() in file for file in files)] == []
    assert PEOPLE[1].encode() in path.read_bytes()
