"""A sender's name that nobody has ends every command that takes one with exit code 2, and the near names are told."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import typer.core
import typer.main
from typer.testing import CliRunner

from service.cli import app
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.location import SqliteFile
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders, registration
from tests.support.commands import Command
from tests.support.migrated import put_migrated

DATABASE = "data/postback.db"
MISTYPED, MEANT = "acme-meida", "acme-media"
GIVEN = {  # what else commands ask for, by the name of the argument or option
    "url": "/postback?c=a&value=1",
    "file": "rows.csv",
    "since": "7d",
    "reason": "why",
}


def of_a_sender(group: "typer.core.TyperGroup | typer.core.TyperCommand", *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the command lines of all commands that take a sender, as the parser knows them."""
    for name, command in getattr(group, "commands", {}).items():
        yield from of_a_sender(command, *path, name)
    params = cast("list[typer.core.TyperArgument | typer.core.TyperOption]", group.params)
    named = [one for one in params if one.name == "sender" or getattr(one, "metavar", "") == "SENDER"]
    for one in named:
        asked = [it for it in params if it is not one and (it.required or it.name == "reason")]
        yield (*path, *_said(one, MISTYPED), *(word for it in asked for word in _said(it, GIVEN[str(it.name)])))


def _said(parameter: typer.core.TyperArgument | typer.core.TyperOption, value: str) -> list[str]:
    return [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]


COMMANDS = list(of_a_sender(typer.main.get_command(app)))  # type: ignore[arg-type]  # it is one of the two


@pytest.fixture
def stored(bare: Path) -> None:
    """Register one sender, and keep rows of two that are gone."""
    put_migrated(bare / DATABASE)
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ledger.commit([builders.postback("c=a&value=1")._replace(sender="past")])
    ledger.commit([Rejection(builders.raw("c=a"), "gone", Outcome.MISSING_VALUE, "absent", "a")])
    database = SqliteDatabase(SqliteFile(bare / DATABASE))
    for name in (MEANT, "ezmob"):  # the one of the settings is registered
        database.senders().put_sender(registration.sender(name), new=True)
    database.close()
    ledger.close()
    (bare / "rows.csv").write_text("c,value\na,1\n")


def test_the_commands_that_take_a_sender_are_found() -> None:
    found = {" ".join(command[: command.index(MISTYPED)]) for command in COMMANDS}
    assert found >= {"replay --sender", "export --sender", "rejected list --sender", "keys list", "check --sender"}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_mistyped_sender_is_refused_and_the_near_name_told(service: Command, command: tuple[str, ...]) -> None:
    ended = service(*command)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"{MISTYPED}: no such sender is registered")
    assert f"(did you mean {MEANT}?)" in ended.err


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_empty_name_is_not_taken_for_none_at_all(command: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(app, ["" if word == MISTYPED else word for word in command])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "is empty" in ended.stderr or "no such sender is registered" in ended.stderr


READING = [
    command
    for command in COMMANDS
    if command[0] in ("export", "rejected", "replay", "reconcile") and "--as" not in command
]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("name", [MEANT, "voluum", "past", "gone"])
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_sender_that_is_known_or_has_rows_may_be_asked_for(
    service: Command, command: tuple[str, ...], name: str
) -> None:
    yes = ["--dry-run"] if command[0] == "replay" else []
    assert service(*(name if word == MISTYPED else word for word in command), *yes).code in {0, 1}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("name", "near"),
    [("ezmop", "ezmob"), ("PAST", "past"), ("Acme-Media", MEANT), ("volum", "voluum"), ("zzzz", None)],
)
def test_what_is_near_may_be_a_preset_or_a_sender_with_rows(service: Command, name: str, near: str | None) -> None:
    told = service("export", "--sender", name).err
    assert f"(did you mean {near}" in told if near else "did you mean" not in told


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", ["show", "set", "disable", "enable"])
def test_of_a_sender_that_is_to_be_shown_or_changed_the_near_names_are_told(service: Command, command: str) -> None:
    ended = service("senders", command, MISTYPED)
    assert ended.code == 2
    assert f"(did you mean {MEANT}?)" in ended.err
