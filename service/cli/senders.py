"""Owns the commands `senders …`: who may send, how each writes, and what is asked of its requests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast

import typer

from service.cli.printing import Json, print_json, say
from service.cli.registering import registered, registry, tell_done
from service.core.presets import PRESETS
from service.core.roster import CHECKS
from service.core.sender import DuplicatePolicy, NumberFormat

if TYPE_CHECKING:
    from service.operations.register.senders import Added, Changes

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
_Duplicates = Annotated[DuplicatePolicy | None, typer.Option(help="What a repeated click id is (docs/status.md).")]
_Statuses = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="THEIRS=OURS", help="One more word for a status, e.g. paid_out=approved."),
]
_Strict = Annotated[
    bool | None,
    typer.Option("--strict-status/--any-status", help="Reject an unknown word for the status of a new conversion."),
]
_Currencies = Annotated[
    list[str] | None,
    typer.Option("--currency", metavar="CODE", help="One more currency that it may send, e.g. USDT or HRK."),
]
_Placeholders = Annotated[
    list[str] | None,
    typer.Option(
        "--placeholder", metavar="TEXT", help="One more text that it sends where it has no click id, e.g. no_click."
    ),
]
_NeverKeep = Annotated[
    list[str] | None,
    typer.Option("--never-keep", metavar="NAMES", help="Parameters whose values nobody keeps, e.g. email,phone."),
]
_Subject = Annotated[str | None, typer.Option("--oauth-subject", help="The client that its access tokens name.")]
_NONE = "none"


def _with_changes(do: "Callable[[str, Changes], None]") -> Callable[..., None]:
    """Make a command of what changes a sender: the options that `add` and `set` share, read once."""

    def command(  # noqa: PLR0913 - the options
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
        strict_status: _Strict = None,
        currency: _Currencies = None,
        placeholder: _Placeholders = None,
        never_keep: _NeverKeep = None,
        oauth_subject: _Subject = None,
    ) -> None:
        from service.operations.register.senders import Changes

        never = None if never_keep is None else [name for names in never_keep for name in names.split(",")]
        lists = {"fields": field, "statuses": status, "currencies": currency, "placeholders": placeholder}
        changes = Changes(
            preset=preset,
            numbers=numbers,
            fields=_pairs(_added(field)),
            required=_listed(require),
            networks=_listed(network),
            rate=rate,
            report_only=_listed(report_only),
            duplicates=duplicates,
            statuses=_pairs(_added(status)),
            strict_status=strict_status,
            currencies=_added(currency),
            placeholders=_added(placeholder),
            never_keep=_added(never),
            oauth_subject="" if oauth_subject == _NONE else oauth_subject,
            emptied=list(_emptied(**lists, never_keep=never)),
        )
        do(name, changes)

    command.__doc__ = do.__doc__
    return command


def _listed(given: Sequence[str] | None) -> list[str] | None:
    """Return each once; None if none was given, and nothing for the one word `none`."""
    if given is None:
        return None
    return [] if list(given) == [_NONE] else list(dict.fromkeys(given))


def _emptied(**given: Sequence[str] | None) -> "Iterator[Added]":
    """Yield the lists that the word `none` empties before more is added."""
    return (cast("Added", name) for name, words in given.items() if _NONE in (words or ()))


def _added(given: Sequence[str] | None) -> list[str] | None:
    return None if given is None else [one for one in given if one != _NONE]


def _pairs(given: Sequence[str] | None) -> dict[str, str] | None:
    return None if given is None else {theirs: ours for theirs, _, ours in (one.partition("=") for one in given)}


@app.command("add")
@_with_changes
def add(name: str, changes: "Changes") -> None:
    """Register a sender.

    It writes as the preset of its name does, or the one you name, or ezmob.
    Then make it a key: python -m service keys create NAME

    Example: python -m service senders add acme --preset voluum --field aff=goal

    Exit code: 0 registered, 2 bad usage, the name is taken, or it cannot be
    stored.
    """
    from service.operations.register import senders

    new = senders.NewSender(name, changes)
    with registry() as opened:
        senders.add(opened, new, datetime.now(UTC))
    tell_done(f"{name} is registered")


@app.command("set")
@_with_changes
def set_(name: str, changes: "Changes") -> None:
    """Change a sender; what you do not name stays as it is.

    --field, --status, --currency, --placeholder and --never-keep add to what is
    there, and change a name or word that is there. The word `none` empties such
    a list first: --field none --field aff=goal leaves this one alone. Every
    other list (--require, --network, --report-only) replaces the old one, and
    `none` empties it. What the lists are now is printed.

    Example: python -m service senders set acme --field aff=goal --report-only none

    Exit code: 0 changed, 2 bad usage, no such sender, or it cannot be stored.
    """
    from service.operations.register import senders

    with registry() as opened:
        changed = senders.change(opened, name, changes, datetime.now(UTC))
    tell_done(f"{name} is changed")
    _print_members({member: told for member, told in changed.items() if isinstance(told, list | dict)})


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List who is registered, with the number of live keys.

    JSON keys: senders [{those of `show`}].

    Example: python -m service senders list

    Exit code: 0 listed (there may be none), 2 the database cannot be read.
    """
    from service.operations.register import senders

    listed = senders.listed(registered(must_exist=True), datetime.now(UTC))
    if as_json:
        print_json({"senders": listed})
        return
    for one in listed:
        state = "disabled" if one["disabled_at"] else f"{one['live_keys']} live keys"
        say(f"{one['name']:<20} {one['preset']:<10} {one['numbers']:<6} {state}")
    say(f"{len(listed)} in all")


@app.command()
def show(name: Name, *, as_json: Json = False) -> None:
    """Show everything about one sender.

    JSON keys: name, preset, numbers, fields {theirs: ours}, required,
    networks, rate_per_second, report_only, duplicates, statuses (its own
    words), strict_status, currencies and placeholders (its own), never_keep,
    oauth_subject, created_at, disabled_at, live_keys, signing_secrets (how many).

    Example: python -m service senders show acme

    Exit code: 0 shown, 2 no such sender, or the database cannot be read.
    """
    from service.operations.register import senders

    shown = senders.show(registered(must_exist=True), name, datetime.now(UTC))
    if as_json:
        print_json(shown)
        return
    _print_members(shown)


@app.command()
def disable(name: Name) -> None:
    """Refuse everything that a sender sends (`forbidden`), whatever its keys.

    Example: python -m service senders disable acme

    Exit code: 0 it is disabled, 2 no such sender, or it cannot be stored.
    """
    from service.operations.register import senders

    with registry() as opened:
        senders.disable(opened, name, datetime.now(UTC))
    tell_done(f"{name} is disabled")


@app.command()
def enable(name: Name) -> None:
    """Let a disabled sender send again.

    Example: python -m service senders enable acme

    Exit code: 0 it is enabled, 2 no such sender, or it cannot be stored.
    """
    from service.operations.register import senders

    with registry() as opened:
        senders.enable(opened, name, datetime.now(UTC))
    tell_done(f"{name} is enabled")


def _print_members(members: Mapping[str, object]) -> None:
    for member, told in members.items():
        say(f"{member:<16} {_shown(told)}")


def _shown(told: object) -> str:
    match told:
        case None | []:
            return "-"
        case dict():
            return " ".join(f"{theirs}={ours}" for theirs, ours in told.items()) or "-"
        case list():
            return " ".join(map(str, told))
        case datetime():
            return f"{told:%Y-%m-%d %H:%M} UTC"
        case _:
            return str(told)
