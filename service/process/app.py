"""Owns the composition: builds every component from the settings, in one place, with plain constructors."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from service.auth.access import StartRefused
from service.auth.authenticator import Authenticator
from service.auth.keeper import RosterKeeper
from service.auth.roster_copy import FILE_NAME, RosterCopy
from service.auth.strangers import Strangers
from service.core.moment import clock_refusal
from service.core.program import PROGRAM
from service.core.unavailable import ErrorKind, StorageError
from service.intake import Intake
from service.operator.probes import MetricsPage, ReadinessPage
from service.operator.routes import operator_listener, operator_routes
from service.process.vitals import Vitals
from service.settings import Settings
from service.spool.fallback import COMMIT_SECONDS, DATABASE_SECONDS
from service.spool.journal import Journal
from service.spool.places import journal_paths
from service.spool.wiring import OpenedLater, Spool
from service.storage.database import Database, database_at
from service.storage.deletions.deleting import Deletions
from service.storage.ledger import DEADLINE_SECONDS as LEDGER_SECONDS
from service.telemetry.certificate import certificate_expiry
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.room import Places
from service.telemetry.record import LiveRecord
from service.web.public.batches import BatchDoor
from service.web.public.doors import PixelDoor, PostbackDoor
from service.web.public.routes import public_routes
from service.web.public.strays import StrayDoor
from service.web.routing import listener
from service.writing.readiness import Readiness
from service.writing.retention import Limits, Retention
from service.writing.writer import DEADLINE_SECONDS, Writer

if TYPE_CHECKING:
    from service.auth.oauth.token_verifier import TokenVerifier

_MIGRATE = f"run `{PROGRAM} migrate up`, or start with `run --migrate`"
_AGAIN_SECONDS = 2.0
_NOW = partial(datetime.now, UTC)


@dataclass(frozen=True, slots=True)
class App:
    """The two applications, and what must be running while they serve.

    `assert_may_start` looks at the clock, reads who is registered, which blocks, and raises StartRefused when AUTH
    and the address do not go together with that. `running()` does so too, opens storage and closes it after the
    last commit. `introduce` says in the log who is let in, and `read_roster` reads that anew. `storage_broken` is
    set when the process must stop, because storage can no longer be trusted. `count_unparsed` is for the servers:
    what did not become a request was answered with this status. `watch_places` shows the places of the public one.
    """

    public: ASGIApp
    operator: ASGIApp
    assert_may_start: Callable[[], None]
    running: Callable[[], AbstractAsyncContextManager[None]]
    storage_broken: asyncio.Event
    count_unparsed: Callable[[int], None]
    watch_places: Callable[[Places], None]
    introduce: Callable[[], None]
    read_roster: Callable[[], Awaitable[None]]


def build_app(
    settings: Settings, log: Log, metrics: Metrics, *, worker: int = 0, clock: Callable[[], datetime] = _NOW
) -> App:
    """Wire the service. Each worker has its own of everything but the database; `clock` is the machine's."""
    wired = _Wiring(settings, log, metrics, worker, clock)
    authenticator = wired.authenticator
    intake = Intake(
        authenticator,
        wired.writer,
        LiveRecord(metrics, log),
        known=authenticator.at_once,
        nobodys=lambda: authenticator.never_keep,
        sampled=wired.strangers.sampled,
    )
    stray = StrayDoor(intake)
    batches = BatchDoor(intake)
    metrics.room.batches = batches.watched_rooms()
    doors = public_routes(PostbackDoor(intake), PixelDoor(intake), batches, stray)
    pages = operator_routes(ReadinessPage(wired.readiness), MetricsPage(metrics))
    return App(
        public=listener(doors, metrics, log, stray.elsewhere),
        operator=operator_listener(pages, settings.operator_names, metrics, log),
        assert_may_start=wired.assert_may_start,
        running=wired.running,
        storage_broken=wired.storing.broken,
        count_unparsed=metrics.count_unparsed,
        watch_places=metrics.watch_places,
        introduce=wired.authenticator.log_access,
        read_roster=wired.keeper.look_now,
    )


class _Wiring:
    """Every component behind the doors and pages, and the order in which they open and close.

    `storing` writes to the database. A database that others write to as well may be away, so a spool stands behind it
    then, and `writer` is what chooses between the two.
    """

    def __init__(
        self, settings: Settings, log: Log, metrics: Metrics, worker: int, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._log, self._metrics, self._clock = settings, log, metrics, clock
        self._database = database = database_at(settings.database_url)
        spooling = database.shared and settings.spool == "on"
        seconds = COMMIT_SECONDS if spooling else LEDGER_SECONDS
        ledger = database.ledger(seconds, settings.rejected_bounds)
        self._ledger = OpenedLater(ledger, self._migrate, self._begin_clock)
        deadline = DATABASE_SECONDS if spooling else DEADLINE_SECONDS
        self.storing = Writer(self._ledger.committing(), metrics, deadline=deadline)
        self._spool = self._spool_beside(worker) if spooling else None
        self.writer = self._spool.writer if self._spool else self.storing
        self.readiness = Readiness(self.writer, metrics)
        self._vitals = Vitals(metrics, log, self.readiness, database.space)
        self._retention = Retention(self._deletions, _limits(settings), metrics, log)
        metrics.certificate_expires_at = certificate_expiry(settings.tls_cert) if settings.tls_cert else 0.0
        self._tokens = _tokens(settings, log)
        self.authenticator = _authenticator(settings, log, self._tokens)
        self.strangers = Strangers(settings.rejected_bounds.strangers)
        copy = RosterCopy(settings.spool_dir / FILE_NAME) if spooling else None
        senders, follow = partial(database.senders, self.storing), self.authenticator.follow
        self.keeper = RosterKeeper(senders, follow, metrics, log, copy=copy)
        self.authenticator.used = self.keeper.note_used

    def assert_may_start(self) -> None:
        """Look at the clock, and read who is registered, which blocks. Raises StartRefused."""
        if refusal := clock_refusal(self._clock()):
            raise StartRefused(refusal)
        self.keeper.begin()
        self.authenticator.assert_may_start()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open storage, and close it after the last commit. Raises StartRefused and StorageError."""
        await asyncio.to_thread(self.assert_may_start)
        await self._open()
        self.storing.start()
        async with AsyncExitStack() as stack:
            if self._spool:
                await stack.enter_async_context(self._spool.running())
            self._metrics.ready = True
            for component in (self._vitals, self._retention, self.keeper, self._tokens):
                if component:
                    await stack.enter_async_context(component.running())
            yield
            self._metrics.ready = False
        if await self.storing.close():  # else a hung disk holds the connection
            self._ledger.close()
            self._database.close()

    async def _open(self) -> None:
        """Open the ledger, once the schema is this code's; the spool may stand in for a database that is away."""
        try:
            await asyncio.to_thread(self._migrate)
            await _schema_is_ready(self._database, self._settings, self._log)
            self._ledger.open()
        except StorageError as error:
            if not (self._spool and self._spool.stands_in(error)):
                self._database.close()
                raise

    def _spool_beside(self, worker: int) -> Spool:
        settings = self._settings
        paths, most = journal_paths(settings.spool_dir, worker), settings.spool_max_bytes
        journal = Journal(*paths, place=self._database.name, max_bytes=most)
        home = partial(self._database.spooling, self.storing)
        return Spool(journal, self.storing, self._metrics, self._log, spooling=home)

    def _migrate(self) -> None:
        """Run pending migrations if we are told to; it blocks, and raises StorageError."""
        if self._database.shared and self._settings.migrate:
            self._database.migrations().up("head", lambda step: self._log.logger.info("migrating", detail=step))

    def _begin_clock(self) -> None:
        """Note until when clocks were believed, before this process writes by its own. Raises StorageError."""
        self._database.deletions().clock.begin(self._clock())

    def _deletions(self) -> Deletions:
        """Return what retention deletes by. Raises StorageError before the database was opened."""
        if not self._ledger.is_open:
            raise StorageError(f"{self._database.name} is not open yet", ErrorKind.PG_CONNECTION)
        return self._database.deletions(self.storing)


def _authenticator(settings: Settings, log: Log, tokens: "TokenVerifier | None") -> Authenticator:
    return Authenticator(
        settings.auth,
        settings.host,
        settings.sender,
        log,
        verify=tokens.verify if tokens else None,
        strangers=settings.stranger_rate,
    )


def _tokens(settings: Settings, log: Log) -> "TokenVerifier | None":
    """Return what judges bearer tokens, if an issuer is configured."""
    if settings.issuer is None:
        return None
    from service.auth.oauth.token_verifier import verifier_for  # noqa: PLC0415 - with an HTTP client, which few need

    def tell(reason: str | None) -> None:
        if reason:
            log.logger.warning("issuer_away", detail=f"{reason}; the keys that were read last stay valid for an hour")
        else:
            log.logger.info("issuer_back")

    return verifier_for(settings.issuer, tell)


def _limits(settings: Settings) -> Limits:
    days = (settings.rejected_days, settings.duplicate_days, settings.conversion_days)
    return Limits(*days, settings.rejected_bounds)


async def _schema_is_ready(database: Database, settings: Settings, log: Log) -> None:
    """Wait until somebody ran the migrations that are pending. Raises StorageError."""
    if not database.shared:
        return
    migrations = database.migrations()
    end = time.monotonic() + settings.migrate_wait
    while refusal := (await asyncio.to_thread(migrations.status)).refusal:
        if time.monotonic() >= end:
            raise StorageError(f"{database.name}: {refusal}; {_MIGRATE}", ErrorKind.MIGRATION)
        log.logger.warning("waiting_for_migrations", detail=f"{refusal}; {_MIGRATE}", seconds=settings.migrate_wait)
        await asyncio.sleep(min(_AGAIN_SECONDS, max(0.0, end - time.monotonic())))
