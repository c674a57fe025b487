"""Owns the commands `secrets …`: what a sender signs its requests with, made, listed, revoked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.registering import Json, registered, registry, tell_done, tell_json
from service.cli.setting_up import refuse

if TYPE_CHECKING:
    from service.storage.schema.tables import SigningSecret

app = typer.Typer(
    help="What senders sign their requests with (docs/signatures.md): made, listed, revoked.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_ID_BYTES = 5
_Sender = Annotated[str, typer.Argument(help="Whose secret it is; it must be registered.")]


@app.command()
def create(sender: _Sender, *, as_json: Json = False) -> None:
    """Make a signing secret, and print it once. From then on that sender's requests must be signed.

    Several may be live at once: make a new one, hand it over, and revoke the
    old one when its sender has switched. Try it out first, without refusing
    anybody: python -m service senders set SENDER --report-only signature

    JSON keys: id, sender, secret.

    Exit code: 0 made, 2 no such sender, or it cannot be stored.
    """
    import secrets as random

    from service.auth.signature import new_secret
    from service.storage.schema.tables import SigningSecret

    made = new_secret().written()
    row = SigningSecret(id=random.token_hex(_ID_BYTES), sender=sender, secret=made, created_at=datetime.now(UTC))
    with registry() as senders:
        if sender not in {known.name for known in senders.rows().senders}:
            refuse([f"{sender}: no such sender is registered: `senders add {sender}`"])
        senders.put_secrets(row)
    if as_json:
        tell_json({"id": row.id, "sender": sender, "secret": made})
        return
    typer.echo(made)
    typer.echo(
        f"Secret {row.id} of {sender}. It is shown once: hand it over by a way that nobody else reads.", err=True
    )


@app.command("list")
def list_(
    sender: Annotated[str | None, typer.Argument(help="Only this sender's.")] = None, *, as_json: Json = False
) -> None:
    """List signing secrets, oldest first, without the secrets themselves.

    JSON keys: secrets [{id sender created_at revoked_at}].

    Exit code: 0 listed (there may be none), 2 the database cannot be read.
    """
    chosen = [row for row in registered().secrets if sender in (None, row.sender)]
    if as_json:
        tell_json({"secrets": [row.model_dump(exclude={"secret"}) for row in chosen]})
        return
    for row in chosen:
        state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "live"
        typer.echo(f"{row.id}  {row.sender:<12} made {row.created_at:%Y-%m-%d}  {state}")
    typer.echo(f"{len(chosen)} in all")


@app.command()
def revoke(secret_id: Annotated[str, typer.Argument(help="The id, as `secrets list` shows it.")]) -> None:
    """End a signing secret for ever. Its sender still has to sign: with another one, or not at all.

    Exit code: 0 it is revoked (it may have been before), 1 there is no such
    secret, 2 it cannot be stored.
    """
    with registry() as senders:
        row = _known(senders.rows().secrets, secret_id)
        row.revoked_at = row.revoked_at or datetime.now(UTC)
        senders.put_secrets(row)
    tell_done(f"{row.id} of {row.sender} is revoked")


def _known(rows: "Sequence[SigningSecret]", secret_id: str) -> "SigningSecret":
    found = next((row for row in rows if row.id == secret_id), None)
    if found is None:
        typer.echo(f"{secret_id}: no such secret; `secrets list` shows all", err=True)
        raise typer.Exit(1)
    return found
