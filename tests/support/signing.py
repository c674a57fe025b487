"""Owns signed requests for tests to change: secrets, a query, a webhook, and the reason of a refusal."""

import base64
import hmac
import re

import pytest

from service.auth.signature import (
    Secret,
    check_query,
    sign_query,
    sign_webhook,
)
from service.core.outcome import Outcome, Rejected

NOW = 1_767_323_045

SECRET, OLD, STRANGERS = Secret(b"s" * 32), Secret(b"o" * 24), Secret(b"x" * 64)

LIVE = [OLD, SECRET]

QUERY = b"c=6f1c2a&value=1.50&sub=a%20b"

BODY = b'{"c":"6f1c2a","value":"1.50"}'


def signed(query: bytes = QUERY, secret: Secret = SECRET, at: float = NOW) -> bytes:
    return sign_query(query, secret, at)


def over(content: bytes, secret: Secret = SECRET) -> bytes:
    """Sign whatever stands before &sig=, also what `sign_query` would not."""
    return content + b"&sig=" + hmac.digest(secret.key, content, "sha256").hex().encode()


def reason(query: bytes, now: float = NOW) -> str:
    """Return why a query is refused."""
    with pytest.raises(Rejected) as rejected:
        check_query(query, LIVE, now)
    return detail_of(rejected.value)


def detail_of(rejected: Rejected) -> str:
    """Return the reason, which must carry neither secret nor signature."""
    assert rejected.outcome is Outcome.UNAUTHENTICATED
    assert not re.search(r"[0-9A-Fa-f]{16}|whsec_|[0-9A-Za-z+/]{40}", rejected.detail)
    return rejected.detail


def webhook(**changes: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers for BODY, with changes by name (an underscore is a hyphen); None leaves one out."""
    headers = {**sign_webhook("msg_1", BODY, SECRET, NOW)}
    for name, value in changes.items():
        headers["webhook-" + name] = "" if value is None else value
    kept = {
        name: value for name, value in headers.items() if changes.get(name.removeprefix("webhook-"), "") is not None
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in kept.items()]


def v1(secret: Secret = SECRET, body: bytes = BODY, at: int = NOW, message_id: str = "msg_1") -> str:
    """Return one entry of webhook-signature."""
    content = f"{message_id}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.key, content, "sha256")).decode()
