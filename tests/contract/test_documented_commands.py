"""The commands that documents show: each is one of ours, with options that it has."""

import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer.core
import typer.main

from service.cli import app
from tests.support.documents import REPOSITORY

SHOWN = re.compile(r"(?:python -m service|\bpostback) ([a-z]+(?: .*)?)")
ENDS = {"|", "&&", ";", "||", "#", ">"}


def shown(document: Path) -> list[str]:
    """Return what follows the program's name on each line of the code blocks of a document."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [found[1] for line in lines if "python -m service" in line and (found := SHOWN.search(line))]


def documents() -> list[Path]:
    """Return every document that shows a command."""
    every = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "alerts" / "runbook.md"]
    return [document for document in sorted(every) if shown(document)]


def mistakes(line: str) -> list[str]:
    """Return the words of a command line that the command does not know."""
    command: object = typer.main.get_command(app)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;>")
    lexer.whitespace_split = True
    unknown = []
    for word in lexer:
        if word in ENDS:
            break
        if isinstance(command, typer.core.TyperGroup):
            if word not in command.commands:
                return [word]
            command = command.commands[word]
        elif word.startswith("--") and isinstance(command, typer.core.TyperCommand):
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            unknown += [] if word.partition("=")[0] in options else [word]
    return unknown


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_command_of_a_document_exists_with_its_options(document: Path) -> None:
    assert {line: wrong for line in shown(document) if (wrong := mistakes(line))} == {}


def test_a_command_or_an_option_that_does_not_exist_is_found() -> None:
    assert mistakes("lookup CLICK_ID --jsno") == ["--jsno"]
    assert mistakes("keys make ezmob") == ["make"]
    assert mistakes("rejected list --since 7d | head") == []


def commands() -> dict[str, typer.core.TyperCommand]:
    """Return every command by its whole name."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    found: dict[str, typer.core.TyperCommand] = {}
    for name, command in group.commands.items():
        for sub, each in getattr(command, "commands", {"": command}).items():
            found[f"{name} {sub}".strip()] = each
    return found


@pytest.mark.parametrize("name", commands())
def test_the_help_of_a_command_teaches_with_an_example_that_it_takes_and_its_exit_codes(name: str) -> None:
    told = inspect.cleandoc(commands()[name].help or "")
    assert re.search(r"^Exit( code:| 0:)", told, re.MULTILINE)
    (example,) = re.findall(r"^Example: python -m service (.*)$", told, re.MULTILINE)
    words = shlex.split(example)
    length = len(name.split())
    assert " ".join(words[:length]) == name
    commands()[name].make_context(name, words[length:])
