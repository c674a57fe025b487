"""SECURITY.md counts what was tried: the files are there, and they hold at least as many tests as it says."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.support.documents import REPOSITORY

ROW = re.compile(r"^\| [^|]+ \| (\d+) \| ((?:`[a-z_/]+\.py` ?)+)\|$", re.MULTILINE)
MOST_ROWS = 10


def collected(files: list[str]) -> Counter[str]:
    """Return how many tests pytest finds in each file, without running them."""
    options = ["-q", "--collect-only", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return Counter(line.partition("::")[0] for line in ran.stdout.splitlines() if "::" in line)


@pytest.mark.proof
@pytest.mark.processes
def test_there_are_as_many_tests_as_the_page_says() -> None:
    rows = ROW.findall((REPOSITORY / "SECURITY.md").read_text(encoding="utf-8"))
    assert 0 < len(rows) <= MOST_ROWS
    listed = [[f"tests/{name}" for name in re.findall(r"`([^`]+)`", where)] for _, where in rows]
    there = collected(sorted({name for names in listed for name in names}))
    short = {
        tuple(names): sum(there[name] for name in names)
        for (promised, _), names in zip(rows, listed, strict=True)
        if sum(there[name] for name in names) < int(promised) or not all(there[name] for name in names)
    }
    assert short == {}
