"""Owns rows of what is registered, for tests to change: a sender, its key, its signing secret."""

from typing import Any

from service.storage.schema.tables import ApiKey, RegisteredSender, SigningSecret
from tests.support import builders


def sender(name: str = "acme", **changes: Any) -> RegisteredSender:
    """Return a sender that writes as Voluum does."""
    row = {"name": name, "preset": "voluum", "numbers": "point", "created_at": builders.RECEIVED_AT}
    return RegisteredSender(**{**row, **changes})


def key(key_id: str = "000000000000", **changes: Any) -> ApiKey:
    """Return a key of that sender's."""
    row = {"sender": "acme", "secret_sha256": "00" * 32, "doors": ["postback", "batch"], "created_by": "me"}
    return ApiKey(**{"id": key_id, "created_at": builders.RECEIVED_AT, **row, **changes})


def secret(**changes: Any) -> SigningSecret:
    """Return a signing secret of that sender's."""
    row = {"id": "s1", "sender": "acme", "secret": "signing", "created_at": builders.RECEIVED_AT}
    return SigningSecret(**{**row, **changes})
