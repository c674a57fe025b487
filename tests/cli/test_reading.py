"""Commands that read: without a database, or with one that they cannot read, they say which one, and make none."""

from pathlib import Path

import pytest

from tests.support.commands import Command

DATABASE = "data/postback.db"  # where the default setting puts it, in the bare folder
READING = ["lookup came", "rejected list", "rejected show 1", "export --since 7d", "reconcile partner.csv", "deletions"]
READING += ["senders list", "senders show acme", "keys list", "secrets list", "migrate status", "erase came --dry-run"]
READING += ["replay --dry-run", "rejected export --since 7d"]


@pytest.mark.parametrize("command", READING)
def test_what_reads_makes_no_database_and_names_the_one_that_it_looked_for(
    service: Command, bare: Path, command: str
) -> None:
    (bare / "partner.csv").write_text("c,value\n", encoding="ascii")
    ended = service(*command.split())
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [f"there is no database at {bare / DATABASE}"]
    assert [path.name for path in bare.iterdir()] == ["partner.csv"]


@pytest.mark.parametrize("command", ["lookup came", "rejected list", "keys list"])
def test_what_reads_names_a_database_that_it_cannot_read(service: Command, bare: Path, command: str) -> None:
    (bare / "text.db").write_text("This is no database." * 100, encoding="ascii")
    ended = service(*command.split(), DATABASE_URL="sqlite:///text.db")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"{bare / 'text.db'}: SQLITE_NOTADB")


@pytest.mark.parametrize("command", ["lookup came", "doctor --offline"])
def test_a_folder_that_cannot_be_looked_into_is_told(service: Command, bare: Path, command: str) -> None:
    """A name that is too long fails as a folder without rights does, for root too."""
    ended = service(*command.split(), DATABASE_URL=f"sqlite:///{'n' * 300}/p.db")
    assert f"{bare / ('n' * 300) / 'p.db'}: File name too long" in ended.out + ended.err
    assert "Traceback" not in ended.err
    assert ended.code == (1 if "doctor" in command else 2)


def test_doctor_names_the_database_that_it_looked_for_and_makes_none(service: Command, bare: Path) -> None:
    ended = service("doctor", "--offline", "--json")
    assert ended.code == 1
    assert f"there is no database at {bare / DATABASE}" in ended.out
    assert list(bare.iterdir()) == []
