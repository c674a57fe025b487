"""Owns what `senders` and `keys` share: the way to what is registered, also beside the service, and how it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.cli.setting_up import configured_database, refuse
from service.core.sender import PRESETS

if TYPE_CHECKING:
    from service.core.sender import Sender
    from service.settings import Settings
    from service.storage.database import Database
    from service.storage.senders import Rows, Senders

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]
_SOON = "a running service follows within ten seconds"


@contextmanager
def registry() -> "Iterator[Senders]":
    """Give what is registered, to be changed; whatever keeps that from being done ends the command with exit code 2.

    Where nobody serves a SQLite file the command is its one writer meanwhile: the file is made and migrated. Where
    somebody does, a change is one transaction beside, on a connection that never checkpoints.
    """
    from service.storage.senders import Refused

    with configured_database() as database, _opened(database):
        if refusal := database.migrations().status().refusal:
            refuse([f"{database.name}: {refusal}; run `python -m service migrate up`, on SQLite restart the service"])
        try:
            yield database.senders()
        except Refused as refused:
            refuse([str(refused)])


@contextmanager
def _opened(database: "Database") -> Iterator[None]:
    from service.core.unavailable import ErrorKind, StorageError

    if database.shared:
        yield
        return
    ledger = database.ledger()
    try:
        ledger.open()
    except StorageError as error:
        if error.kind != ErrorKind.LOCKED:
            raise
        yield
        return
    try:
        yield
    finally:
        ledger.close()


def registered() -> "Rows":
    """Return what is registered; without a database file, that is nothing."""
    from service.core.unavailable import ErrorKind, StorageError
    from service.storage.senders import Rows

    with configured_database() as database:
        try:
            return database.senders().rows()
        except StorageError as error:
            if error.kind != ErrorKind.NO_DATABASE:
                raise
            return Rows()


def chosen_sender(name: str | None, settings: "Settings", rows: "Rows") -> "Sender":
    """Return the registered sender of a name, or else the preset; without a name the one of the settings.

    A name that is neither ends the command with exit code 2.
    """
    found = rows.roster().senders.get(name or settings.sender.name)
    if found:
        return found.sender
    if name is None:
        return settings.sender
    if name not in PRESETS:
        refuse([f"{name}: no such sender is registered, and no preset is called that; `senders list` shows all"])
    return PRESETS[name]


def tell_json(answer: object) -> None:
    """Print an answer as JSON; moments in UTC with a Z."""
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def tell_done(sentence: str) -> None:
    """Say what was changed, and when it counts."""
    typer.echo(f"{sentence}; {_SOON}")
