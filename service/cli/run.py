"""Owns the command `run`: settings in, a served process out, one clear line for whatever keeps it from starting."""

from typing import Annotated

import typer

from service.cli.setting_up import refuse, settings_or_refuse
from service.settings import PREFIX, Settings


def _settings_help() -> str:
    lines = [
        f"{PREFIX}{name.upper()}  {field.description}  [{_shown(field.default)}]"
        for name, field in Settings.model_fields.items()
    ]
    return "\n\n".join(["Serve postbacks until SIGTERM.", "Settings (environment, or a .env file):", *lines])


def _shown(default: object) -> str:
    return "unset" if default in (None, "") else str(default)


def run(
    host: Annotated[str | None, typer.Option(help=f"Instead of {PREFIX}HOST.")] = None,
    port: Annotated[int | None, typer.Option(help=f"Instead of {PREFIX}PORT.")] = None,
    operator_port: Annotated[int | None, typer.Option(help=f"Instead of {PREFIX}OPERATOR_PORT.")] = None,
    *,
    migrate: Annotated[bool, typer.Option("--migrate", help="Run pending migrations first (PostgreSQL).")] = False,
    worker: Annotated[str | None, typer.Option(hidden=True, help="What a supervisor assigns to its worker.")] = None,
) -> None:
    """Serve postbacks until SIGTERM."""
    settings = settings_or_refuse(host=host, port=port, operator_port=operator_port, migrate=migrate or None)
    from service.auth.authenticator import StartRefused
    from service.core.unavailable import StorageError
    from service.process.sockets import CannotListen

    try:
        raise typer.Exit(_serve(settings, worker))
    except (StartRefused, StorageError, CannotListen) as refusal:
        refuse([str(refusal)])


def _serve(settings: Settings, worker: str | None) -> int:
    """Be what was asked for: a worker, the supervisor of several, or the only process."""
    from service.process import single_process as server
    from service.process import supervisor
    from service.process.control_channel import Assignment

    if worker:
        return server.run_worker(settings, Assignment.read(worker))
    return supervisor.run(settings) if settings.workers > 1 else server.run(settings)


run.__doc__ = _settings_help()  # the settings teach themselves: one source for help, docs and checks
