"""Owns the two route tables, the table of contents of the HTTP surface, and the answers to what is not in them."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Lifespan

from service.metrics import Metrics
from service.web.doors import PostbackDoor
from service.web.health import MetricsPage, Readiness, healthz
from service.web.middleware import Observed
from service.web.render import PROBLEM_JSON, problem_body


def public_routes(door: PostbackDoor) -> list[BaseRoute]:
    """Doors, and liveness; nothing else is shown to the world (law 7)."""
    return [
        Route("/postback", door),
        Route("/conversion", door),  # EZmob's own path
        Route("/healthz", healthz),
    ]


def operator_routes(readiness: Readiness, metrics_page: MetricsPage) -> list[BaseRoute]:
    """Show what the people and machines that run the service look at."""
    return [
        Route("/metrics", metrics_page.page),
        Route("/healthz", healthz),
        Route("/readyz", readiness.readyz),
    ]


def listener(routes: Sequence[BaseRoute], metrics: Metrics, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Return the application of one listener."""
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Observed, metrics=metrics)],
        exception_handlers={HTTPException: _answer_http_exception},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # senders do not follow redirects (law 6)
    return app


_HINTS = {  # all that the routing raises
    404: "There is no such path here. Postbacks go to /postback or /conversion.",
    405: "This path does not take that method; nothing was stored.",
}


def _answer_http_exception(request: Request, error: Exception) -> Response:
    """Answer a wrong path or method. Neither is a postback, so there is no outcome."""
    if not isinstance(error, HTTPException):
        raise error
    problem = problem_body(error.status_code, request.scope["exchange"].request_id, {"hint": _HINTS[error.status_code]})
    return Response(problem, error.status_code, error.headers, PROBLEM_JSON)
