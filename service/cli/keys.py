"""Owns the commands `keys …`: made, listed, revoked, rotated. A key's secret is printed once, and never kept."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, user
from service.cli.choosing import later
from service.cli.registering import Json, registered, registry, tell_done, tell_json
from service.cli.senders import new_sender
from service.cli.setting_up import refuse, settings_or_refuse
from service.core.roster import KEY_DOORS
from service.core.sender import PRESETS, Sender

if TYPE_CHECKING:
    from service.auth.keys import NewKey
    from service.settings import Settings
    from service.storage.schema.tables import ApiKey
    from service.storage.senders import Rows

app = typer.Typer(
    help="API keys: made, listed, revoked, rotated. A secret is shown once.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Id = Annotated[str, typer.Argument(help="The key's public id, as `keys list` shows it.")]
_Url = Annotated[
    str | None,
    typer.Option(help="Where senders reach the service, e.g. https://track.example.com; by default the listener's."),
]
_PATHS = {"postback": "/postback", "pixel": "/pixel.gif"}
_EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound


@app.command()
def create(  # noqa: PLR0913 - the options
    sender: Annotated[str, typer.Argument(help="Whose key it is; one that is a preset's is registered on the way.")],
    *,
    test: Annotated[
        bool, typer.Option("--test", help="Everything sent with it is a test, and counts nowhere.")
    ] = False,
    door: Annotated[
        list[str] | None,
        typer.Option(help=f"What it opens: {', '.join(KEY_DOORS)}.", show_default="postback and batch"),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends: 90d, or 2026-12-31.", show_default="never")] = None,
    label: Annotated[str, typer.Option(help="What it is for, in your words.")] = "",
    by: By = None,
    public_url: _Url = None,
    as_json: Json = False,
) -> None:
    """Make an API key, and print it once, with the postback URL to hand over.

    Only a hash of it is kept: whoever loses it needs another one. A pixel's
    key can be read by every visitor of the page: make one for the pixel alone.

    Example: python -m service keys create ezmob

    JSON keys: id, key, sender, is_test, doors, label, expires_at,
    postback_url.

    Exit code: 0 made, 2 bad usage, no such sender, or it cannot be stored.
    """
    from service.auth.keys import new_key
    from service.storage.schema.tables import ApiKey

    settings = settings_or_refuse()
    now = datetime.now(UTC)
    doors = list(dict.fromkeys(door or KEY_DOORS[:2]))
    if wrong := [one for one in doors if one not in KEY_DOORS]:
        refuse([f"--door {one}: there are {', '.join(KEY_DOORS)}" for one in wrong])
    ends = _moment("--expires", expires, now) if expires else None
    made = new_key()
    with registry() as senders:
        rows = senders.rows()
        if sender not in {row.name for row in rows.senders}:
            if sender not in PRESETS:
                refuse(
                    [f"{sender}: no such sender is registered, and no preset is called that: `senders add {sender}`"]
                )
            senders.put_sender(new_sender(sender), new=True)
        row = ApiKey(
            id=made.id,
            sender=sender,
            secret_sha256=made.secret_sha256,
            is_test=test,
            doors=doors,
            label=label,
            created_at=now,
            created_by=by or user(),
            expires_at=ends,
        )
        senders.put_keys(row)
        writes_like = senders.rows().roster().senders[sender].sender
    _tell_new(made, row, writes_like, _base(settings, public_url), as_json=as_json)


@app.command("list")
def list_(
    sender: Annotated[str | None, typer.Argument(help="Only this sender's.")] = None, *, as_json: Json = False
) -> None:
    """List keys, oldest first: whose, for what, since when, until when, and when each was last used.

    JSON keys: keys [{id sender state is_test doors label created_at created_by
    expires_at revoked_at last_used_at}]; a state is live, expired, revoked or
    sender_disabled.

    Exit code: 0 listed (there may be none), 2 the database cannot be read.
    """
    rows, now = registered(), datetime.now(UTC)
    chosen = [row for row in rows.keys if sender in (None, row.sender)]
    if as_json:
        tell_json({"keys": [_members(row, rows, now) for row in chosen]})
        return
    for row in chosen:
        used = f"last used {_day(row.last_used_at)}" if row.last_used_at else "never used"
        ends = f"until {_day(row.expires_at)}" if row.expires_at else "without an end"
        kind = f"{'test ' if row.is_test else ''}{','.join(row.doors)}"
        typer.echo(
            f"{row.id}  {row.sender:<12} {_state(row, rows, now):<9} {kind}  {ends}, {used}  {row.label}".rstrip()
        )
    typer.echo(f"{len(chosen)} in all")


@app.command()
def revoke(key_id: _Id) -> None:
    """End a key for ever. It is refused everywhere within ten seconds.

    Exit code: 0 it is revoked (it may have been before), 1 there is no such
    key, 2 it cannot be stored.
    """
    with registry() as senders:
        row = _known(senders.rows(), key_id)
        row.revoked_at = row.revoked_at or datetime.now(UTC)
        senders.put_keys(row)
    tell_done(f"{row.id} of {row.sender} is revoked")


@app.command()
def rotate(
    key_id: _Id,
    *,
    overlap: Annotated[str, typer.Option(help="How long the old one stays valid beside the new: 7d, 12h, 0s.")] = "7d",
    by: By = None,
    public_url: _Url = None,
    as_json: Json = False,
) -> None:
    """Make a key in the place of another, which stays valid for a while: hand the new one over meanwhile.

    The new one is for the same sender, doors and purpose, and lives as long
    as the old one was made for. `keys list` tells whether the old one is
    still used.

    Example: python -m service keys rotate 4f8c0d2m6r1x --overlap 7d

    JSON keys: those of `create`, and replaces {id expires_at}.

    Exit code: 0 made, 1 there is no such live key, 2 bad usage, or it cannot
    be stored.
    """
    from service.auth.keys import new_key
    from service.storage.schema.tables import ApiKey

    settings, now, made = settings_or_refuse(), datetime.now(UTC), new_key()
    ends = _moment("--overlap", overlap, now)
    with registry() as senders:
        rows = senders.rows()
        old = _known(rows, key_id)
        if _state(old, rows, now) not in ("live", "sender_disabled"):
            typer.echo(
                f"{old.id} is {_state(old, rows, now)}: make a new one with `keys create {old.sender}`", err=True
            )
            raise typer.Exit(1)
        row = ApiKey(
            id=made.id,
            sender=old.sender,
            secret_sha256=made.secret_sha256,
            is_test=old.is_test,
            doors=list(old.doors),
            label=old.label,
            created_at=now,
            created_by=by or user(),
            expires_at=old.expires_at and now + (old.expires_at - old.created_at),
        )
        old.expires_at = min(ends, old.expires_at or ends)
        senders.put_keys(old, row)
        writes_like = rows.roster().senders[old.sender].sender
    replaces = {"replaces": {"id": old.id, "expires_at": old.expires_at}}
    _tell_new(made, row, writes_like, _base(settings, public_url), replaces, as_json=as_json)


def _known(rows: "Rows", key_id: str) -> "ApiKey":
    """Return a key's row; a whole key will do, because whoever revokes it may have nothing else."""
    from service.auth.keys import id_in

    wanted = id_in(key_id)
    found = next((row for row in rows.keys if row.id == wanted), None)
    if found is None:
        typer.echo("there is no key of that id; `keys list` shows all", err=True)
        raise typer.Exit(1)
    return found


def _moment(option: str, text: str, now: datetime) -> datetime:
    found = later(text, now)
    if found is None or found < now:
        refuse([f"{option} {text}: no time to come; it looks like 90d, 12h or 2026-12-31"])
    return found


def _state(row: "ApiKey", rows: "Rows", now: datetime) -> str:
    if row.revoked_at:
        return "revoked"
    if row.expires_at and row.expires_at <= now:
        return "expired"
    disabled = {one.name for one in rows.senders if one.disabled_at}
    return "sender_disabled" if row.sender in disabled else "live"


def _members(row: "ApiKey", rows: "Rows", now: datetime) -> dict[str, object]:
    told = ("is_test", "doors", "label", "created_at", "created_by", "expires_at", "revoked_at", "last_used_at")
    head = {"id": row.id, "sender": row.sender, "state": _state(row, rows, now)}
    return {**head, **{name: getattr(row, name) for name in told}}


def _base(settings: "Settings", public_url: str | None) -> str:
    """Return where senders reach the service, as far as anybody here can tell."""
    if public_url:
        return public_url.rstrip("/")
    if settings.host in _EVERY_ADDRESS:
        return "https://YOUR-HOST"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}"


def _postback_url(base: str, made: "NewKey", row: "ApiKey", sender: Sender) -> str:
    """Return the URL to hand over, in the sender's own parameter names."""
    first = {field: theirs for theirs, field in reversed(list(sender.fields.items()))}
    path = next((path for door, path in _PATHS.items() if door in row.doors), None)
    if path is None or "click_id" not in first:
        return f"{base}/postbacks"
    parameters = f"{first['click_id']}={{click_id}}&{first.get('value', 'value')}={{value}}"
    return f"{base}{path}?{parameters}&key={made.text}"


def _tell_new(  # noqa: PLR0913 - what is told
    made: "NewKey",
    row: "ApiKey",
    sender: Sender,
    base: str,
    more: dict[str, dict[str, object]] | None = None,
    *,
    as_json: bool,
) -> None:
    url = _postback_url(base, made, row, sender)
    if as_json:
        head = {"id": row.id, "key": made.text, "sender": row.sender, "is_test": row.is_test, "doors": row.doors}
        tell_json({**head, "label": row.label, "expires_at": row.expires_at, "postback_url": url, **(more or {})})
        return
    typer.echo(made.text)
    what = f"{'test ' if row.is_test else ''}key {row.id} of {row.sender}, for {', '.join(row.doors)}"
    typer.echo(f"  {what}, {f'until {_day(row.expires_at)}' if row.expires_at else 'without an end'}")
    typer.echo("  shown this once: only a hash of it is kept")
    typer.echo(f"Postback URL for {row.sender}:\n  {url}")
    typer.echo("or as a header, which no log on the way keeps:\n  Authorization: Bearer " + made.text)
    if more:
        old = more["replaces"]
        typer.echo(f"The old key {old['id']} stays valid until {old['expires_at']:%Y-%m-%d %H:%M} UTC.")
    tell_done("The key is registered")


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
