"""Owns the migrated, empty SQLite file that tests begin with: made once a process, because its steps take 0.1 s."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from service.storage.sqlite.ledger import SqliteLedger


def put_migrated(path: Path) -> None:
    """Put a copy where no database is yet, with the rights that the service gives to one that it makes."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder) / "postback.db")
        ledger.open()
        ledger.close()
        return (Path(folder) / "postback.db").read_bytes()
