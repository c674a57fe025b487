"""What becomes of an operation's errors: a line for each on stderr, and the exit code of the contract."""

import re
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from service.cli.exit_codes import Commands
from service.core.unavailable import ErrorKind, StorageError
from service.operations.errors import BeingServed, Ended, Mistake, NotFound, Refused, WrongValues

MISTAKES = [Mistake("report_only", "x", "there is no x"), Mistake("since", "soon", "no time")]


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (NotFound("nobody"), 1, ["nobody"]),
        (Ended("it is over"), 1, ["it is over"]),
        (Refused("not like that"), 2, ["not like that"]),
        (BeingServed("not now"), 2, ["not now"]),
        (WrongValues(MISTAKES), 2, ["--report-only x: there is no x", "--since soon: no time"]),
        (StorageError("there is no database", ErrorKind.NO_DATABASE), 2, ["there is no database"]),
        (NotFound("a\x1b[31m"), 1, ["a\\x1b[31m"]),
        (StorageError("no version a\nb", ErrorKind.MIGRATION), 2, [r"no version a\nb"]),
    ],
)
def test_an_error_of_an_operation_ends_the_command(error: Exception, code: int, lines: list[str]) -> None:
    def fail() -> None:
        raise error

    ended = CliRunner().invoke(app_of(fail), ["fail"])
    assert (ended.exit_code, ended.stdout, ended.stderr.splitlines()) == (code, "", lines)


@pytest.mark.parametrize("error", [ValueError("a\x1b[31m\nb"), ExceptionGroup("some", [ValueError("a\x1b[31m\nb")])])
def test_what_nobody_foresaw_is_one_line_that_says_where(error: Exception) -> None:
    def fail() -> None:
        raise error

    ended = CliRunner().invoke(app_of(fail), ["fail"])
    assert (ended.exit_code, ended.stdout) == (70, "")
    told = r"a mistake of this program, please report it: ValueError: a\\x1b\[31m\\nb"
    assert re.fullmatch(told + r"( \(test_exit_codes.py, line \d+\))?\n", ended.stderr)


def test_a_crash_of_the_service_is_left_to_its_log() -> None:
    def run() -> None:
        raise ValueError("a bug")

    ended = CliRunner().invoke(app_of(run), ["run"])
    assert (ended.stderr, str(ended.exception)) == ("", "a bug")


def test_whoever_reads_no_further_is_told_nothing() -> None:
    def fail() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    ended = CliRunner().invoke(app_of(fail), ["fail"])
    assert (ended.exit_code, ended.stderr) == (1, "")


def app_of(command: Callable[[], None]) -> typer.Typer:
    """Return a group of commands with this one."""
    app = typer.Typer(cls=Commands)
    app.command()(command)

    @app.command()
    def other() -> None:
        """Make the app a group."""

    return app
