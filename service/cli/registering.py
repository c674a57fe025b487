"""Owns what `senders`, `keys` and `secrets` share: the way to what is registered, and how a change is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.cli.printing import say
from service.cli.setting_up import configured_database, database_of

if TYPE_CHECKING:
    from service.core.sender import Sender
    from service.operations.register.registry import Rows, Senders
    from service.settings import Settings

_SOON = "a running service follows within ten seconds"


@contextmanager
def registry() -> "Iterator[Senders]":
    """Give what is registered in the database of the settings, to be changed."""
    from service.operations.register import registry as operations

    with configured_database() as database, operations.registry(database) as opened:
        yield opened


def registered(*, must_exist: bool = False, of: str | None = None) -> "Rows":
    """Return what is registered in the database of the settings; without a file, that is nothing, or the end.

    `of` is a sender that it is asked for: a name that nobody has ends the command with exit code 2.
    """
    from service.operations.register import registry as operations

    with database_of(of) as database:
        return operations.registered(database, must_exist=must_exist)


def chosen_sender(name: str | None, settings: "Settings", rows: "Rows") -> "Sender":
    """Return the sender of a name, registered or a preset; without a name the one of the settings. Raises Refused."""
    from service.operations.register.registry import writes_like

    return writes_like(rows, name, settings.sender)


def tell_done(sentence: str) -> None:
    """Say what was changed, and when it counts."""
    say(f"{sentence}; {_SOON}")
