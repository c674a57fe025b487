"""Owns the composition: builds every component from the settings, in one place, with plain constructors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from structlog.typing import FilteringBoundLogger

from service.auth.authenticator import choose_authenticator
from service.intake import Intake
from service.metrics import Metrics
from service.settings import Settings
from service.storage.engine import sqlite_path
from service.storage.ledger import Ledger
from service.web.doors import PostbackDoor
from service.web.health import MetricsPage, Readiness
from service.web.routes import listener, operator_routes, public_routes
from service.writer import Writer


@dataclass(frozen=True, slots=True)
class App:
    """The two applications. The public one's lifespan opens and closes what both use.

    `storage_broken` is set when the process must stop, because storage can no longer be trusted.
    """

    public: Starlette
    operator: Starlette
    storage_broken: asyncio.Event


def build_app(settings: Settings, logger: FilteringBoundLogger, metrics: Metrics) -> App:
    """Wire the service. Raises StartRefused when AUTH and the address do not go together."""
    ledger = Ledger(sqlite_path(settings.database_url))
    writer = Writer(ledger, metrics)
    intake = Intake(choose_authenticator(settings.auth, settings.host), writer, metrics, logger)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        ledger.open()
        writer.start()
        yield
        if await writer.close():  # else a hung disk holds the connection
            ledger.close()

    return App(
        public=listener(public_routes(PostbackDoor(intake)), metrics, lifespan),
        operator=listener(operator_routes(Readiness(writer), MetricsPage(metrics)), metrics),
        storage_broken=writer.broken,
    )
