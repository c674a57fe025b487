"""Owns valid objects for tests to change: a raw postback, a parsed one, a rejection."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from service.core.outcome import Outcome
from service.core.parsing import parse
from service.core.postback import Postback, RawPostback, Rejection
from service.core.presets import EZMOB

RECEIVED_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_numbers = count(1)


def raw(query: str | bytes = b"c=click-1&value=1.50", **changes: Any) -> RawPostback:
    """Return a GET of a valid postback, with a request_id of its own."""
    request_id = f"{next(_numbers):032x}"
    return RawPostback(
        door="postback",
        method="GET",
        path="/postback",
        query=query.encode() if isinstance(query, str) else query,
        content_type="",
        content_encoding="",
        body=b"",
        complete=True,
        host=b"127.0.0.1:8000",
        forwarded=False,
        client_ip="127.0.0.1",
        received_at=RECEIVED_AT,
        request_id=request_id,
        trace_id=request_id,
    )._replace(**changes)


def posted(body: bytes, content_type: str = "application/json", **changes: Any) -> RawPostback:
    """Return a POST whose fields are all in the body."""
    changes = {"query": b"", "method": "POST", "body": body, "content_type": content_type, **changes}
    return raw(**changes)


def postback(query: str = "c=click-1&value=1.50", **changes: Any) -> Postback:
    """Return a parsed postback."""
    return parse(raw(query, **changes), EZMOB)


def rejection(outcome: Outcome = Outcome.INVALID_VALUE, click_id: str | None = "click-1", **changes: Any) -> Rejection:
    """Return a postback that was not accepted."""
    return Rejection(raw("c=click-1&value=x", **changes), "ezmob", outcome, "'x' is not an amount", click_id)
