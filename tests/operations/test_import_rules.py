"""An import is judged by the rules that it was begun by, on every engine, whatever its sender's are now."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.judging import Manner
from service.core.presets import EZMOB
from service.core.sender import Sender
from service.core.unavailable import StorageError
from service.core.verdict import Verdict
from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.importing.file import ImportFile
from service.operations.importing.operation import (
    OtherRules,
    UnderWay,
    begin_import,
    import_file,
    import_rows,
    rehearse_import,
)
from service.operations.importing.report import ReportPlace
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import ON_POSTGRES, Engine
from tests.support.outside.postgres import run_sql

PENDING = replace(EZMOB, statuses={"lead0": "pending"})
ROWS = """c,value,conversion_status
a,1,
a,1,
a,2.5,
b,x,
c,"1,5",
d,1,lead0
"""
TABLES = ("conversion", "status_change", "duplicate", "rejected_postback")
KEYS = "SELECT click_id, transaction_id, value FROM conversion ORDER BY 1, 2"


class Told:
    """A report in memory, which is empty before each import."""

    def __init__(self) -> None:
        self.rows = 0
        self.outcomes: list[str] = []

    def add(self, raws: Sequence[object], _understood: object, verdicts: Sequence[Verdict], /) -> None:
        """Keep the words."""
        self.rows += len(raws)
        self.outcomes += [str(verdict.outcome.value) for verdict in verdicts]

    def start_over(self) -> None:
        """Do nothing: it has no row of an earlier import."""


def given(tmp_path: Path, sender: Sender, content: str = ROWS, column: str | None = None, rows: int = 2) -> ImportFile:
    (tmp_path / "rows.csv").write_text(content, encoding="utf-8")
    return ImportFile(RowFile(tmp_path / "rows.csv", "csv"), column, sender=sender, group_rows=rows)


def imported(engine: Engine, ledger: Ledger, rows: ImportFile) -> list[str]:
    async def run() -> list[str]:
        told = Told()
        await import_rows(await begin_import(engine.database, rows), engine.database, ledger, told)
        return told.outcomes

    return asyncio.run(run())


def counted(engine: Engine) -> list[object]:
    return [engine.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]  # noqa: S608 - our own names


CHANGED = {
    "sums": replace(PENDING, duplicates="sum"),
    "ignores transaction ids": replace(PENDING, duplicates="click"),
    "has a decimal comma": replace(PENDING, numbers="comma"),
    "writes other words": replace(PENDING, statuses={}),
    "has other names": replace(PENDING, fields={"click": "click_id", "value": "value"}),
    "must send a currency": replace(PENDING, required=frozenset({"click_id", "value", "currency"})),
}


@pytest.mark.parametrize("now", CHANGED.values(), ids=CHANGED.keys())
def test_given_again_the_rules_of_then_apply_whatever_the_sender_does_now(
    engine: Engine, ledger: Ledger, tmp_path: Path, now: Sender
) -> None:
    first = imported(engine, ledger, given(tmp_path, PENDING))
    assert first == ["stored", "duplicate", "conflict", "invalid_value", "invalid_value", "stored"]
    before = counted(engine), engine.rows(KEYS)
    assert imported(engine, ledger, given(tmp_path, now)) == first
    assert (counted(engine), engine.rows(KEYS)) == before


def test_what_happened_since_changes_no_verdict_and_moves_no_conversion_back(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    content = "c,value,conversion_status\nk,1,\nk,2,\nk,2,approved\nk,2,pending\n"
    rows = given(tmp_path, EZMOB, content)
    first = imported(engine, ledger, rows)
    assert first == ["stored", "conflict", "updated", "illegal_transition"]
    ledger.commit([builders.postback("c=k&value=2&conversion_status=refunded")])
    before = counted(engine)
    assert imported(engine, ledger, rows) == first
    assert counted(engine) == before
    with engine.database.audit() as audit:
        assert audit.repeated_request_ids() == 0


def test_it_says_so_when_the_rules_have_changed_and_only_then(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    imported(engine, ledger, given(tmp_path, PENDING))
    ((begun_at,),) = engine.rows("SELECT begun_at FROM imported_file")
    for sender, changed in ((PENDING, False), (CHANGED["has a decimal comma"], True)):
        foreseen = asyncio.run(rehearse_import(engine.database, given(tmp_path, sender)))
        assert foreseen.outcomes == {"accepted": 4, "invalid_value": 2}
        assert (foreseen.rules_of is not None) is changed
        assert (f"{foreseen.rules_of:%Y-%m-%d %H:%M:%S.%f}" if foreseen.rules_of else begun_at) == begun_at


def test_what_a_version_before_imported_is_known_by_its_first_row(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    first = imported(engine, ledger, given(tmp_path, PENDING))
    engine.change("DELETE FROM imported_file")
    begun = asyncio.run(begin_import(engine.database, given(tmp_path, PENDING)))
    assert begun.manner is Manner.AGAIN
    assert imported(engine, ledger, given(tmp_path, PENDING)) == first
    with engine.database.audit() as audit:
        assert audit.repeated_request_ids() == 0


def test_a_file_that_is_refused_is_not_begun(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    assert ledger
    with pytest.raises(UnreadableFile, match="no column is called"):
        asyncio.run(begin_import(engine.database, given(tmp_path, EZMOB, "click,value\na,1\n")))
    assert engine.rows("SELECT * FROM imported_file") == []


@ON_POSTGRES
def test_one_import_of_a_file_at_a_time(engine: Engine, tmp_path: Path) -> None:
    with_comma = given(tmp_path, CHANGED["has a decimal comma"])  # which makes it no other file
    rows, report = given(tmp_path, PENDING), ReportPlace(tmp_path / "report.csv", "csv")
    with engine.database.imports().alone(with_comma.request_ids[0]) as held:
        assert held
        with pytest.raises(UnderWay, match="under way"):
            asyncio.run(import_file(engine.database, rows, report))
        other = tmp_path / "other"
        other.mkdir()
        asyncio.run(import_file(engine.database, given(other, PENDING, "c,value\nz,1\n"), report))
    assert (
        asyncio.run(import_file(engine.database, rows, ReportPlace(tmp_path / "its.csv", "csv"))).outcomes.total() == 6
    )


@ON_POSTGRES
def test_who_is_no_longer_alone_stops_before_the_next_group(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    rows = given(tmp_path, PENDING, "c,value\n" + "".join(f"k{number},1\n" for number in range(20)))

    async def run() -> None:
        begun = await begin_import(engine.database, rows)
        with engine.database.imports().alone(rows.request_ids[0]) as held:
            assert held
            told = Told()

            def terminated() -> None:
                if told.rows:
                    run_sql(engine.url, _TERMINATE)
                held()

            await import_rows(begun, engine.database, ledger, told, held=terminated)

    with pytest.raises(StorageError):
        asyncio.run(run())
    assert 0 < len(engine.rows(KEYS)) < 20
    with engine.database.imports().alone(rows.request_ids[0]) as held:
        assert held  # whoever lost it holds no lock


_TERMINATE = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
    WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


UNNOTED = "a,1,\na,1,\na,2,\na,2,approved\nb,1,\nb,1,\n"  # stored, duplicate, conflict, updated, stored, duplicate


@pytest.mark.parametrize(
    ("now", "transaction_id"), [("sums", ""), ("ignores transaction ids", "t"), ("has a decimal comma", "")]
)
def test_what_a_version_imported_that_noted_no_rules_is_not_judged_by_others(
    engine: Engine, ledger: Ledger, tmp_path: Path, now: str, transaction_id: str
) -> None:
    """Under today's rules its rows may have other keys: they would be stored a second time."""
    rows = [row.split(",") for row in UNNOTED.splitlines()]
    content = "c,value,conversion_status,txid\n"
    content += "".join(f"{name},{value},{status},{transaction_id}\n" for name, value, status in rows)
    imported(engine, ledger, given(tmp_path, PENDING, content))
    engine.change("DELETE FROM imported_file")
    before = counted(engine), engine.rows(KEYS)
    with pytest.raises(OtherRules, match="Set them back"):
        imported(engine, ledger, given(tmp_path, CHANGED[now], content))
    assert (counted(engine), engine.rows(KEYS)) == before


def test_what_such_a_version_imported_is_known_although_its_first_rows_are_gone(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    rows = given(tmp_path, EZMOB, "c,value,conversion_status\nfirst,1,\nsecond,1,\n" + UNNOTED)
    imported(engine, ledger, rows)
    engine.change("DELETE FROM imported_file")
    engine.change("DELETE FROM conversion WHERE click_id IN ('first', 'second')")
    ledger.commit(
        [builders.postback("c=a&value=2&conversion_status=refunded")]
    )  # the conflict would be a duplicate now
    before = counted(engine)
    told = imported(engine, ledger, rows)
    assert told == ["stored", "stored", "stored", "duplicate", "conflict", "updated", "stored", "duplicate"]
    assert counted(engine)[1:] == before[1:]
    with engine.database.audit() as audit:
        assert audit.repeated_request_ids() == 0
