"""Owns what becomes of an operation's errors: a line on stderr for each, and the exit code of the command."""

from collections.abc import Iterator

import typer
from typer.core import TyperGroup

from service.cli.printing import printable
from service.core.unavailable import StorageError
from service.operations.errors import Ended, NotFound, OperationError, WrongValues

_NO = (NotFound, Ended)  # it was asked for rightly, and the answer is no


class Commands(TyperGroup):
    """The commands: whatever operation one of them calls, its errors end here."""

    def invoke(self, context: typer.Context) -> object:  # type: ignore[override]  # typer hides the class it passes
        """Run a command."""
        try:
            return super().invoke(context)
        except OperationError as error:
            for line in _lines(error):
                typer.echo(printable(line), err=True)
            raise typer.Exit(1 if isinstance(error, _NO) else 2) from error
        except StorageError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from error


def _lines(error: OperationError) -> Iterator[str]:
    if not isinstance(error, WrongValues):
        yield str(error)
        return
    for field, value, sentence in error.mistakes:
        yield f"--{field.replace('_', '-')} {value}: {sentence}"
