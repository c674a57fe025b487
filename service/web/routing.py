"""Owns the routing of a listener: exact paths and methods, and the answers to everything else."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from service.core.postback import DOORS
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.web.middleware import RequestMiddleware
from service.web.render import PROBLEM_JSON, problem_body


class ExactRoute(BaseRoute):
    """One path and the methods it takes, both exact: no HEAD beside GET, no trailing slash, no pattern to match."""

    def __init__(self, path: str, **methods: ASGIApp) -> None:
        self.path = path
        self.methods = methods

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path alone: `handle` answers a wrong method."""
        return (Match.FULL if scope["path"] == self.path else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the method's application, or answer 405."""
        app = self.methods.get(scope["method"])
        if app is None:
            app = _problem(scope, 405, "This path does not take that method; nothing was stored.", self.methods)
        await app(scope, receive, send)


async def healthz(_request: Request) -> Response:
    """Say that the process answers. Nothing else is checked: a failing disk must not restart it in a loop."""
    return JSONResponse({"status": "ok"})


def listener(routes: Sequence[BaseRoute], metrics: Metrics, log: Log) -> ASGIApp:
    """Return the application of one listener.

    A Router and not a Starlette, whose two layers of exception handling would cost every request: RequestMiddleware
    has one.
    """
    router = Router(routes, redirect_slashes=False, default=_not_found)  # senders do not follow redirects (law 6)
    return RequestMiddleware(router, metrics, log)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    hint = f"There is no such path here. Postbacks go to {' or '.join(DOORS)}."
    await _problem(scope, 404, hint)(scope, receive, send)


def _problem(scope: Scope, status: int, hint: str, methods: dict[str, ASGIApp] | None = None) -> ASGIApp:
    """Return the answer to a wrong path or method. Neither is a postback, so there is no outcome."""
    body = problem_body(status, scope["request_id"], {"hint": hint})
    headers = {"allow": ", ".join(methods)} if methods else {}
    return Response(body, status, headers, PROBLEM_JSON)
