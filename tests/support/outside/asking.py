"""Owns simple requests to programs that are not the service: Prometheus, Alertmanager, a receiver."""

import json
import urllib.error
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from typing import Any

PATIENCE = 60
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no business on loopback


def ask(url: str, body: object = None) -> tuple[int, str]:
    """Send GET, or POST with JSON; return the status and the text of the answer."""
    sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    wanted = urllib.request.Request(url, sent, {"Content-Type": "application/json"})  # noqa: S310 - loopback
    try:
        with _DIRECT.open(wanted, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def ask_json(url: str, body: object = None) -> Any:
    """Do the same; return what the answer says as JSON."""
    return json.loads(ask(url, body)[1])


def is_ready(url: str) -> bool:
    """Say whether a program answers 200 there by now."""
    with suppress(OSError):
        return ask(url)[0] == HTTPStatus.OK
    return False
