"""Commands parse, call an operation and print: none reaches storage, spool, intake, writer or keys by itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.core
import typer.main

from service.cli import app
from tests.support.documents import REPOSITORY

COMMANDS = REPOSITORY / "service/cli"
BEHIND_OPERATIONS = tuple(
    f"service.{room}" for room in ("storage", "spool", "intake", "writing", "auth", "web", "operator", "process")
)
WIRING = {
    "setting_up.py": {"service.storage.database"},  # the settings' URL becomes the database that operations are given
    "run.py": {  # this command is the process
        "service.auth.access",
        "service.process",
        "service.process.control_channel",
        "service.process.hang_up",
        "service.process.sockets",
    },
}
PRINTS = re.compile(r"typer\.(s?echo|style)\b|\bConsole\(.*\)\.print|(?<![\w.])print\(|\bstd(out|err)\.(buffer|write)")
ONE_PLACE = {"printing.py", "doctor_report.py"}  # the second has colours; both make visible what they print


def modules() -> list[Path]:
    return sorted(COMMANDS.rglob("*.py"))


def reached(source: str) -> set[str]:
    """Return what a module imports of the rooms behind operations, inside functions and for types too."""
    imported = set(imports(ast.parse(source)))
    return {name for name in imported if name.startswith(BEHIND_OPERATIONS)}


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "service":
            yield from (f"service.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def commands(group: typer.core.TyperGroup) -> Iterator[typer.core.TyperCommand]:
    for command in group.commands.values():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command)
        elif isinstance(command, typer.core.TyperCommand):
            yield command


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(COMMANDS)))
def test_a_module_of_commands_reaches_nothing_but_operations(module: Path) -> None:
    assert reached(module.read_text()) == WIRING.get(str(module.relative_to(COMMANDS)), set())


def test_commands_print_in_one_place() -> None:
    assert {module.name for module in modules() if PRINTS.search(module.read_text())} == ONE_PLACE


def test_every_command_stands_in_such_a_module() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    names = {f"service.cli.{'.'.join(file.relative_to(COMMANDS).with_suffix('').parts)}" for file in modules()}
    homes = [command.callback.__module__ for command in commands(root) if command.callback]
    assert len(homes) > 25
    assert set(homes) <= names


@pytest.mark.parametrize(
    "source",
    [
        "def run():\n    from service.storage.database import database_at\n",
        "def run():\n    import service.spool.reading\n",
        "if TYPE_CHECKING:\n    from service.intake import Intake\n",
        "from service import intake\n",
    ],
)
def test_an_import_is_found_wherever_it_stands(source: str) -> None:
    assert len(reached(source)) == 1
