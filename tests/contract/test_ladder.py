"""The rules of tests/README.md that a program can check: who imports from whom, what is not patched, what is named."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY

TESTS = REPOSITORY / "tests"
ROOMS = sorted(path.name for path in TESTS.iterdir() if (path / "__init__.py").exists())
MODULES = sorted(TESTS.rglob("*.py"))
RUNGS = ("quick", "test", "proofs", "soak")
VARIABLES = ("POSTBACK_REQUIRE_TOOLS", "POSTBACK_SOAK", "POSTBACK_MODEL_SEED", "POSTBACK_CLOCK")
CLOCKS = {"time", "datetime", "sleep", "random", "monotonic", "perf_counter", "Event"}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the name in a module and the full name of everything that it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def from_tests(path: Path) -> Iterator[list[str]]:
    """Yield the names that a module imports from the tests, in parts, without the first."""
    for _, name in imports(parsed(path)):
        if name.startswith("tests."):
            yield name.split(".")[1:]


@pytest.mark.parametrize("room", ROOMS)
def test_a_folder_imports_helpers_from_support_and_from_itself_only(room: str) -> None:
    found = {(path.name, parts[0]) for path in (TESTS / room).rglob("*.py") for parts in from_tests(path)}
    assert {(name, folder) for name, folder in found if folder not in {room, "support"}} == set()


def test_the_root_imports_helpers_from_support_only() -> None:
    assert {parts[0] for path in TESTS.glob("*.py") for parts in from_tests(path)} <= {"support"}


def test_nobody_imports_a_module_of_tests() -> None:
    imported = {(path.name, part) for path in MODULES for parts in from_tests(path) for part in parts}
    assert {(name, part) for name, part in imported if part.startswith("test_") or part == "conftest"} == set()


def test_what_drives_the_running_service_needs_no_other_helper() -> None:
    paths = [*(TESTS / "support" / "outside").rglob("*.py"), *(TESTS / "system").glob("*.py")]
    found = {(path.name, ".".join(parts)) for path in paths for parts in from_tests(path)}
    assert {(name, helper) for name, helper in found if not helper.startswith("support.outside.")} == set()


def patches(path: Path) -> Iterator[str]:
    """Yield the full names of what a module puts into modules of the service, by monkeypatch or by assignment."""
    tree = parsed(path)
    known = dict(imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr") and node.args:
            yield _full_name(node.args, known)
        if isinstance(node, ast.Assign):
            yield from (ast.unparse(target) for target in node.targets if isinstance(target, ast.Attribute))


def _full_name(arguments: list[ast.expr], known: dict[str, str]) -> str:
    first, second = ast.unparse(arguments[0]), ast.unparse(arguments[1])
    if isinstance(arguments[0], ast.Name):  # an object, then the name of its attribute
        return f"{known.get(first, first)}.{second}".replace("'", "")
    return first.removeprefix("f").replace("'", "")


def is_clock_or_size(name: str) -> bool:
    """Tell whether a name is of a clock, or of a constant of a module: a delay or a size."""
    last = name.rpartition(".")[2]
    return name.startswith("service.") and (last in CLOCKS or last.isupper() or "{" in last)


def test_clocks_delays_and_sizes_are_given_not_patched() -> None:
    found = {
        (path.relative_to(TESTS).as_posix(), name)
        for path in MODULES
        for name in patches(path)
        if is_clock_or_size(name)
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "m.setattr('service.intake.time', fake)",
        "import service.spool.drain\nservice.spool.drain._DELAY = 1",
        "from service.storage import copying\nm.setattr(copying, 'RANGE_ROWS', 7)",
        "m.setattr(f'service.process.vitals.{name}', 1)",
    ],
)
def test_every_way_to_patch_is_noticed(line: str, tmp_path: Path) -> None:
    (tmp_path / "patching.py").write_text(line, encoding="utf-8")
    assert [name for name in patches(tmp_path / "patching.py") if is_clock_or_size(name)] != []


def test_the_page_names_every_folder_mark_rung_and_variable() -> None:
    page = (TESTS / "README.md").read_text(encoding="utf-8")
    options = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"][
        "ini_options"
    ]
    marks = [mark.partition(":")[0] for mark in options["markers"]]
    promised = {*(f"`{room}/`" for room in ROOMS), *(f"`{name}`" for name in (*marks, *VARIABLES))}
    promised |= {f"`make {rung}`" for rung in RUNGS}
    assert {name for name in promised if name not in page} == set()


def test_the_page_names_no_folder_and_no_helper_that_is_not_there() -> None:
    page = (TESTS / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:support/)?[a-z_/]+(?:/|\.py))`", page)
    assert named
    assert {name for name in named if not (TESTS / name).exists()} == set()
