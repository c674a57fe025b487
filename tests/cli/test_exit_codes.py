"""What becomes of an operation's errors: a line for each on stderr, and the exit code of the contract."""

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
    ],
)
def test_an_error_of_an_operation_ends_the_command(error: Exception, code: int, lines: list[str]) -> None:
    app = typer.Typer(cls=Commands)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None:
        """Make the app a group."""

    ended = CliRunner().invoke(app, ["fail"])
    assert (ended.exit_code, ended.stdout, ended.stderr.splitlines()) == (code, "", lines)
