"""Owns what becomes of errors: a line on stderr for each, and the exit code of the command."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from typer._click.exceptions import ClickException  # typer has no other name for what is typed wrong
from typer.core import TyperGroup

from service.cli.printing import say
from service.core.harmless import visible
from service.core.unavailable import StorageError
from service.operations.errors import Ended, NotFound, OperationError, WrongValues

_NO = (NotFound, Ended)  # it was asked for rightly, and the answer is no


class Commands(TyperGroup):
    """The commands: whatever operation one of them calls, its errors end here."""

    def make_context(self, *arguments: object, **named: object) -> typer.Context:
        """Read what was typed before the name of a command."""
        with _mistakes_visible():
            return super().make_context(*arguments, **named)  # type: ignore[arg-type, return-value]  # same

    def invoke(self, context: typer.Context) -> object:  # type: ignore[override]  # typer hides the class it passes
        """Run a command."""
        try:
            with _mistakes_visible():
                return super().invoke(context)
        except OperationError as error:
            say(*_lines(error), err=True)
            raise typer.Exit(1 if isinstance(error, _NO) else 2) from error
        except StorageError as error:
            say(*str(error).split("\n"), err=True)
            raise typer.Exit(2) from error


@contextmanager
def _mistakes_visible() -> Iterator[None]:
    """Make visible what is repeated of words that were typed wrong: they may be pasted from anywhere."""
    try:
        yield
    except ClickException as mistake:
        mistake.message = visible(mistake.message)
        raise


def _lines(error: OperationError) -> Iterator[str]:
    if not isinstance(error, WrongValues):
        yield str(error)
        return
    for field, value, sentence in error.mistakes:
        yield f"--{field.replace('_', '-')} {value}: {sentence}"
