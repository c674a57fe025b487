"""Owns signing secrets: what a sender signs its requests with, made, listed, revoked; a secret is told once."""

import secrets as random
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from service.auth.signature import new_secret
from service.operations.errors import Refused
from service.operations.register.names import NOT_REGISTERED, nobody
from service.storage.schema.tables import SigningSecret
from service.storage.senders import Rows, Senders

_ID_BYTES = 5


class SecretMembers(TypedDict):
    """A signing secret as lists show it, without the secret itself."""

    id: str
    sender: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeSecret:
    """A secret that was just made; `secret` is shown this once."""

    id: str
    sender: str
    secret: str

    def __repr__(self) -> str:
        """Say which secret it is, and never what it is."""
        return f"MadeSecret({self.id!r})"

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it, this once."""
        return {"id": self.id, "sender": self.sender, "secret": self.secret}


def create(registry: Senders, sender: str, now: datetime) -> MadeSecret:
    """Make a signing secret: from then on that sender's requests must be signed. Raises Refused and StorageError."""
    made = MadeSecret(random.token_hex(_ID_BYTES), sender, new_secret().written())
    known = {row.name for row in registry.rows().senders}
    if sender not in known:
        raise Refused(nobody(sender, known, NOT_REGISTERED, f"`senders add {sender}` registers it"))
    registry.put_secrets(SigningSecret(id=made.id, sender=sender, secret=made.secret, created_at=now))
    return made


def listed(rows: Rows, sender: str | None) -> list[SecretMembers]:
    """Return all secrets, or those of a sender, oldest first."""
    return [_members(row) for row in rows.secrets if sender in (None, row.sender)]


def revoke(registry: Senders, secret_id: str, now: datetime) -> SecretMembers:
    """End a secret for ever; it may be revoked already. Raises Refused and StorageError."""
    known = {row.id: row for row in registry.rows().secrets}
    row = known.get(secret_id)
    if row is None:
        raise Refused(nobody(secret_id, known, "no such secret", "`secrets list` shows all"))
    row.revoked_at = row.revoked_at or now
    registry.put_secrets(row)
    return _members(row)


def _members(row: SigningSecret) -> SecretMembers:
    return {"id": row.id, "sender": row.sender, "created_at": row.created_at, "revoked_at": row.revoked_at}
