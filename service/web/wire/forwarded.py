"""Owns who the client is behind proxies: X-Forwarded-For, read from its end, as far as trusted proxies wrote it.

Address lists and limits depend on this address, so it is one that a trusted proxy has seen, or none at all. uvicorn's
own middleware does not recognise a proxy that reaches a listener at `::` (::ffff:192.0.2.1); and where a proxy wrote
nothing useful, it takes the proxy for the client, or any text for an address.
"""

import re
from collections.abc import Awaitable, Iterable
from functools import lru_cache, partial

from starlette.types import ASGIApp, Receive, Scope, Send

from service.auth.networks import Address, Networks, address_of

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|([0-9.]+))(?::[0-9]{1,5})?")


class ForwardedMiddleware:
    """Puts the client's address into the scope, in place of a trusted proxy's."""

    def __init__(self, app: ASGIApp, proxies: Networks) -> None:
        self._app = app
        self._proxies = proxies
        self._unforwarded = lru_cache(maxsize=4096)(partial(client_of, headers=(), proxies=proxies))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Find the client of one request."""
        if scope["type"] == "http":
            peer = scope["client"][0] if scope["client"] else ""
            headers = scope["headers"]
            host_alone = len(headers) == 1 and headers[0][0] == b"host"
            if not host_alone and b"x-forwarded-for" in [name for name, _ in headers]:
                client = client_of(peer, headers, self._proxies)
            else:
                client = self._unforwarded(peer)
            scope["client"] = (client, 0) if client else None  # a port would be the proxy's
        return self._app(scope, receive, send)


def client_of(peer: str, headers: Iterable[tuple[bytes, bytes]], proxies: Networks) -> str:
    """Return the first address that is not a trusted proxy's, from the connection's on backwards; "" if it is unknown.

    If all are trusted, it is the one that was named first. A trusted proxy names its own client truly: an entry that is
    not an address (unknown, _hidden, empty) therefore ends the search, and nothing before it can be trusted.
    """
    address = address_of(peer)
    if address is None:
        return peer
    said = [value for name, value in headers if name == b"x-forwarded-for"]
    hops = b",".join(said).decode("latin-1").split(",") if said else []
    while hops and proxies.contains_address(address):
        hop = _hop(hops.pop())
        if hop is None:
            return ""
        address = hop
    return str(address)


def _hop(entry: str) -> Address | None:
    entry = entry.strip(" \t")
    with_port = _WITH_PORT.fullmatch(entry)
    return address_of(with_port[1] or with_port[2] if with_port else entry)
