"""Owns signatures as a sender makes them, written after docs/signatures.md and not after the service."""

import base64
import hmac
import uuid

from tests.support.outside.registering import JSON


def signature(secret: str, content: bytes) -> bytes:
    """Return the HMAC-SHA256 under what stands behind `whsec_`."""
    return hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, "sha256")


def signed_query(secret: str, query: str, at: float) -> str:
    """Return a query with `ts` and `sig` behind it."""
    content = f"{query}&ts={int(at)}"
    return f"{content}&sig={signature(secret, content.encode()).hex()}"


def webhook(secret: str, body: bytes, at: float, content_type: str = JSON) -> dict[str, str]:
    """Return the headers of Standard Webhooks for a body."""
    message = f"msg_{uuid.uuid4().hex}"
    mac = base64.b64encode(signature(secret, f"{message}.{int(at)}.".encode() + body)).decode()
    return {
        "Content-Type": content_type,
        "webhook-id": message,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,{mac}",
    }
