"""Owns the two route tables, the table of contents of the HTTP surface, and the answers to what is not in them."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Router, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.core.postback import BATCH_PATH, DOORS, PIXEL_PATH, POSTBACK_PATHS
from service.operator.probes import MetricsPage, ReadinessPage, healthz
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.web.middleware import Observed
from service.web.public.doors import BatchDoor, PixelDoor, PostbackDoor
from service.web.public.render import PROBLEM_JSON, problem_body


class ExactRoute(BaseRoute):
    """One path and the methods it takes, both exact: no HEAD beside GET, no trailing slash, no pattern to match."""

    def __init__(self, path: str, **methods: ASGIApp) -> None:
        self.path = path
        self.methods = methods

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path; a wrong method still is this route's to answer."""
        return (Match.FULL if scope["path"] == self.path else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the method's application, or answer 405."""
        app = self.methods.get(scope["method"])
        if app is None:
            app = _problem(scope, 405, "This path does not take that method; nothing was stored.", self.methods)
        await app(scope, receive, send)


def public_routes(door: PostbackDoor, pixel: PixelDoor, batch: BatchDoor) -> list[ExactRoute]:
    """Doors, and liveness; nothing else is shown to the world (law 7)."""
    return [
        *(ExactRoute(path, GET=door.get, POST=door.post) for path in POSTBACK_PATHS),
        ExactRoute(PIXEL_PATH, GET=pixel.get),
        ExactRoute(BATCH_PATH, POST=batch.post),
        ExactRoute("/healthz", GET=request_response(healthz)),
    ]


def operator_routes(readiness: ReadinessPage, metrics_page: MetricsPage) -> list[ExactRoute]:
    """Show what the people and machines that run the service look at."""
    return [
        ExactRoute("/metrics", GET=request_response(metrics_page.page)),
        ExactRoute("/healthz", GET=request_response(healthz)),
        ExactRoute("/readyz", GET=request_response(readiness.readyz)),
    ]


def listener(routes: Sequence[BaseRoute], metrics: Metrics, log: Log) -> ASGIApp:
    """Return the application of one listener.

    A Router and not a Starlette: its two layers of exception handling would cost every request, and Observed has one.
    """
    router = Router(routes, redirect_slashes=False, default=_not_found)  # senders do not follow redirects (law 6)
    return Observed(router, metrics, log)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    hint = f"There is no such path here. Postbacks go to {' or '.join(DOORS)}."
    await _problem(scope, 404, hint)(scope, receive, send)


def _problem(scope: Scope, status: int, hint: str, methods: dict[str, ASGIApp] | None = None) -> ASGIApp:
    """Answer a wrong path or method. Neither is a postback, so there is no outcome."""
    body = problem_body(status, scope["request_id"], {"hint": hint})
    headers = {"allow": ", ".join(methods)} if methods else {}
    return Response(body, status, headers, PROBLEM_JSON)
