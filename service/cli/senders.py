"""Owns the commands `senders …`: who may send, how each writes, and what is asked of its requests."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from service.auth.networks import Networks
from service.cli.registering import Json, registered, registry, tell_done, tell_json
from service.cli.setting_up import refuse
from service.core.lifecycle import STATUSES
from service.core.roster import CHECKS
from service.core.sender import PRESETS, Field, NumberFormat

if TYPE_CHECKING:
    from service.storage.schema.tables import RegisteredSender
    from service.storage.senders import Rows

app = typer.Typer(
    help="Who may send postbacks, how each of them writes, and what is asked of its requests.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(help="The sender's name, as rows, logs and metrics show it.")]
_Preset = Annotated[str | None, typer.Option(help=f"How it writes: {', '.join(PRESETS)}.")]
_Numbers = Annotated[NumberFormat | None, typer.Option(help="Amounts: point (1.50), comma (1,50) or cents (150).")]
_Fields = Annotated[
    list[str] | None,
    typer.Option("--field", metavar="THEIRS=OURS", help="One more parameter name, e.g. aff_sub=click_id."),
]
_Required = Annotated[
    list[str] | None, typer.Option("--require", metavar="FIELD", help="What it must send, instead of the preset's.")
]
_Networks = Annotated[
    list[str] | None, typer.Option("--network", metavar="CIDR", help="Addresses that it sends from, e.g. 192.0.2.0/24.")
]
_Rate = Annotated[int | None, typer.Option("--rate", min=0, help="Postbacks a second at most; 0: any number.")]
_Reported = Annotated[
    list[str] | None,
    typer.Option("--report-only", metavar="CHECK", help=f"Only count what fails it: {', '.join(CHECKS)}."),
]
_Duplicates = Annotated[
    Literal["first", "click", "sum"] | None, typer.Option(help="What a repeated click id is (docs/status.md).")
]
_Statuses = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="THEIRS=OURS", help="One more word for a status, e.g. paid_out=approved."),
]
_Subject = Annotated[str | None, typer.Option("--oauth-subject", help="The client that its access tokens name.")]
_NONE = "none"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_FIELDS = get_args(Field)
_RESERVED = ("key", "test")  # parameters of every sender's: the credential, and the mark of a test


@app.command()
def add(  # noqa: PLR0913 - the options
    name: Name,
    *,
    preset: _Preset = None,
    numbers: _Numbers = None,
    field: _Fields = None,
    require: _Required = None,
    network: _Networks = None,
    rate: _Rate = None,
    report_only: _Reported = None,
    duplicates: _Duplicates = None,
    status: _Statuses = None,
    oauth_subject: _Subject = None,
) -> None:
    """Register a sender.

    It writes as the preset of its name does, or the one you name, or ezmob.
    Then make it a key: python -m service keys create NAME

    Example: python -m service senders add acme --preset voluum --field aff=goal

    Exit code: 0 registered, 2 bad usage, the name is taken, or it cannot be
    stored.
    """
    row = new_sender(name, preset)
    _change(row, preset, numbers, field, require, network, rate, report_only, duplicates, status, oauth_subject)
    with registry() as senders:
        senders.put_sender(row, new=True)
    tell_done(f"{name} is registered")


@app.command("set")
def set_(  # noqa: PLR0913 - the options
    name: Name,
    *,
    preset: _Preset = None,
    numbers: _Numbers = None,
    field: _Fields = None,
    require: _Required = None,
    network: _Networks = None,
    rate: _Rate = None,
    report_only: _Reported = None,
    duplicates: _Duplicates = None,
    status: _Statuses = None,
    oauth_subject: _Subject = None,
) -> None:
    """Change a sender; what you do not name stays as it is.

    A list that you give replaces the old one, and `none` empties it.

    Example: python -m service senders set acme --network 192.0.2.0/24 --report-only none

    Exit code: 0 changed, 1 there is no such sender, 2 bad usage, or it cannot
    be stored.
    """
    with registry() as senders:
        row = _known(senders.rows(), name)
        _change(row, preset, numbers, field, require, network, rate, report_only, duplicates, status, oauth_subject)
        senders.put_sender(row, new=False)
    tell_done(f"{name} is changed")


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List who is registered, with the number of live keys.

    JSON keys: senders [{those of `show`}].

    Exit code: 0 listed (there may be none), 2 the database cannot be read.
    """
    rows = registered()
    if as_json:
        tell_json({"senders": [_members(row, rows) for row in rows.senders]})
        return
    for row in rows.senders:
        state = "disabled" if row.disabled_at else f"{_live_keys(row.name, rows)} live keys"
        typer.echo(f"{row.name:<20} {row.preset:<10} {row.numbers:<6} {state}")
    typer.echo(f"{len(rows.senders)} in all")


@app.command()
def show(name: Name, *, as_json: Json = False) -> None:
    """Show everything about one sender.

    JSON keys: name, preset, numbers, fields {theirs: ours}, required,
    networks, rate_per_second, report_only, duplicates, statuses (its own
    words), oauth_subject, created_at, disabled_at, live_keys, signing_secrets (how many).

    Exit code: 0 shown, 1 there is no such sender, 2 the database cannot be
    read.
    """
    rows = registered()
    members = _members(_known(rows, name), rows)
    if as_json:
        tell_json(members)
        return
    for member, told in members.items():
        typer.echo(f"{member:<16} {_shown(told)}")


@app.command()
def disable(name: Name) -> None:
    """Refuse everything that a sender sends (`forbidden`), whatever its keys.

    Exit code: 0 it is disabled, 1 there is no such sender, 2 it cannot be
    stored.
    """
    _switch(name, datetime.now(UTC))
    tell_done(f"{name} is disabled")


@app.command()
def enable(name: Name) -> None:
    """Let a disabled sender send again.

    Exit code: 0 it is enabled, 1 there is no such sender, 2 it cannot be
    stored.
    """
    _switch(name, None)
    tell_done(f"{name} is enabled")


def new_sender(name: str, preset: str | None = None) -> "RegisteredSender":
    """Return a new row, or end the command for a name that cannot be one."""
    from service.storage.schema.tables import RegisteredSender

    if not _NAME.fullmatch(name) or name == "unknown":
        refuse([f"{name!a}: a name is lower-case letters, digits, and _ . - between them, and not unknown"])
    chosen = preset or (name if name in PRESETS else "ezmob")
    return RegisteredSender(name=name, preset=chosen, numbers="point", created_at=datetime.now(UTC))


def _switch(name: str, disabled_at: datetime | None) -> None:
    with registry() as senders:
        row = _known(senders.rows(), name)
        row.disabled_at = disabled_at and (row.disabled_at or disabled_at)
        senders.put_sender(row, new=False)


def _known(rows: "Rows", name: str) -> "RegisteredSender":
    found = next((row for row in rows.senders if row.name == name), None)
    if found is None:
        typer.echo(f"{name}: no such sender is registered; `senders list` shows all", err=True)
        raise typer.Exit(1)
    return found


def _change(  # noqa: PLR0913, PLR0917 - the options again
    row: "RegisteredSender",
    preset: str | None,
    numbers: NumberFormat | None,
    fields: list[str] | None,
    required: list[str] | None,
    networks: list[str] | None,
    rate: int | None,
    report_only: list[str] | None,
    duplicates: str | None,
    statuses: list[str] | None,
    oauth_subject: str | None,
) -> None:
    """Put what was given into the row, or end the command with a line for each mistake."""
    mistakes = [
        *([] if preset is None or preset in PRESETS else [f"--preset {preset}: there are {', '.join(PRESETS)}"]),
        *_wrong_fields(_given(fields)),
        *(f"--require {one}: there are {', '.join(_FIELDS)}" for one in _given(required) if one not in _FIELDS),
        *_wrong_networks(_given(networks)),
        *_wrong_statuses(_given(statuses)),
        *(f"--report-only {one}: there are {', '.join(CHECKS)}" for one in _given(report_only) if one not in CHECKS),
    ]
    if mistakes:
        refuse(mistakes)
    row.preset = preset or row.preset
    row.numbers = numbers or row.numbers
    row.duplicates = duplicates or row.duplicates
    if fields is not None:
        row.fields = dict(one.split("=", 1) for one in _given(fields))
    if statuses is not None:
        row.statuses = {theirs.lower(): ours for theirs, ours in (one.split("=", 1) for one in _given(statuses))}
    if required is not None:
        row.required = _given(required) or None
    if networks is not None:
        row.networks = [str(Networks.parse(one)) for one in _given(networks)]
    if report_only is not None:
        row.report_only = _given(report_only)
    if rate is not None:
        row.rate_per_second = rate or None
    if oauth_subject is not None:
        row.oauth_subject = None if oauth_subject == _NONE else oauth_subject


def _given(listed: Sequence[str] | None) -> list[str]:
    return [] if listed is None or list(listed) == [_NONE] else list(dict.fromkeys(listed))


def _wrong_fields(fields: Sequence[str]) -> Iterator[str]:
    for one in fields:
        theirs, _, ours = one.partition("=")
        if ours not in _FIELDS:
            yield f"--field {one}: it looks like aff_sub=click_id; ours are {', '.join(_FIELDS)}"
        elif not theirs or theirs in _RESERVED:
            yield f"--field {one}: a parameter cannot be called that ({', '.join(_RESERVED)} are every sender's)"


def _wrong_networks(networks: Sequence[str]) -> Iterator[str]:
    for one in networks:
        try:
            Networks.parse(one)
        except ValueError as error:
            yield f"--network {one}: {error}"


def _wrong_statuses(statuses: Sequence[str]) -> Iterator[str]:
    for one in statuses:
        theirs, _, ours = one.partition("=")
        if not theirs or ours not in STATUSES:
            yield f"--status {one}: it looks like paid_out=approved; ours are {', '.join(STATUSES)}"


def _members(row: "RegisteredSender", rows: "Rows") -> dict[str, object]:
    sender = rows.roster().senders[row.name].sender
    return {
        "name": row.name,
        "preset": row.preset,
        "numbers": row.numbers,
        "fields": dict(sender.fields),
        "required": sorted(sender.required),
        "networks": row.networks,
        "rate_per_second": row.rate_per_second,
        "report_only": row.report_only,
        "duplicates": row.duplicates,
        "statuses": row.statuses,
        "oauth_subject": row.oauth_subject,
        "created_at": row.created_at,
        "disabled_at": row.disabled_at,
        "live_keys": _live_keys(row.name, rows),
        "signing_secrets": sum(one.sender == row.name and one.revoked_at is None for one in rows.secrets),
    }


def _live_keys(name: str, rows: "Rows") -> int:
    roster, now = rows.roster(), datetime.now(UTC)
    return sum(key.sender == name and key.live(now) for key in roster.keys.values())


def _shown(told: object) -> str:
    match told:
        case None | []:
            return "-"
        case dict():
            return " ".join(f"{theirs}={ours}" for theirs, ours in told.items())
        case list():
            return " ".join(map(str, told))
        case datetime():
            return f"{told:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(told)
