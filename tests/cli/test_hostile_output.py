"""Every command against a database whose every text bites: at a terminal and to a pipe, as lines and as JSON."""

import json
import os
import shutil
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import pytest
import typer.core
import typer.main

from service.cli import app
from tests.cli.hostile import BITES, DRIVES, KEY_ID, REQUEST_ID, cells, drives_terminal, formulas, plant, strings, text
from tests.cli.hostile_answers import answering
from tests.cli.walking import walked
from tests.support.commands import Ended
from tests.support.processes import starts_processes

__all__ = ["answering"]
SENDER, CLICK_ID, SECRET_ID = text("sender"), text("click_id"), text("id")
OLD, LIST = f"{DRIVES}.db", f"{DRIVES}.csv"
SETTING = f"POSTBACK_{DRIVES.partition(chr(13))[0]}"  # what looks like a setting and is none
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("POSTBACK_")},
    SETTING: DRIVES,
    "TERM": "dumb",
    "NO_COLOR": "1",  # without colours of ours
}


class Recipe(NamedTuple):
    """How a command is typed, how it ends, and which columns its JSON or CSV shows exactly.

    `bites`: its lines show something hostile. ANSWERING in a word is the address of a server whose answers bite.
    """

    typed: tuple[str, ...] = ()
    code: int = 0
    shows: tuple[str, ...] = ()
    bites: bool = True


RECIPES = {
    "run": Recipe(("--host", DRIVES), 2),
    "send": Recipe(("ANSWERING/postback?c={click_id}",), 1),
    "check": Recipe((f"/postback?c=x&value=1&goal={quote(BITES)}", "--sender", SENDER), 1),
    "lookup": Recipe((CLICK_ID,), 0, ("click_id", "sender", "corrected_by", "reason")),
    "replay": Recipe(("--dry-run",), 0, ("sender", "key_id", "client_ip")),
    "reprocess": Recipe(("--sender", SENDER, "--since", "2020-01-01", "--dry-run"), 0),
    "erase": Recipe(("--dry-run", CLICK_ID), 0, ("click_id",)),
    "deletions": Recipe((), 0, ("run", "deleted_by")),
    "doctor": Recipe(("--offline",), 1),
    "backup": Recipe((f"new{OLD}",)),
    "restore": Recipe((OLD,), bites=False),
    "import": Recipe((LIST,), 1),
    "export": Recipe(("--test",), 0, ("sender", "click_id", "goal", "transaction_id", "value", "currency")),
    "reconcile": Recipe((LIST,), 1),
    "rejected list": Recipe((), 0, ("sender", "detail", "click_id", "key_id", "client_ip")),
    "rejected show": Recipe((REQUEST_ID,), 0, ("sender", "detail", "click_id", "key_id", "client_ip")),
    "rejected export": Recipe((), 0, ("sender", "detail", "click_id", "key_id", "client_ip")),
    "migrate up": Recipe(bites=False),
    "migrate down": Recipe((DRIVES, "--yes"), 2),
    "migrate status": Recipe(bites=False),
    "migrate copy": Recipe((f"sqlite:///{DRIVES}", "postgresql://localhost:1/x"), 2),
    "senders add": Recipe(("acme", "--preset", DRIVES), 2),
    "senders set": Recipe((SENDER, "--rate", "5")),
    "senders list": Recipe((), 0, ("sender",)),
    "senders show": Recipe((SENDER,), 0, ("sender", "oauth_subject")),
    "senders disable": Recipe((SENDER,)),
    "senders enable": Recipe((SENDER,)),
    "keys create": Recipe((SENDER, "--label", DRIVES), 0, ("sender",)),
    "keys list": Recipe((), 0, ("sender", "label", "created_by")),
    "keys revoke": Recipe((KEY_ID,)),
    "keys rotate": Recipe((KEY_ID,), 0, ("sender", "label")),
    "secrets create": Recipe((SENDER,), 0, ("sender",)),
    "secrets list": Recipe((), 0, ("sender", "id")),
    "secrets revoke": Recipe((SECRET_ID,)),
}


def commands(
    group: object = typer.main.get_command(app), before: tuple[str, ...] = ()
) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield every command there is, by the words that call it."""
    if isinstance(group, typer.core.TyperGroup):
        for name, command in group.commands.items():
            yield from commands(command, (*before, name))
    elif isinstance(group, typer.core.TyperCommand):
        yield " ".join(before), group


COMMANDS = dict(commands())


class Walk(NamedTuple):
    """How each command ended; `is_ordinary`: words of ours are where these belong."""

    ended: dict[str, Ended]
    at_terminal: bool
    is_ordinary: bool


def has_json(command: typer.core.TyperCommand) -> bool:
    """Return whether it prints JSON if asked."""
    return any("--json" in one.opts for one in command.params)


@pytest.fixture(scope="module", params=["at a terminal", "to a pipe", "where words of ours stand, too"])
@starts_processes
def walk(request: pytest.FixtureRequest, answering: str, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Run every command as it is, and with --json if it has that, in a folder whose files all bite."""
    is_ordinary, at_terminal = not request.param.endswith("too"), request.param != "to a pipe"
    folder = tmp_path_factory.mktemp("planted")
    plant(folder / "data/postback.db", everywhere=not is_ordinary)
    shutil.copy(folder / "data/postback.db", folder / OLD)
    (folder / LIST).write_text(f'click_id,value,"{BITES}"\n"{CLICK_ID}","{BITES}","{BITES}"\n')
    (folder / ".env").write_text(f"{SETTING}=1\n")
    orders = {}
    for name in RECIPES.keys() & COMMANDS.keys():
        words = [word.replace("ANSWERING", answering) for word in RECIPES[name].typed]
        orders[name] = [*name.split(), *words]
        if has_json(COMMANDS[name]):
            orders[f"{name} --json"] = [*name.split(), "--json", *words]
    orders["run"] = orders.pop("run")  # last, for it turns the log of its process on
    ended = walked(folder, orders, ENVIRONMENT, tmp_path_factory.mktemp("walk"), at_terminal=at_terminal)
    return Walk(ended, at_terminal, is_ordinary)


def test_every_command_has_a_recipe() -> None:
    assert RECIPES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_lines_show_and_obey_nothing(walk: Walk, name: str) -> None:
    ended, recipe = walk.ended[name], RECIPES[name]
    is_page = name.endswith("export") and not walk.at_terminal
    assert drives_terminal(ended.err if is_page else ended.out + ended.err) == []
    assert formulas(ended.out if is_page else "") == []
    assert name == "run" or "Traceback" not in ended.out + ended.err  # its log has them
    if walk.is_ordinary:
        assert (ended.code, ended.out + ended.err) == (recipe.code, ended.out + ended.err)
        assert recipe.bites == ("PWNED" in ended.out + ended.err)
        assert not is_page or {text(column) for column in recipe.shows} <= cells(ended.out)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if has_json(command)])
def test_json_is_exact_and_shows_nothing_raw(walk: Walk, name: str) -> None:
    ended, recipe = walk.ended[f"{name} --json"], RECIPES[name]
    assert drives_terminal(ended.out + ended.err) == []
    assert "Traceback" not in ended.out + ended.err
    if walk.is_ordinary:
        assert (ended.code, ended.out + ended.err) == (recipe.code, ended.out + ended.err)
        answer = json.loads(ended.out[ended.out.index("{") :]) if recipe.code < 2 else None
        assert {text(column) for column in recipe.shows} <= strings(answer)
