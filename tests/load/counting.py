"""Owns the count of instructions: which servers are counted, what each is sent, and what one request takes of them."""

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.load.keys import make_key
from tests.load.peers import READING, Peer, ours, reading_starlette, running
from tests.load.wrk import LoadFailed
from tests.support.outside.callgrind import (
    MAIN_THREAD,
    Window,
    by_request,
    read_counts,
    switch_off,
    switch_on,
    under_callgrind,
)

OPEN, KEYED = "ours", "ours, with a key"
REQUESTS, CONNECTIONS = 1600, 16
_WARM_UP, _ATTEMPTS = 320, 3
_QUERY = "c={}&value=1.25&currency=USD"
_ANSWER_SECONDS = 60
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_IDLE_SECONDS = 10.0  # the longest of our periods: each look at the clock falls into it


@dataclass(frozen=True, slots=True)
class Count:
    """The instructions of one request: on the main thread, which has the event loop, and on all threads."""

    event_loop: int
    all_threads: int


def count_all(scratch: Path) -> dict[str, Count]:
    """Count ours without and with a key in the query, and bare Starlette, one after the other.

    Raises ServerFailed, LoadFailed or NotCounted.
    """
    key = make_key(scratch / "keyed.db")
    return {
        OPEN: count(ours(scratch, scratch / "open.db"), scratch / "open.count"),
        KEYED: count(ours(scratch, scratch / "keyed.db"), scratch / "keyed.count", f"&key={key}"),
        READING: count(reading_starlette(scratch), scratch / "reading.count"),
    }


def ratios(counts: Mapping[str, Count]) -> dict[str, float]:
    """Divide by bare Starlette's, which has one thread."""
    bare = counts[READING].event_loop
    return {
        f"{name}, {kind}": instructions / bare
        for name, it in counts.items()
        if name != READING
        for kind, instructions in (("event loop", it.event_loop), ("all threads", it.all_threads))
    }


def count(peer: Peer, dump: Path, more: str = "") -> Count:
    """Return what one request takes; `more` ends each query. Raises ServerFailed, LoadFailed or NotCounted."""
    # The same hashes in each run: where keys fall in a dict costs instructions, too.
    environment = {**peer.environment, "PYTHONHASHSEED": "0"}
    with running(replace(peer, command=under_callgrind(peer.command, dump), environment=environment)) as server:
        pid = server.process.pid
        switch_on(pid, dump)
        drive(peer.port, more, _WARM_UP)  # valgrind translates what it meets, which takes seconds: some may be refused
        read_counts(pid, dump)
        idle = _idle(pid, dump)
        busy = _busy(peer, more, pid, dump)
        switch_off(pid, dump)  # it ends sooner
    threads = by_request(busy, idle)
    return Count(round(threads[MAIN_THREAD] / REQUESTS), round(sum(threads.values()) / REQUESTS))


def _idle(pid: int, dump: Path) -> Window:
    began = time.perf_counter()
    time.sleep(_IDLE_SECONDS)
    return Window(time.perf_counter() - began, read_counts(pid, dump))


def _busy(peer: Peer, more: str, pid: int, dump: Path) -> Window:
    """Return a window whose requests were all accepted; a busy machine may hold a commit beyond its deadline."""
    for _ in range(_ATTEMPTS):
        began = time.perf_counter()
        refused = drive(peer.port, more, REQUESTS)
        window = Window(time.perf_counter() - began, read_counts(pid, dump))
        if not refused:
            return window
    raise LoadFailed(f"{peer.name} refused {len(refused)} of {REQUESTS} requests: {refused[0]!r}")


def drive(port: int, more: str, requests: int) -> list[bytes]:
    """Send postbacks over a few connections that stay open; return the answers that were not 200."""
    return asyncio.run(_drive(port, more, requests))


async def _drive(port: int, more: str, requests: int) -> list[bytes]:
    lanes = (_lane(port, more, requests // CONNECTIONS) for _ in range(CONNECTIONS))
    return [answer for answers in await asyncio.gather(*lanes) for answer in answers]


async def _lane(port: int, more: str, requests: int) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused = []
    for _ in range(requests):
        target = f"/postback?{_QUERY.format(secrets.token_hex(16))}{more}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        async with asyncio.timeout(_ANSWER_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(_LENGTH.findall(head)[0]))
        if not head.startswith(b"HTTP/1.1 200 "):
            refused.append(head + body)
    writer.close()
    await writer.wait_closed()
    return refused
