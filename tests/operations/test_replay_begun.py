"""A replay that was begun is gone on with by the rules of then, and accepts nothing that an import refuses."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from service.core.sender import Sender
from service.operations.files.row_file import RowFile
from service.operations.importing.file import ImportFile
from service.operations.replay import carry_out
from service.storage.erased_hashes import sha256
from service.storage.ledger import Ledger
from service.storage.replays import Replays
from tests.support import builders
from tests.support.engines import ON_POSTGRES, Engine
from tests.support.imported import imported
from tests.support.replayed import ME, carried_out, foreseen, outcomes, refused, replayed

KEYS = "SELECT click_id, transaction_id, value FROM conversion ORDER BY 1, 2"


def by(sender: Sender) -> Mapping[str, Sender]:
    return {"ezmob": sender}


class Interrupted(Exception):  # noqa: N818 - what happened
    """The replay ends before it says what became of it."""


class Unfinished(Replays):
    """A book in which nobody comes to the end."""

    def finish(self, _outcomes: Mapping[str, str]) -> None:
        """Be interrupted."""
        raise Interrupted


def interrupted(engine: Engine, ledger: Ledger, sender: Sender = EZMOB) -> None:
    """Replay everything, and be interrupted after the rows."""
    author = replace(ME, sender=sender)
    book = Unfinished(engine.database.replays()._writes)  # noqa: SLF001 - the same book
    with pytest.raises(Interrupted):
        asyncio.run(carry_out(foreseen(engine, author), ledger, book, author))


def counted(engine: Engine) -> list[object]:
    tables = ("conversion", "status_change", "duplicate", "rejected_postback")
    return [engine.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]  # noqa: S608 - our own names


def test_what_was_begun_by_other_rules_is_gone_on_with_by_those(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1"), refused("c=a&value=1"), refused("c=b&value=1&txid=t")])
    interrupted(engine, ledger, replace(EZMOB, duplicates="sum"))
    before = counted(engine), engine.rows(KEYS)
    assert before[0] == [3, 0, 0, 3]
    assert replayed(engine, ledger) == ["stored", "stored", "stored"]
    assert (counted(engine), engine.rows(KEYS)) == before
    assert engine.rows("SELECT DISTINCT outcome FROM replay") == [("stored",)]


def test_of_two_who_replay_at_once_by_different_rules_the_first_decides(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1"), refused("c=a&value=1")])
    summing = replace(ME, sender=replace(EZMOB, duplicates="sum"))
    mine, theirs = foreseen(engine), foreseen(engine, summing)
    assert carried_out(mine, engine, ledger) == ["stored", "duplicate"]
    assert carried_out(theirs, engine, ledger, summing) == ["stored", "duplicate"]
    assert counted(engine) == [1, 0, 1, 2]


def test_what_was_begun_is_finished_although_it_would_be_left_alone_now(engine: Engine, ledger: Ledger) -> None:
    """It was stored, and judged now it would be the conflict that it was before."""
    ledger.commit([builders.postback("c=a&value=1"), builders.postback("c=a&value=2")])
    ledger.commit([builders.postback("c=a&value=2&conversion_status=approved")])
    interrupted(engine, ledger)
    engine.change("DELETE FROM status_change")
    before = counted(engine)
    assert replayed(engine, ledger) == ["duplicate"]
    assert counted(engine) == before
    assert engine.rows("SELECT replay_outcome FROM rejected_postback") == [("duplicate",)]


def test_what_was_begun_by_a_version_before_is_finished_by_the_rules_of_now(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1")])
    interrupted(engine, ledger)
    engine.change("UPDATE replay SET rules = NULL")
    assert replayed(engine, ledger) == ["stored"]
    assert counted(engine) == [1, 0, 0, 1]


def test_what_a_version_before_stored_is_found_although_its_key_would_be_another_now(
    engine: Engine, ledger: Ledger
) -> None:
    ledger.commit([refused("c=a&value=1"), refused("c=b&value=1")])
    interrupted(engine, ledger)
    engine.change("UPDATE replay SET rules = NULL")
    before = counted(engine)
    summing = replace(ME, sender=replace(EZMOB, duplicates="sum"))
    assert carried_out(foreseen(engine, summing), engine, ledger) == ["stored", "stored"]
    assert counted(engine) == before
    assert engine.rows("SELECT DISTINCT outcome FROM replay") == [("stored",)]


@ON_POSTGRES
def test_what_was_erased_meanwhile_is_not_stored_and_not_called_replayed(engine: Engine, ledger: Ledger) -> None:
    """On SQLite nobody erases beside a replay."""
    ledger.commit([refused("c=gone&value=1")])
    attempts = foreseen(engine)
    engine.change(
        "INSERT INTO deletion (run, table_name, outcome, process, reason, rows, first_received_at, last_received_at,"  # noqa: S608 - our own hash
        " deleted_by, deleted_at, click_id_sha256) VALUES ('erase 1', 'conversion', 'stored', '', 'erase', 1,"
        " '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 'me', '2026-02-01 00:00:00.000000',"
        f" '{sha256('gone')}')"
    )
    assert carried_out(attempts, engine, ledger) == ["invalid_value"]
    assert engine.rows("SELECT replayed_at, replay_outcome FROM rejected_postback") == [(None, None)]
    assert counted(engine) == [0, 0, 0, 1]


TIMES = """c,value,when,conversion_status
junk,1,junk,
never,1,,
future,1,2038-01-01T00:00:00Z,
ancient,1,0001-01-01T00:00:00Z,
both,1,junk,lead0
good,1,2026-01-05T00:00:00Z,lead0
twice,1
"""


def with_times(tmp_path: Path) -> ImportFile:
    (tmp_path / "rows.csv").write_text(TIMES, encoding="utf-8")
    return ImportFile(RowFile(tmp_path / "rows.csv", "csv"), "when", sender=replace(EZMOB, strict_status=True))


@pytest.mark.parametrize("noted", [True, False], ids=["with its column in the book", "by a version before"])
def test_a_row_that_its_import_refused_for_its_time_is_refused_again(
    engine: Engine, ledger: Ledger, tmp_path: Path, *, noted: bool
) -> None:
    imported(with_times(tmp_path), engine.database, ledger, tmp_path / "report.csv")
    if not noted:
        engine.change("DELETE FROM imported_file")
        engine.change("DELETE FROM rejected_postback WHERE outcome = 'invalid_status'")
    kept = engine.rows("SELECT outcome, detail FROM rejected_postback ORDER BY id")
    assert [str(detail).partition(" is ")[2][:12] for outcome, detail in kept if outcome == "malformed_body"][:4] == [
        *("no ISO 8601 ", "absent", "more than 5 ", "not between "),
    ]
    knowing = replace(ME, sender=replace(EZMOB, statuses={"lead0": "pending"}))
    told = sorted(outcomes(foreseen(engine, knowing)))
    assert told == [("malformed_body", False)] * (5 + noted) + [("stored", True)] * noted
    assert replayed(engine, ledger, knowing) == ["stored"] * noted
    moments = engine.rows("SELECT click_id, received_at FROM conversion")
    assert moments == [("good", "2026-01-05 00:00:00.000000")] * noted


FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@pytest.mark.parametrize(
    "raw",
    [
        builders.raw("c=a&value=1", is_test=True),
        builders.raw("c=a&value=1&test=0", is_test=True),
        builders.raw("c=a&value=1&test=1&test=0", is_test=True),
        builders.posted(b"c=a&value=1&test=0", FORM, is_test=True),
        builders.posted(b'{"c":"a","value":1,"test":"0"}', JSON, is_test=True),
        builders.posted(b'{"c":"a","value":1,"test":[]}', JSON, query=b"test=1&test=1", is_test=True),
        builders.posted(b"c=a&value=1&test=0", FORM, query=b"test=1"),  # as versions before 0007 kept it
        builders.posted(b'{"c":"a","value":1,"test":"1"}', JSON, query=b"test=1"),
    ],
)
def test_what_came_with_a_test_key_is_never_replayed_as_real(engine: Engine, ledger: Ledger, raw: RawPostback) -> None:
    ledger.commit([refused("", Outcome.INVALID_STATUS, raw=raw)])
    replayed(engine, ledger)
    assert engine.rows("SELECT count(*) FROM conversion WHERE NOT is_test") == [(0,)]
    if b"[]" not in raw.body:
        assert engine.rows("SELECT is_test FROM conversion") == [(1,)]
