"""Owns which Hosts the operator listener answers: a web page whose name was bound to our address must read nothing."""

import re
from collections.abc import Awaitable, Iterable
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.auth.networks import address_of, is_loopback
from service.web.render import PROBLEM_JSON, problem_body

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*", re.ASCII)
_SEPARATORS = re.compile(r"[,\s]+")
_HINT = "This listener does not answer to that Host: use an address, localhost, or a name in POSTBACK_OPERATOR_HOSTS."


def host_names(text: str) -> frozenset[str]:
    """Read names with commas or white space between. Raises ValueError, with what to write."""
    names = frozenset(filter(None, _SEPARATORS.split(text.lower())))
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!a} is no name of a host, such as postback.internal: no port, no scheme, no *")
    return names


class KnownHosts:
    """Middleware that answers 421 to a Host that is neither an address, nor a loopback name, nor one of the names.

    No page can have an address for its name. Who sends no Host (HTTP/1.0) is no browser.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().rstrip(".") for name in names)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if all(map(self._is_known, hosts)):
            return self._app(scope, receive, send)
        status = HTTPStatus.MISDIRECTED_REQUEST
        body = problem_body(status, scope["request_id"], {"hint": _HINT})
        return Response(body, status, media_type=PROBLEM_JSON)(scope, receive, send)

    def _is_known(self, authority: str) -> bool:
        name, colon, port = authority.rpartition(":")
        host = name if colon and port.isdigit() else authority
        bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        return is_loopback(host) or address_of(bare) is not None or host.lower().rstrip(".") in self._names
