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
) -> None:
    """Serve postbacks until SIGTERM."""
    settings = settings_or_refuse(host=host, port=port, operator_port=operator_port, migrate=migrate or None)
    from service import server
    from service.auth.authenticator import StartRefused
    from service.storage.engine import StorageError

    try:
        raise typer.Exit(server.run(settings))
    except (StartRefused, StorageError, server.CannotListen) as refusal:
        refuse([str(refusal)])


run.__doc__ = _settings_help()  # the settings teach themselves: one source for help, docs and checks
