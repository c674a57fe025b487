"""Owns the commands `keys …`: made, listed, revoked, rotated. A key's secret is printed once, and never kept."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.changing import By, user
from service.cli.printing import Json, print_json, say
from service.cli.registering import registered, registry, tell_done
from service.cli.setting_up import settings_or_refuse
from service.core.moment import coming_moment
from service.core.roster import KEY_DOORS
from service.operations.errors import Mistake, WrongValues

if TYPE_CHECKING:
    from service.operations.register.keys import Made

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

    The URL has the macros that the sender's platform documents, and <its macro
    for …> where it documents none: replace that.

    Only a hash of it is kept: whoever loses it needs another one. A pixel's
    key can be read by every visitor of the page: make one for the pixel alone.

    Example: python -m service keys create ezmob

    JSON keys: id, key, sender, is_test, doors, label, expires_at,
    postback_url.

    Exit code: 0 made, 2 bad usage, no such sender, or it cannot be stored.
    """
    from service.operations.register import keys

    base, now = _base_url(public_url), datetime.now(UTC)
    doors = list(dict.fromkeys(door or KEY_DOORS[:2]))
    ends = _moment("expires", expires, now) if expires else None
    asked = keys.Asked(sender, test, doors, label, ends)
    with registry() as opened:
        made = keys.create(opened, asked, by or user(), now)
    _tell_new(made, base, as_json=as_json)


@app.command("list")
def list_(
    sender: Annotated[str | None, typer.Argument(help="Only this sender's.")] = None, *, as_json: Json = False
) -> None:
    """List keys, oldest first: whose, for what, since when, until when, and when each was last used.

    JSON keys: keys [{id sender state is_test doors label created_at created_by
    expires_at revoked_at last_used_at}]; a state is live, expired, revoked or
    sender_disabled.

    Example: python -m service keys list acme

    Exit code: 0 listed (there may be none), 2 nobody has that name, or the
    database cannot be read.
    """
    from service.operations.register import keys

    listed = keys.listed(registered(must_exist=True, of=sender), sender, datetime.now(UTC))
    if as_json:
        print_json({"keys": listed})
        return
    for one in listed:
        used = f"last used {_minute(one['last_used_at'])}" if one["last_used_at"] else "never used"
        ends = f"until {_minute(one['expires_at'])}" if one["expires_at"] else "never expires"
        kind = f"{'test ' if one['is_test'] else ''}{','.join(one['doors'])}"
        line = f"{one['id']}  {one['sender']:<12} {one['state']:<9} {kind}  {ends}, {used}  {one['label']}"
        say(line.rstrip())
    say(f"{len(listed)} in all")


@app.command()
def revoke(key_id: _Id) -> None:
    """End a key for ever. It is refused everywhere within ten seconds.

    Example: python -m service keys revoke 4f8c0d2m6r1x

    Exit code: 0 it is revoked (it may have been before), 2 no such key, or it
    cannot be stored.
    """
    from service.operations.register import keys

    with registry() as opened:
        revoked = keys.revoke(opened, key_id, datetime.now(UTC))
    tell_done(f"{revoked['id']} of {revoked['sender']} is revoked")


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

    Exit code: 0 made, 1 the key is not live any more, 2 bad usage, no such
    key, or it cannot be stored.
    """
    from service.operations.register import keys

    base, now = _base_url(public_url), datetime.now(UTC)
    old_ends = _moment("overlap", overlap, now)
    with registry() as opened:
        made = keys.rotate(opened, key_id, old_ends, by or user(), now)
    _tell_new(made, base, as_json=as_json)


def _moment(option: str, text: str, now: datetime) -> datetime:
    found = coming_moment(text, now)
    if found is None or found < now:
        raise WrongValues([Mistake(option, text, "no time to come; it looks like 90d, 12h or 2026-12-31")])
    return found


def _base_url(public_url: str | None) -> str:
    from service.operations.register.keys import base_url

    settings = settings_or_refuse()
    return base_url(settings.host, settings.port, tls=settings.tls_cert is not None, public_url=public_url)


def _tell_new(made: "Made", base: str, *, as_json: bool) -> None:
    if as_json:
        print_json(made.members(base))
        return
    asked, url = made.asked, made.postback_url(base)
    say(made.text)
    what = f"{'test ' if asked.is_test else ''}key {made.id} of {asked.sender}, for {', '.join(asked.doors)}"
    say(f"  {what}, {f'until {_minute(asked.expires_at)}' if asked.expires_at else 'never expires'}")
    say("  shown this once: only a hash of it is kept")
    say(f"Postback URL for {asked.sender}:", f"  {url}")
    if "={" in url or "=<" in url:
        say("  the macros are the platform's: check them there, and replace what stands in <> (docs/senders.md)")
    say("or as a header, which no log on the way keeps:", f"  Authorization: Bearer {made.text}")
    if made.replaced:
        old_id, old_ends = made.replaced
        say(f"The old key {old_id} stays valid until {_minute(old_ends)}.")
    tell_done("The key is registered")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
