"""Owns the service as the web tests see it: both listeners in this process, on a real database, with their log."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.types import ASGIApp, Message, Scope

from service.process.app import build_app
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.support.fakes import KeptLines, Line, kept_log, samples
from tests.support.migrated import put_migrated


@dataclass
class Served:
    """Two clients, one for each listener, and what can be seen of the service beside its answers."""

    application: ASGIApp
    public: AsyncClient
    operator: AsyncClient
    metrics: Metrics
    lines: KeptLines
    path: Path
    storage_broken: asyncio.Event

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a query on the database."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(statement).fetchall()

    def counted(self, name: str = "postback_received_total") -> dict[tuple[str, ...], float]:
        """Return what is not 0 under a metric's name, by its labels' values."""
        return samples(self.metrics, name)

    def counted_from_zero(self, name: str) -> dict[tuple[str, ...], float]:
        """Return all of a metric, also what is 0."""
        return samples(self.metrics, name, zeros=True)

    def only_line(self) -> Line:
        """Return the one canonical line there is."""
        (line,) = self.lines.events()
        return line

    def assert_untouched(self) -> None:
        """Nothing was stored, counted as a postback or logged as one."""
        tables = ("conversion", "duplicate", "rejected_postback")
        assert [self.rows(f"SELECT * FROM {table}") for table in tables] == [[], [], []]  # noqa: S608 - our own names
        assert self.counted() == {}
        assert self.lines.events() == []


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Serve on an empty database, and close it after the test."""
    async with serving(tmp_path / "postback.db") as service:
        yield service


@asynccontextmanager
async def serving(path: Path, **chosen: object) -> AsyncIterator[Served]:
    """Serve on a database at `path`, with the settings that are `chosen`."""
    put_migrated(path)
    metrics, lines = Metrics(), KeptLines()
    settings = Settings.model_construct(None, database_url=f"sqlite:///{path}", **chosen)  # else by default
    app = build_app(settings, kept_log(lines, metrics), metrics)
    async with app.running(), client(app.public) as public, client(app.operator) as operator:
        yield Served(app.public, public, operator, metrics, lines, path, app.storage_broken)


def client(application: ASGIApp) -> AsyncClient:
    """Return a client that calls an application as a direct request to a loopback address would."""
    return AsyncClient(transport=ASGITransport(application), base_url="http://127.0.0.1:8000")


@dataclass
class Driven:
    """One exchange with an application, message by message: what it was sent, and how often it asked for more."""

    incoming: Iterator[Message]
    received: int = 0
    sent: list[Message] = field(default_factory=list)

    async def receive(self) -> Message:
        """Give the next message."""
        self.received += 1
        return next(self.incoming)

    async def send(self, message: Message) -> None:
        """Keep a message."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """Say how it was answered."""
        status: int = self.sent[0]["status"]
        return status


async def drive(application: ASGIApp, incoming: Iterator[Message], content_type: bytes = b"application/json") -> Driven:
    """POST a body whose messages a test writes itself."""
    headers = [(b"host", b"127.0.0.1"), (b"content-type", content_type)]
    driven = Driven(incoming)
    await application(http_scope(headers), driven.receive, driven.send)
    return driven


def http_scope(headers: Sequence[tuple[bytes, bytes]]) -> Scope:
    """Return the scope of a POST to /postback."""
    addresses = {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000)}
    request = {"method": "POST", "path": "/postback", "raw_path": b"/postback", "query_string": b"", "root_path": ""}
    return {"type": "http", "http_version": "1.1", "scheme": "http", "headers": [*headers], **request, **addresses}


def pieces(*bodies: bytes) -> Iterator[Message]:
    """Return a whole body in pieces."""
    for number, body in enumerate(bodies, 1):
        yield {"type": "http.request", "body": body, "more_body": number < len(bodies)}


def endless(piece: bytes) -> Iterator[Message]:
    """Return a body that never ends."""
    for _ in count():
        yield {"type": "http.request", "body": piece, "more_body": True}


def broken_off(*bodies: bytes) -> Iterator[Message]:
    """Return a body whose sender hangs up in the middle."""
    for body in bodies:
        yield {"type": "http.request", "body": body, "more_body": True}
    yield {"type": "http.disconnect"}
