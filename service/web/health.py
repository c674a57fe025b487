"""Owns liveness, readiness and the metrics page: what a machine asks about this process."""

import asyncio
import time
from datetime import UTC, datetime

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.metrics import Metrics
from service.storage.engine import StorageError
from service.storage.ledger import Probe
from service.writer import Overloaded, Writer

_PROBE_SECONDS = 1.0  # one write a second at most, however often readiness is asked


async def healthz(_request: Request) -> Response:
    """Say that the process answers; nothing else is checked, so that a failing disk does not restart it in a loop."""
    return JSONResponse({"status": "ok"})


class Readiness:
    """Whether a postback sent now would be stored: proven by a real commit through the same queue."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._reason: str | None = None

    async def readyz(self, _request: Request) -> Response:
        """Answer 200, or 503 with the reason."""
        async with self._lock:
            if time.monotonic() - self._asked_at >= _PROBE_SECONDS:
                self._reason = await self._probe()
                self._asked_at = time.monotonic()
        if self._reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": self._reason}, status_code=503)

    async def _probe(self) -> str | None:
        try:
            await self._writer.write(Probe(datetime.now(UTC)))
        except (Overloaded, StorageError) as error:
            return str(error)
        return None


class MetricsPage:
    """The registry as text, in the format the scraper asks for (Prometheus or OpenMetrics)."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = metrics.registry

    def page(self, request: Request) -> Response:
        """Render; a plain function, so that Starlette runs it on a thread beside the event loop."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"content-type": content_type})
