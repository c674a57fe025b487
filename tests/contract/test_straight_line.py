"""One straight line: only intake parses, and only the writer and what stands before an engine commit or judge."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY

SERVICE = REPOSITORY / "service"
# who may reach what: parsing, judging, and making rows durable
ALLOWED = {
    "parse": {"intake_parsing.py", "core/rereading.py"},  # and what is stored already is read again by the same rules
    "judge_all": {"writing/foresight.py", "storage"},
    "commit": {"writing/committing.py", "spool/wiring.py", "storage"},
    "commit_async": {"writing/committing.py", "spool/wiring.py", "storage"},
}
DEFINED_IN = {"parse": "service.core.parsing", "judge_all": "service.core.judging"}


def reached(path: Path) -> Iterator[str]:
    """Yield what a module imports of parsing and judging, and each call of a commit."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=module, names=names):
                yield from (one.name for one in names if DEFINED_IN.get(one.name) == module)
            case ast.Call(func=ast.Attribute(attr="commit" | "commit_async" as name)):
                yield name
            case ast.Attribute(value=ast.Name(id="parsing" | "judging"), attr="parse" | "judge_all" as name):
                yield name  # of the module, imported as a whole
            case _:
                pass


@pytest.mark.parametrize("what", ALLOWED)
def test_nothing_else_parses_judges_or_commits(what: str) -> None:
    found = {path.relative_to(SERVICE) for path in SERVICE.rglob("*.py") if what in reached(path)}
    strangers = {str(path) for path in found if not {str(path), path.parts[0]} & ALLOWED[what]}
    assert strangers == set()
    assert found, "the test looks for what is not there"
