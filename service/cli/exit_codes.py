"""Owns what becomes of errors: a line on stderr for each, and the exit code of the command."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from typer._click.exceptions import ClickException  # typer has no other name for what is typed wrong
from typer.core import TyperGroup

from service.cli.printing import say
from service.core.harmless import visible
from service.core.unavailable import StorageError
from service.operations.errors import Ended, NotFound, OperationError, WrongValues

_NO = (NotFound, Ended)  # it was asked for rightly, and the answer is no
_TYPERS_OWN = (ClickException, typer.Exit, typer.Abort, BrokenPipeError)  # it ends the command, and says what it must
_OUR_MISTAKE = 70  # EX_SOFTWARE of sysexits.h
_RUN = "run"  # a crash of the service is told in its log


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
            say(str(error), err=True)
            raise typer.Exit(2) from error
        except _TYPERS_OWN:
            raise
        except Exception as error:
            if context.invoked_subcommand == _RUN:
                raise
            say(_our_mistake(error), err=True)
            raise typer.Exit(_OUR_MISTAKE) from error


@contextmanager
def _mistakes_visible() -> Iterator[None]:
    """Make visible what is repeated of words that were typed wrong: they may be pasted from anywhere."""
    try:
        yield
    except ClickException as mistake:
        mistake.message = visible(mistake.message)
        raise


def _our_mistake(error: Exception) -> str:
    """Say in one line what nobody foresaw, and where: its text may be anybody's, and a traceback repeats it raw."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    places = [f" ({Path(one.filename).name}, line {one.lineno})" for one in traceback.extract_tb(error.__traceback__)]
    what = "".join(traceback.format_exception_only(error)).rstrip()
    return f"a mistake of this program, please report it: {what}{''.join(places[-1:])}"


def _lines(error: OperationError) -> Iterator[str]:
    if not isinstance(error, WrongValues):
        yield str(error)
        return
    for field, value, sentence in error.mistakes:
        yield f"--{field.replace('_', '-')} {value}: {sentence}"
