"""Owns the checks of the database: those of its engine, then those of its schema."""

from collections.abc import Iterator
from functools import partial

from service.core.program import PROGRAM
from service.operations.examine import postgres, sqlite_file
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, guarded, ok, warning, wrong
from service.storage.postgres.database import PostgresDatabase
from service.storage.sqlite.database import SqliteDatabase


def check(case: Case) -> Iterator[Finding]:
    """Yield the findings about the engine, and then those about the schema."""
    match case.database:
        case SqliteDatabase(path=path):
            yield from sqlite_file.check(case, path)
        case PostgresDatabase() as database:
            yield from postgres.check(case, database)
    yield from guarded([("schema_version", partial(_version, case)), ("schema", partial(_schema, case))])


def _version(case: Case) -> Finding:
    with case.audit():
        pass  # without a database nothing is asked, and no file is made
    status = case.database.migrations().status()
    sentence = f"the database is at {status.current or 'none'}, this code at {status.newest}"
    if status.pending:
        return wrong("schema_version", sentence, f"Run `{PROGRAM} migrate up`; on SQLite, restart the service.")
    if status.refusal:
        return wrong("schema_version", status.refusal, "Run the newer version of the service.")
    if status.current != status.newest:
        return warning("schema_version", f"{sentence}, which may run on it", "Finish the upgrade of this host.")
    return ok("schema_version", f"{status.current}, the newest that this code knows")


def _schema(case: Case) -> Finding:
    with case.audit() as audit:
        faults = audit.schema_faults()
    advice = "Somebody changed the tables by hand: restore them, or the database, from a backup."
    return graded(
        "schema", "; ".join(faults) or "tables and keys as declared", advice, bad=bool(faults), doubtful=False
    )
