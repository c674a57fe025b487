"""Owns the rule that system tests look at the service from outside: they import nothing of it."""

import ast
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY

FOLDERS = (REPOSITORY / "tests" / "system", REPOSITORY / "tests" / "support" / "outside")
MODULES = sorted(path for folder in FOLDERS for path in folder.glob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the names of the packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_system_test_imports_nothing_of_the_service(path: Path) -> None:
    assert "service" not in imported(path)


def test_builders_which_know_the_service_are_not_used_either() -> None:
    assert [path.name for path in MODULES if "builders" in path.read_text(encoding="utf-8")] == []
