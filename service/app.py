"""Owns the composition: builds every component from the settings, in one place, with plain constructors."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from service.auth.authenticator import choose_authenticator
from service.certificate import certificate_expiry
from service.intake import Intake
from service.log import Log
from service.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from service.storage.database import Database, database_at
from service.storage.engine import StorageError
from service.storage.migrations import PENDING
from service.vitals import Vitals
from service.web.doors import PostbackDoor
from service.web.health import MetricsPage, ReadinessPage
from service.web.routes import listener, operator_routes, public_routes
from service.writer import Writer

_MIGRATE = "run `python -m service migrate up`, or start with `run --migrate`"
_AGAIN_SECONDS = 2.0


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


def build_app(settings: Settings, log: Log, metrics: Metrics) -> App:
    """Wire the service. Raises StartRefused when AUTH and the address do not go together."""
    database = database_at(settings.database_url)
    ledger = database.ledger()
    writer = Writer(ledger, metrics)
    readiness = Readiness(writer, metrics)
    vitals = Vitals(metrics, log, readiness, database.space)
    metrics.certificate_expires_at = certificate_expiry(settings.tls_cert) if settings.tls_cert else 0.0
    intake = Intake(choose_authenticator(settings.auth, settings.host), writer, metrics, log)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        await _schema_is_ready(database, settings, log)
        ledger.open()
        writer.start()
        metrics.ready = True
        async with vitals.running():
            yield
        metrics.ready = False
        if await writer.close():  # else a hung disk holds the connection
            ledger.close()

    return App(
        public=listener(public_routes(PostbackDoor(intake)), metrics, log),
        operator=listener(operator_routes(ReadinessPage(readiness), MetricsPage(metrics)), metrics, log),
        running=running,
        storage_broken=writer.broken,
        count_unparsed=metrics.count_unparsed,
    )


async def _schema_is_ready(database: Database, settings: Settings, log: Log) -> None:
    """Run pending migrations if we are told to, or wait until somebody did. Raises StorageError."""
    if not database.shared:
        return
    migrations = database.migrations()
    if settings.migrate:
        await asyncio.to_thread(migrations.up, "head", lambda step: log.logger.info("migrating", detail=step))
    end = time.monotonic() + settings.migrate_wait
    while refusal := (await asyncio.to_thread(migrations.status)).refusal:
        if time.monotonic() >= end:
            raise StorageError(f"{database.name}: {refusal}; {_MIGRATE}", PENDING)
        log.logger.warning("waiting_for_migrations", detail=f"{refusal}; {_MIGRATE}", seconds=settings.migrate_wait)
        await asyncio.sleep(min(_AGAIN_SECONDS, max(0.0, end - time.monotonic())))
