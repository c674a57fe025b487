"""Every pattern of the service takes no more steps than a text has letters, whatever the text is."""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest

from tests.support.documents import REPOSITORY
from tests.support.pumping import slow_on

_TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((REPOSITORY / "service").rglob("*.py"))}
_USES = frozenset({"search", "sub", "subn", "split", "finditer", "findall", "match", "fullmatch"})
# Given at once to a pattern that is made where it is used: what is in it is a constant, or was escaped.
_INLINE = {r"[!#-\[\]-~]+": "fullmatch", r'\\(["\\/])': "sub"}


def modules() -> Iterator[ModuleType]:
    """Import what makes patterns."""
    for path in _TREES:
        if "re.compile(" in path.read_text(encoding="utf-8"):
            yield importlib.import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))


def patterns() -> dict[str, re.Pattern[Any]]:
    """Return every pattern that a module, a class of it, or a table in it has."""
    found: dict[str, re.Pattern[Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            tables: Mapping[Any, Any] = value if isinstance(value, Mapping) else {"": value}
            for key, one in tables.items():
                if isinstance(one, re.Pattern) and one not in found.values():
                    found[f"{module.__name__}.{name}{f'[{key}]' if key else ''}"] = one
    return found


def uses() -> dict[str, set[str]]:
    """Return how each name is used that might be a pattern's, anywhere in the service."""
    found: dict[str, set[str]] = {}
    for tree in _TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _USES:
                of = node.value.value if isinstance(node.value, ast.Subscript) else node.value
                name = of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
                found.setdefault(name, set()).add(node.attr)
    return found


PATTERNS, NAMES = patterns(), uses()
OLD = re.compile(r"\s*-?(?:(?:[$€]|[A-Za-z]{3})\s?-?[0-9][0-9.,' ]*|[0-9][0-9.,' ]*\s?(?:[$€]|[A-Za-z]{3}))\s*")


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_no_more_than_the_length_of_a_text(name: str) -> None:
    used = NAMES.get(name.rpartition(".")[2].partition("[")[0], set())
    assert slow_on(PATTERNS[name], sorted(used or {"fullmatch", "match"})) is None


@pytest.mark.parametrize("inline", _INLINE)
def test_a_pattern_that_is_made_where_it_is_used_does_neither(inline: str) -> None:
    assert slow_on(re.compile(inline), [_INLINE[inline]]) is None


def test_no_other_pattern_is_made_where_it_is_used() -> None:
    made = {
        node.args[0].value
        for tree in _TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _USES
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
        if isinstance(node.args[0], ast.Constant)
    }
    assert made == set(_INLINE)


@pytest.mark.parametrize(
    ("pattern", "use"),
    [
        (OLD, "fullmatch"),
        (re.compile(r"(?:a+)+b"), "match"),
        (re.compile(r"[a-z]+[a-z0-9]+!"), "fullmatch"),
        (re.compile(r"eyJ[0-9A-Za-z_-]{8,}\."), "search"),
        (re.compile(rb"x?\A[ <]*(.*?)[ >]*\Z"), "match"),
        (re.compile(rb"(?:a|ab|b)*c"), "match"),
    ],
    ids=["spaces around an amount", "nested", "one beside the other", "searched", "around", "either"],
)
def test_a_pattern_that_goes_back_over_a_text_is_found(pattern: re.Pattern[Any], use: str) -> None:
    assert slow_on(pattern, [use]) is not None


def test_all_patterns_are_looked_at() -> None:
    made = sum(path.read_text(encoding="utf-8").count("re.compile(") for path in _TREES)
    assert len(PATTERNS) >= made - 2  # those of a text that is looked for
