"""Owns what every test may ask for: the size of the proofs, and a place to leave figures that can be quoted."""

import os
from collections.abc import Callable
from typing import Literal

import pytest

_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the figures."""
    config.stash[_FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures that the tests left, below the results."""
    if config.stash[_FIGURES]:
        terminalreporter.section("figures")
    for line in config.stash[_FIGURES]:
        terminalreporter.write_line(line)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Take one line for the summary."""
    lines = request.config.stash[_FIGURES]
    return lambda line: lines.append(f"{request.node.name}: {line}")


@pytest.fixture(scope="session")
def form() -> Literal["short", "long"]:
    """Tell which form of the proofs is wanted; the long one is `make soak`."""
    return "long" if os.environ.get("POSTBACK_SOAK") == "1" else "short"
