"""Moving from SQLite to PostgreSQL: everything arrives as it was, after interruptions too, and a difference is told."""

from pathlib import Path

import pytest

from service.core.chunk import CHUNK_BYTES, ChunkSize
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.presets import EZMOB
from service.core.unavailable import StorageError
from service.core.verdict import Entry
from service.storage.copying import Compared, copy
from service.storage.erasure import Whose
from service.storage.location import PostgresServer as Place
from service.storage.location import SqliteFile, location_of
from service.storage.schema.tables import ImportedFile, Replay
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders, registration
from tests.support.engines import Engine

STORED, CHANGED, REPEATED, REFUSED = 60, 9, 11, 13
SMALL = ChunkSize(7, CHUNK_BYTES)  # makes many ranges out of few rows


class Interrupted(Exception):  # noqa: N818 - what happened
    """The power went off."""


@pytest.fixture
def source(path: Path) -> SqliteFile:
    """Make a grown file that nobody serves: texts, params, NULs and bytes of all kinds in it."""
    ledger = SqliteLedger(path)
    ledger.open()
    texts = ["a", "Z", "é", "\\N", "\\.", "tab%09", "😀", "'\"", "%0D%0A"]
    labels = [text for text in texts if "%0" not in text]  # they hold no control characters
    entries: list[Entry] = [
        builders.postback(f"c=click-{n}&value={n}.50&goal={labels[n % len(labels)]}&x={texts[n % len(texts)]}&x=\\")
        for n in range(STORED)
    ]
    entries += [builders.postback(f"c=click-{n}&value={n}.5&goal={labels[n % len(labels)]}") for n in range(REPEATED)]
    entries += [builders.rejection(Outcome.INVALID_VALUE, None if n % 2 else f"click-{n}") for n in range(REFUSED - 1)]
    entries += [
        builders.postback(f"c=click-{n}&value={n}&goal={labels[n % len(labels)]}&conversion_status=approved&x=%5C")
        for n in range(CHANGED)
    ]
    everything = builders.posted(bytes(range(256)))
    entries.append(Rejection(everything, None, Outcome.UNSUPPORTED_MEDIA_TYPE, "NUL to \\xff", None))
    ledger.commit(entries)
    book = SqliteDatabase(SqliteFile(path)).replays()
    rules = EZMOB.rules()
    at = builders.RECEIVED_AT
    book.begin([Replay(rejected_request_id="r", request_id="n", replayed_by="é", replayed_at=at, rules=rules)])
    file = ImportedFile(request_id="f", name="é.csv", sender="ezmob", rules=rules, begun_at=at)
    SqliteDatabase(SqliteFile(path)).imports().begin(file)
    ledger.commit([builders.rejection(Outcome.MISSING_VALUE, "gone")])
    erasure = SqliteDatabase(SqliteFile(path)).erasure()
    erasure.erase(Whose(("gone",)), erasure.find(Whose(("gone",)), lambda _: None), "é", builders.RECEIVED_AT)
    registered = SqliteDatabase(SqliteFile(path)).senders()
    registered.put_sender(registration.sender(statuses={"ö": "x"}, networks=["192.0.2.0/24"]), new=True)
    registered.put_keys(registration.key(is_test=True, expires_at=builders.RECEIVED_AT))
    registered.put_secrets(registration.secret())
    ledger.close()
    return SqliteFile(path)


@pytest.fixture
def target(postgres_url: str) -> Place:
    place = location_of(postgres_url)
    assert isinstance(place, Place)
    return place


def quiet(_: str, __: int, ___: int) -> None:
    pass


def rows(compared: list[Compared]) -> dict[str, int]:
    assert all(it.equal for it in compared)
    return {it.table: it.target_rows for it in compared}


ALL = {
    "conversion": STORED,
    "status_change": CHANGED,
    "duplicate": REPEATED,
    "rejected_postback": REFUSED,
    "shared_input": 0,
    "correction": 0,
    "replay": 1,
    "deletion": 1,
    "sender": 1,
    "api_key": 1,
    "signing_secret": 1,
    "imported_file": 1,
}


def test_everything_arrives_as_it_was(source: SqliteFile, target: Place, postgres_url: str) -> None:
    assert rows(copy(source, target, quiet, SMALL)) == ALL
    there, here = Engine(postgres_url), Engine(f"sqlite:///{source.path}")
    columns = "click_id, goal, value, value_micros, CAST(params AS text), received_at, request_id"
    for statement in (
        f"SELECT {columns} FROM conversion ORDER BY click_id",  # noqa: S608 - our own names
        "SELECT click_id, number, conversion_status, value, CAST(params AS text) FROM status_change ORDER BY click_id",
        "SELECT id, click_id, request_id FROM duplicate ORDER BY id",
        "SELECT id, raw, click_id, outcome, replayed_at FROM rejected_postback ORDER BY id",
        "SELECT rejected_request_id, request_id, replayed_at, CAST(rules AS text) FROM replay",
        "SELECT request_id, name, sender, CAST(rules AS text), begun_at FROM imported_file",
        "SELECT * FROM deletion",
        "SELECT name, CAST(fields AS text), CAST(required AS text), CAST(networks AS text), created_at FROM sender",
        "SELECT id, secret_sha256, CAST(doors AS text), expires_at, revoked_at FROM api_key",
        "SELECT * FROM signing_secret",
    ):
        assert there.rows(statement) == here.rows(statement)


def test_the_target_serves_afterwards_and_its_numbers_go_on(
    source: SqliteFile, target: Place, postgres_url: str
) -> None:
    copy(source, target, quiet, SMALL)
    engine = Engine(postgres_url)
    ledger = engine.database.ledger()
    ledger.open()
    sent: list[Entry] = [
        builders.postback("c=click-0&value=0.5&goal=a"),
        builders.postback("c=new&value=1"),
        builders.rejection(),
    ]
    told = [verdict.outcome.value for verdict in ledger.commit(sent).verdicts]
    ledger.close()
    assert told == ["duplicate", "stored", "invalid_value"]
    assert engine.rows("SELECT max(id) FROM duplicate") == [(REPEATED + 1,)]


@pytest.mark.parametrize("after", [1, 3, 9, 11])
def test_an_interrupted_copy_goes_on_where_it_was(source: SqliteFile, target: Place, after: int) -> None:
    told: list[tuple[str, int]] = []

    def interrupt(table: str, done: int, _: int) -> None:
        told.append((table, done))
        if len(told) == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        copy(source, target, interrupt, SMALL)
    again: list[tuple[str, int]] = []
    assert rows(copy(source, target, lambda table, done, _: again.append((table, done)), SMALL)) == ALL
    assert not {entry for entry in again if "comparing" not in entry[0]} & set(told)


@pytest.mark.parametrize(("size", "rows_each"), [(SMALL, SMALL.rows), (SMALL._replace(bytes=1), 1)])
def test_a_range_ends_where_its_rows_are_many_or_large_enough(
    source: SqliteFile, target: Place, size: ChunkSize, rows_each: int
) -> None:
    told: list[tuple[str, int]] = []
    assert rows(copy(source, target, lambda table, done, _: told.append((table, done)), size)) == ALL
    for name, total in (("conversion", STORED), ("rejected_postback", REFUSED)):
        ends = [*range(rows_each, total, rows_each), total]
        assert [done for table, done in told if table == name] == ends


def test_a_source_that_is_being_served_is_refused(source: SqliteFile, target: Place) -> None:
    ledger = SqliteLedger(source.path)
    ledger.open()
    with pytest.raises(StorageError, match="another process is serving"):
        copy(source, target, quiet, SMALL)
    ledger.close()


def test_a_target_that_holds_something_else_is_refused(source: SqliteFile, target: Place, postgres_url: str) -> None:
    ledger = Engine(postgres_url).database.ledger()
    ledger.open()
    ledger.commit([builders.postback("c=other&value=1")])
    ledger.close()
    with pytest.raises(StorageError, match="not empty"):
        copy(source, target, quiet, SMALL)


def test_a_row_that_differs_in_one_letter_is_told(source: SqliteFile, target: Place, postgres_url: str) -> None:
    engine = Engine(postgres_url)
    engine.change(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.value = ''7''; RETURN NEW; END'"
    )
    engine.change(
        "CREATE TRIGGER spoil BEFORE INSERT ON conversion FOR EACH ROW WHEN (NEW.click_id = 'click-3') "
        "EXECUTE FUNCTION spoil()"
    )
    compared = {it.table: it.equal for it in copy(source, target, quiet, SMALL)}
    assert compared == {
        "conversion": False,
        "status_change": True,
        "duplicate": True,
        "rejected_postback": True,
        "shared_input": True,
        "correction": True,
        "replay": True,
        "deletion": True,
        "sender": True,
        "api_key": True,
        "signing_secret": True,
        "imported_file": True,
    }
    engine.change("DROP FUNCTION spoil CASCADE")
