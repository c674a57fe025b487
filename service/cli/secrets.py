"""Owns the commands `secrets …`: what a sender signs its requests with, made, listed, revoked."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from service.cli.printing import Json, print_json, say
from service.cli.registering import registered, registry, tell_done

app = typer.Typer(
    help="What senders sign their requests with (docs/signatures.md): made, listed, revoked.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_Sender = Annotated[str, typer.Argument(help="Whose secret it is; it must be registered.")]


@app.command()
def create(sender: _Sender, *, as_json: Json = False) -> None:
    """Make a signing secret, and print it once. From then on that sender's requests must be signed.

    Several may be live at once: make a new one, hand it over, and revoke the
    old one when its sender has switched. Try it out first, without refusing
    anybody: python -m service senders set SENDER --report-only signature

    JSON keys: id, sender, secret.

    Example: python -m service secrets create acme

    Exit code: 0 made, 2 no such sender, or it cannot be stored.
    """
    from service.operations.register import secrets

    with registry() as opened:
        made = secrets.create(opened, sender, datetime.now(UTC))
    if as_json:
        print_json(made.members())
        return
    say(made.secret)
    say(f"Secret {made.id} of {sender}. It is shown once: hand it over by a way that nobody else reads.", err=True)


@app.command("list")
def list_(
    sender: Annotated[str | None, typer.Argument(help="Only this sender's.")] = None, *, as_json: Json = False
) -> None:
    """List signing secrets, oldest first, without the secrets themselves.

    JSON keys: secrets [{id sender created_at revoked_at}].

    Example: python -m service secrets list

    Exit code: 0 listed (there may be none), 2 nobody has that name, or the
    database cannot be read.
    """
    from service.operations.register import secrets

    listed = secrets.listed(registered(must_exist=True, of=sender), sender)
    if as_json:
        print_json({"secrets": listed})
        return
    for one in listed:
        state = f"revoked {one['revoked_at']:%Y-%m-%d}" if one["revoked_at"] else "live"
        say(f"{one['id']}  {one['sender']:<12} made {one['created_at']:%Y-%m-%d}  {state}")
    say(f"{len(listed)} in all")


@app.command()
def revoke(secret_id: Annotated[str, typer.Argument(help="The id, as `secrets list` shows it.")]) -> None:
    """End a signing secret for ever. Its sender still has to sign: with another one, or not at all.

    Example: python -m service secrets revoke 4f8c0d2m6r1x

    Exit code: 0 it is revoked (it may have been before), 2 no such secret, or
    it cannot be stored.
    """
    from service.operations.register import secrets

    with registry() as opened:
        revoked = secrets.revoke(opened, secret_id, datetime.now(UTC))
    tell_done(f"{revoked['id']} of {revoked['sender']} is revoked")
