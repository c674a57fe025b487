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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from service.core.batch import MAX_ATOMIC_ROWS
from tests.load.importing import empty_file, import_columns, ordered, print_arms, unordered, write_columns
from tests.load.peers import ours, running
from tests.load.wrk import put_load

ROWS, BATCHES, SECONDS, CONNECTIONS = 50_000, 4, 6, 8


def send_batch(port: int, new_id: Callable[[], str] = ordered, *, atomic: bool = False) -> float:
    """Send one batch of new rows, as large as it may be; return how many were stored a second."""
    click_ids = [new_id() for _ in range(MAX_ATOMIC_ROWS if atomic else ROWS)]
    return len(click_ids) / _seconds(port, click_ids, "/postbacks?atomic=1" if atomic else "/postbacks")


def _seconds(port: int, click_ids: Sequence[str], path: str) -> float:
    """Send rows in one batch, and return how long it took until all were stored."""
    body = "".join(f'{{"c":"{click_id}","value":1.50}}\n' for click_id in click_ids).encode()
    began = time.perf_counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", path, body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        lines = answer.read().count(b'"stored"')
    assert (answer.status, lines) == (200, len(click_ids))
    return time.perf_counter() - began


def beside_import(folder: Path, port: int, new_id: Callable[[], str]) -> tuple[float, float]:
    """Store the same new rows by batches and by `sqlite3 .import` into an empty file; return the rows a second."""
    click_ids = [new_id() for _ in range(BATCHES * ROWS)]
    seconds = sum(_seconds(port, click_ids[first::BATCHES], "/postbacks") for first in range(BATCHES))
    write_columns(folder, click_ids)
    return len(click_ids) / seconds, import_columns(folder, len(click_ids)).rate


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
            empty_file(Path(scratch))
            rates = []
            for _ in range(rounds):
                pairs = [beside_import(Path(scratch), peer.port, new_id) for new_id in (ordered, unordered)]
                rates.append([rate for pair in pairs for rate in pair])
            print_arms(rates)
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
