"""Functions and files stay small enough to be read at a glance."""

import ast
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

from tests.support.documents import REPOSITORY

FOLDERS = ("service", "dashboards", "deploy", "stack", "tests", ".ci")
LONGEST_FUNCTION, LONGEST_FILE = 50, 300
MEDIAN, NINETIETH_PERCENTILE = 11, 30
# What is still too long: each entry goes when its file is mended.
LONG_FUNCTIONS: frozenset[str] = frozenset()
LONG_FILES: frozenset[str] = frozenset()


def name_of(path: Path) -> str:
    """Return a file's path in the repository."""
    return path.relative_to(REPOSITORY).as_posix()


SOURCES = {
    name_of(path): path.read_text(encoding="utf-8")
    for folder in FOLDERS
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
    if "node_modules" not in path.parts
}


def lengths(source: str) -> list[tuple[str, int]]:
    """Return each function and its lines, its decorators left out and its docstring included."""
    return [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@cache
def all_lengths() -> list[int]:
    """Return the lines of every function."""
    return [length for source in SOURCES.values() for _, length in lengths(source)]


def test_no_function_is_longer_than_a_screen() -> None:
    too_long = {
        f"{name}: {function}"
        for name, source in SOURCES.items()
        for function, length in lengths(source)
        if length > LONGEST_FUNCTION
    }
    assert too_long == LONG_FUNCTIONS


def test_no_file_is_longer_than_a_reader_is_patient() -> None:
    assert {name for name, source in SOURCES.items() if source.count("\n") > LONGEST_FILE} == LONG_FILES


def test_most_functions_are_short() -> None:
    assert median(all_lengths()) <= MEDIAN
    assert quantiles(all_lengths(), n=10)[-1] <= NINETIETH_PERCENTILE


def test_there_is_something_to_measure() -> None:
    assert len(all_lengths()) > 3000
    assert lengths("@cache\ndef a():\n    return 1\n\n\nasync def b(): ...\n") == [("a", 2), ("b", 1)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_is_looked_at(folder: str) -> None:
    assert any(name.startswith(f"{folder}/") for name in SOURCES)
