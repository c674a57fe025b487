"""Owns the composition: builds every component from the settings, in one place, with plain constructors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from service.auth.authenticator import choose_authenticator
from service.intake import Intake
from service.log import Log
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
    """The two applications, and what must be running while they serve.

    `running()` opens storage and closes it after the last commit. `storage_broken` is set when the process must stop,
    because storage can no longer be trusted.
    """

    public: ASGIApp
    operator: ASGIApp
    running: Callable[[], AbstractAsyncContextManager[None]]
    storage_broken: asyncio.Event


def build_app(settings: Settings, log: Log, metrics: Metrics) -> App:
    """Wire the service. Raises StartRefused when AUTH and the address do not go together."""
    ledger = Ledger(sqlite_path(settings.database_url))
    writer = Writer(ledger, metrics)
    intake = Intake(choose_authenticator(settings.auth, settings.host), writer, metrics, log)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        ledger.open()
        writer.start()
        yield
        if await writer.close():  # else a hung disk holds the connection
            ledger.close()

    return App(
        public=listener(public_routes(PostbackDoor(intake)), metrics, log),
        operator=listener(operator_routes(Readiness(writer), MetricsPage(metrics)), metrics, log),
        running=running,
        storage_broken=writer.broken,
    )
