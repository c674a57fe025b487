"""Owns the composition: builds every component from the settings, in one place, with plain constructors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.types import ASGIApp

from service.auth.authenticator import choose_authenticator
from service.certificate import certificate_expiry
from service.intake import Intake
from service.log import Log
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from service.spool.fallback import DATABASE_SECONDS
from service.spool.journal import Journal, journal_path
from service.spool.wiring import OpenedLater, Spool
from service.storage.engine import sqlite_path
from service.storage.ledger import Ledger
from service.storage.space import measure_space
from service.vitals import Vitals
from service.web.doors import PostbackDoor
from service.web.health import MetricsPage, ReadinessPage
from service.web.routes import listener, operator_routes, public_routes
from service.writer import DEADLINE_SECONDS, Writer


@dataclass(frozen=True, slots=True)
class App:
    """The two applications, and what must be running while they serve.

    `running()` opens storage and closes it after the last commit. `storage_broken` is set when the process must stop,
    because storage can no longer be trusted. `count_unparsed` is for the servers: bytes that are not HTTP came.
    """

    public: ASGIApp
    operator: ASGIApp
    running: Callable[[], AbstractAsyncContextManager[None]]
    storage_broken: asyncio.Event
    count_unparsed: Callable[[], None]


def build_app(settings: Settings, log: Log, metrics: Metrics, *, spooling: bool = False, worker: int = 0) -> App:
    """Wire the service; `spooling` puts worker `worker`'s spool behind the database.

    Raises StartRefused when AUTH and the address do not go together.
    """
    path = sqlite_path(settings.database_url)
    ledger = OpenedLater(Ledger(path))
    database = Writer(ledger, metrics, deadline=DATABASE_SECONDS if spooling else DEADLINE_SECONDS)
    journal = Journal(journal_path(settings.spool_dir, worker), settings.spool_max_bytes)
    spool = Spool(journal, database, metrics, log) if spooling else None
    writer = spool.writer if spool else database
    readiness = Readiness(writer, metrics)
    vitals = Vitals(metrics, log, readiness, partial(measure_space, path))
    metrics.certificate_expires_at = certificate_expiry(settings.tls_cert) if settings.tls_cert else 0.0
    intake = Intake(choose_authenticator(settings.auth, settings.host), writer, metrics, log)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        if spool:
            spool.open_database(ledger)
        else:
            ledger.open()
        database.start()
        async with AsyncExitStack() as stack:
            if spool:
                await stack.enter_async_context(spool.running())
            metrics.ready = True
            await stack.enter_async_context(vitals.running())
            yield
            metrics.ready = False
        if await database.close():  # else a hung disk holds the connection
            ledger.close()

    return App(
        public=listener(public_routes(PostbackDoor(intake)), metrics, log),
        operator=listener(operator_routes(ReadinessPage(readiness), MetricsPage(metrics)), metrics, log),
        running=running,
        storage_broken=database.broken,
        count_unparsed=metrics.count_unparsed,
    )
