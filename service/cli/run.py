"""Owns the command `run`: settings in, a served process out, one clear line for whatever keeps it from starting."""

from typing import TYPE_CHECKING, Annotated

import typer
import typer.core

from service.cli.setting_up import refuse, settings_or_refuse
from service.core.program import same_program

if TYPE_CHECKING:
    from typer._click import Context  # typer has no other name for what it passes

    from service.settings import Settings


class WithSettings(typer.core.TyperCommand):
    """A command whose help ends with every setting: one source for help, docs and checks.

    The settings are read when that help is asked for: importing them takes longer than any other help.
    """

    def get_help(self, ctx: "Context") -> str:
        """Return the help, with the settings."""
        self.epilog = _settings_help()
        return super().get_help(ctx)


def _settings_help() -> str:
    from service.settings import PREFIX, Settings

    lines = [
        f"{PREFIX}{name.upper()}  {field.description}  [{_shown(field.default)}]"
        for name, field in Settings.model_fields.items()
    ]
    return "\n\n".join(["Settings (environment, or a .env file in the working directory):", *lines])


def _shown(default: object) -> str:
    return "unset" if default in (None, "") else str(default)


def run(
    host: Annotated[str | None, typer.Option(help="Instead of POSTBACK_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of POSTBACK_PORT.")] = None,
    operator_port: Annotated[int | None, typer.Option(help="Instead of POSTBACK_OPERATOR_PORT.")] = None,
    *,
    migrate: Annotated[bool, typer.Option("--migrate", help="Run pending migrations first (PostgreSQL).")] = False,
    worker: Annotated[str | None, typer.Option(hidden=True, help="What a supervisor assigns to its worker.")] = None,
) -> None:
    """Serve postbacks until SIGTERM or SIGINT.

    SIGHUP makes it read its certificate and its senders and keys again; with
    several workers it replaces one after the other. A SIGHUP that comes
    because its terminal was closed ends it. Each end finishes what has begun.

    Example: python -m service run --port 8080

    Exit code: 0 told to stop, 2 it cannot start: why is on stderr, 70 a
    worker was killed, 74 the storage failed.
    """
    from service.process.hang_up import hold_hang_ups

    hold_hang_ups()
    settings = settings_or_refuse(host=host, port=port, operator_port=operator_port, migrate=migrate or None)
    from service.auth.access import StartRefused
    from service.core.unavailable import StorageError
    from service.process.sockets import CannotListen

    try:
        raise typer.Exit(_serve(settings, worker))
    except (StartRefused, StorageError, CannotListen) as refusal:
        refuse([str(refusal)])


def _serve(settings: "Settings", worker: str | None) -> int:
    """Be what was asked for: a worker, the supervisor of several, or the only process."""
    from service.process import single_process, supervisor, worker_process
    from service.process.control_channel import Assignment

    if worker:
        return worker_process.run(settings, Assignment.read(worker))
    if settings.workers > 1:
        return supervisor.run(settings, (*same_program(), "run"))
    return single_process.run(settings)
