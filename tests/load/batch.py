"""Owns the benchmark of batches: `python -m tests.load.batch [rounds]`: rows a second, and what others notice of it.

A batch of 50,000 new NDJSON rows into a SQLite file through HTTP, its answer read to the end, with ids that grow with
time and with random ones in turns; then single postbacks on a few connections, alone and beside batches, in turns
(ABBA), and beside batches of all or none. Needs wrk. Timing is never judged.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_hex

from service.core.batch import MAX_ATOMIC_ROWS
from tests.load.peers import ours, running
from tests.load.wrk import put_load

ROWS, SECONDS, CONNECTIONS = 50_000, 6, 8


def ordered() -> str:
    """Return a click id that grows with time, as ULIDs do."""
    return f"{time.time_ns():016x}{token_hex(8)}"


def unordered() -> str:
    """Return a click id that lands anywhere in an index."""
    return token_hex(16)


def send_batch(port: int, new_id: Callable[[], str] = ordered, *, atomic: bool = False) -> float:
    """Send one batch of new rows, as large as it may be; return how many were stored a second."""
    rows, path = (MAX_ATOMIC_ROWS, "/postbacks?atomic=1") if atomic else (ROWS, "/postbacks")
    body = "".join(f'{{"c":"{new_id()}","value":1.50}}\n' for _ in range(rows)).encode()
    began = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", path, body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        lines = answer.read().count(b'"stored"')
    assert (answer.status, lines) == (200, rows)
    return rows / (time.perf_counter() - began)


@contextmanager
def batches_beside(port: int, *, atomic: bool = False) -> Iterator[None]:
    """Send batches one after the other while the context is open."""
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            send_batch(port, unordered if atomic else ordered, atomic=atomic)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        try:
            yield
        finally:
            done.set()
        sending.result()


def p99_ms(port: int) -> float:
    """Return the 99th percentile of single postbacks."""
    load = put_load(port, CONNECTIONS, SECONDS)
    assert not load.status_errors
    return load.p99_ms


def main(rounds: int) -> int:
    """Print each round, and the medians."""
    with tempfile.TemporaryDirectory(prefix="postback-bench-") as scratch:
        peer = ours(Path(scratch), Path(scratch) / "batch.db")
        with running(peer) as server:
            pairs = [(send_batch(peer.port), send_batch(peer.port, unordered)) for _ in range(rounds)]
            for rates, ids in zip(zip(*pairs, strict=True), ("ids that grow", "random ids"), strict=True):
                spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
                print(f"{ROWS:,} rows, {ids}: {statistics.median(rates):,.0f}/s ({spread})")  # noqa: T201
            ratios = []
            for number in range(rounds):
                alone = p99_ms(peer.port) if number % 2 == 0 else 0.0
                with batches_beside(peer.port):
                    beside = p99_ms(peer.port)
                alone = alone or p99_ms(peer.port)
                ratios.append(beside / alone)
                with batches_beside(peer.port, atomic=True):
                    atomic = p99_ms(peer.port)
                print(f"  p99 {alone:.1f} ms alone, {beside:.1f} beside a batch, {atomic:.1f} beside all or none")  # noqa: T201
            spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
            print(f"p99 beside a batch / alone: {statistics.median(ratios):.1f} ({spread})")  # noqa: T201
            print(f"peak memory {server.peak_megabytes():,.0f} MB")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 4))
