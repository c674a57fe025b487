"""Owns a file of rows that is imported, and what is stored and told of each row."""

import asyncio
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.core.judging import Part
from service.core.verdict import Entry
from service.operations.files.row_file import Form, RowFile
from service.operations.importing.file import ImportFile
from service.operations.importing.operation import begin_import, import_rows
from service.operations.importing.report import Report, ReportPlace
from service.storage.database import Database
from service.storage.ledger import MAX_BATCH, Committed, Ledger
from tests.support.engines import Engine

CSV = b"""c,value,when,note
a,1.50,2026-01-01,
a,1.5,2026-01-02,
a,2,2026-01-03,"=1+1
two lines"
b,x,2026-01-04T05:06+02:00,
{click_id},1,2026-01-05,
"c ""quoted"" ",1,2026-01-06,
d,-7,2026-01-07 08:09:10.123456,\xe2\x82\xac
e,1,2026-01-08
f,1,,
a,3,2026-01-10,
"""
OUTCOMES = [
    "stored",
    "duplicate",
    "conflict",
    "invalid_value",
    "unexpanded_macro",
    "invalid_click_id",
    "stored",
    "malformed_body",
    "stored",
    "conflict",
]
TABLES = ("conversion", "duplicate", "rejected_postback")
STORED = [3, 1, 6]  # rows in each of the tables, after CSV
GROUP = 3  # rows


def numbers(engine: Engine) -> list[object]:
    """Count the rows of each table."""
    return [engine.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]  # noqa: S608 - our own names


def written(tmp_path: Path, content: bytes = CSV, name: str = "rows.csv", group_rows: int = MAX_BATCH) -> ImportFile:
    """Write a file, and open it to be imported."""
    (tmp_path / name).write_bytes(content)
    return ImportFile(RowFile(tmp_path / name, "ndjson" if name.endswith("ndjson") else "csv"), group_rows=group_rows)


def in_threes(tmp_path: Path) -> ImportFile:
    """Commit three rows at a time, so that ten are several groups."""
    return written(tmp_path, group_rows=GROUP)


def imported(  # noqa: PLR0913 - what an import needs
    rows: ImportFile, database: Database, ledger: Ledger, report: Path, form: Form = "csv", *, every: bool = True
) -> tuple[int, dict[str, int]]:
    """Import as the command does, with a report of every row; return after which row it went on, and the tally."""
    begun = asyncio.run(begin_import(database, rows))
    with Report(ReportPlace(report, form, every), begun.rows.request_id) as told:
        after = asyncio.run(import_rows(begun, database, ledger, told))
        return after, {outcome.value: number for outcome, number in told.tally.items()}


def outcomes(report: Path) -> list[str]:
    """Return what a report says became of each row."""
    if report.suffix == ".ndjson":
        return [json.loads(line)["outcome"] for line in report.read_text().splitlines()]
    return [row[1] for row in csv.reader(report.read_text().splitlines()[1:])]


class Interrupted(Exception):  # noqa: N818 - what happened
    """The import ends in the middle."""


@dataclass
class Dying:
    """A ledger that is interrupted at one of its commits, before it or after it."""

    ledger: Ledger
    commits: int
    after: bool

    def open(self) -> None:
        """Do nothing: it is open."""

    def close(self) -> None:
        """Do nothing: who opened it closes it."""

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit, or not."""
        self.commits -= 1
        if self.commits < 0 and not self.after:
            raise Interrupted
        done = self.ledger.commit(entries, parts)
        if self.commits < 0:
            raise Interrupted
        return done
