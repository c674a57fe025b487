"""Owns the routing of a listener: exact paths and methods, and the answers to everything else."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.core.postback import DOORS, door_path
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.web.middleware import RequestMiddleware
from service.web.render import PROBLEM_JSON, problem_body


class ExactRoute(NamedTuple):
    """One path and the methods it takes, both exact: no HEAD beside GET, no pattern to match."""

    path: str
    methods: Mapping[str, ASGIApp]


PROBING = ("GET", "HEAD")  # methods of who asks whether all is well: some load balancers send HEAD


def healthz(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Say that the process answers. Nothing else is checked: a failing disk must not restart it in a loop."""
    return JSONResponse({"status": "ok"})(scope, receive, send)


def nothing_there(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Answer what came by a path that is in no table, or by a method that its path does not take."""
    if "route" in scope:
        hint = "This path does not take that method; nothing was stored."
        return _problem(scope, 405, hint, scope["route"].methods)(scope, receive, send)
    hint = f"There is no such path here. Postbacks go to {' or '.join(DOORS)}."
    return _problem(scope, 404, hint)(scope, receive, send)


def listener(routes: Sequence[ExactRoute], metrics: Metrics, log: Log, elsewhere: ASGIApp = nothing_there) -> ASGIApp:
    """Return the application of one listener; `elsewhere` has what came by any other path or method."""
    return RequestMiddleware(Router(routes, elsewhere), metrics, log)


class Router:
    """Hands each request to the application of its path and method, and answers what has none.

    Not Starlette's, whose layers would cost every request. It does not redirect: senders do not follow (law 6). So a
    door is found however its path is written.
    """

    def __init__(self, routes: Sequence[ExactRoute], elsewhere: ASGIApp) -> None:
        self._routes = {route.path: route for route in routes}
        self._elsewhere = elsewhere

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Route one HTTP request; its scope gets the route, if there is one."""
        route = self._routes.get(scope["path"]) or self._routes.get(door_path(scope["path"]) or "")
        if route is None:
            return self._elsewhere(scope, receive, send)
        scope["route"] = route
        return route.methods.get(scope["method"], self._elsewhere)(scope, receive, send)


def _problem(scope: Scope, status: int, hint: str, methods: Iterable[str] = ()) -> ASGIApp:
    """Return the answer to a wrong path or method. Neither is a postback, so there is no outcome."""
    body = problem_body(status, scope["request_id"], {"hint": hint})
    headers = {"allow": ", ".join(methods)} if methods else {}
    return Response(body, status, headers, PROBLEM_JSON)
