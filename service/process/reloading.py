"""Owns what a single process reads again while it serves, when it is told to: its certificate and its roster.

A renewed certificate gets a TLS context of its own, and the handshakes that begin from then on are moved to it. The old
context is not written to: a chain and a key that do not fit would break it, and a key of another kind would stand
beside the old one. Connections that are open stay as they are.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from service.process.hang_up import listen_for_hang_up
from service.process.serving import TERMINAL_CLOSED, End
from service.telemetry.certificate import certificate_expiry
from service.telemetry.metrics import Metrics

Tls = Callable[[], ssl.SSLContext | None]


class CertificateFiles(NamedTuple):
    """Where the certificate chain and its private key are, in PEM."""

    chain: Path
    key: Path


class Reloading:
    """Reads again at SIGHUP. `tls` gives the live context, if there is one; `read_roster` logs its failures."""

    def __init__(
        self,
        files: CertificateFiles | None,
        tls: Tls,
        read_roster: Callable[[], Awaitable[None]],
        metrics: Metrics,
        logger: FilteringBoundLogger,
    ) -> None:
        self._files = files
        self._tls = tls
        self._read_roster = read_roster
        self._metrics = metrics
        self._logger = logger
        self._asked = asyncio.Event()

    @asynccontextmanager
    async def running(self, end: End) -> AsyncIterator[None]:
        """Obey SIGHUP while the context is open."""
        listen_for_hang_up(self._asked.set, lambda: end(TERMINAL_CLOSED))
        task = asyncio.create_task(self._read_when_asked())
        try:
            yield
        finally:
            task.cancel()

    async def _read_when_asked(self) -> None:
        while await self._asked.wait():
            self._asked.clear()
            self._logger.info("reloading")
            await self._read_roster()
            if self._files:
                await self._read_certificate(self._files)
            self._logger.info("reloaded")

    async def _read_certificate(self, files: CertificateFiles) -> None:
        try:
            renewed, expires_at = await asyncio.to_thread(_read, files)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            detail = f"{error}; the one that was read last stays in use"
            self._logger.error("certificate_not_read", path=str(files.chain), detail=detail)  # noqa: TRY400 - no traceback
            return
        if live := self._tls():
            live.sni_callback = _moving_to(renewed)
        self._metrics.certificate_expires_at = expires_at
        self._logger.info("certificate_read", path=str(files.chain), expires_at=datetime.fromtimestamp(expires_at, UTC))


def _read(files: CertificateFiles) -> tuple[ssl.SSLContext, float]:
    """Return a new context and when its certificate ends. Raises OSError or ValueError when the files are no good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files, password=lambda: "")  # a passphrase is not asked for: nobody may be there
    return context, certificate_expiry(files.chain)


def _moving_to(renewed: ssl.SSLContext) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    """Return what OpenSSL calls in every handshake, whether the client names a server or not."""

    def move(connection: ssl.SSLObject, _name: str | None, _live: ssl.SSLContext) -> None:
        connection.context = renewed

    return move
