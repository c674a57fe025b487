"""Owns the pages for machines: readiness and metrics."""

import asyncio
from collections.abc import Iterator

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.telemetry.metrics import Metrics
from service.writing.readiness import Readiness


class ReadinessPage:
    """Readiness over HTTP."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def readyz(self, _request: Request) -> Response:
        """Answer 200 (`ready`, or `spooling` while the spool stands in for the database), or 503 with the reason."""
        reason = await self._readiness.reason()
        if reason is None:
            return JSONResponse({"status": "spooling" if self._readiness.spooling else "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)


class MetricsPage:
    """The metrics as text, in the format the scraper asks for (Prometheus or OpenMetrics)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def page(self, request: Request) -> Response:
        """Take the counts in one moment of the event loop; read /proc and write the text on a thread beside it."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        families = _Families(self._metrics)
        text = await asyncio.to_thread(encode, families)
        return Response(text, headers={"content-type": content_type})


class _Families:
    """What the client library's encoders read: our families, already taken, and then the process's own."""

    def __init__(self, metrics: Metrics) -> None:
        self._ours = list(metrics.collect())
        self._library = metrics.library

    def collect(self) -> Iterator[Metric]:
        yield from self._ours
        yield from self._library.collect()
