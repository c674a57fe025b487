"""Owns the route table of the operator listener."""

from starlette.routing import request_response

from service.operator.probes import MetricsPage, ReadinessPage
from service.web.routing import PROBING, ExactRoute, healthz


def operator_routes(readiness: ReadinessPage, metrics_page: MetricsPage) -> list[ExactRoute]:
    """Metrics, liveness and readiness."""
    return [
        ExactRoute("/metrics", {"GET": request_response(metrics_page.page)}),
        ExactRoute("/healthz", dict.fromkeys(PROBING, request_response(healthz))),
        ExactRoute("/readyz", dict.fromkeys(PROBING, request_response(readiness.readyz))),
    ]
