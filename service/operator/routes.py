"""Owns the route table of the operator listener, and what stands around it."""

from collections.abc import Iterable, Sequence

from starlette.routing import request_response
from starlette.types import ASGIApp

from service.operator.browser_headers import BrowserHeaders
from service.operator.known_hosts import KnownHosts
from service.operator.probes import MetricsPage, ReadinessPage
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.web.middleware import RequestMiddleware
from service.web.routing import PROBING, ExactRoute, Router, healthz, nothing_there


def operator_routes(readiness: ReadinessPage, metrics_page: MetricsPage) -> list[ExactRoute]:
    """Metrics, liveness and readiness."""
    return [
        ExactRoute("/metrics", {"GET": request_response(metrics_page.page)}),
        ExactRoute("/healthz", dict.fromkeys(PROBING, healthz)),
        ExactRoute("/readyz", dict.fromkeys(PROBING, request_response(readiness.readyz))),
    ]


def operator_listener(pages: Sequence[ExactRoute], hosts: Iterable[str], metrics: Metrics, log: Log) -> ASGIApp:
    """Return the application of the operator listener; `hosts` are the names that it answers to."""
    return BrowserHeaders(RequestMiddleware(KnownHosts(Router(pages, nothing_there), hosts), metrics, log))
