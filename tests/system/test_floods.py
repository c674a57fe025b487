"""Floods of strangers, from one address: neither disk nor log nor metrics grow with them, and a sender is served on."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.support.outside.harness import Metrics, Service, wait_for
from tests.support.outside.hostile_requests import by_strangers
from tests.support.outside.registering import done, told
from tests.support.outside.wire import Address, Answer, HungUp, Wire, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

REQUESTS = {"short": 6_000, "long": 200_000}
FLOODERS = 4
FLOODING, ELSEWHERE = "127.9.0.1", "127.9.0.2"  # all of 127.0.0.0/8 is this machine
MOST_BYTES = 2**20  # that rejected postbacks may take
STRANGERS_BYTES = MOST_BYTES // 10  # of that
ROW_BYTES = 500  # of a row beside its raw input (docs/retention.md)
STRANGER_BURST, STRANGER_RATE = 20, 10  # docs/senders.md
LINES_AT_ONCE, LINES_A_SECOND = 1_000, 100  # of one outcome (docs/operating.md)
CLEANED_SECONDS = 60


@dataclass
class Flood:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    without_time_to_wait: int = 0
    bytes_sent: int = 0

    def pour(self, address: Address, seed: int, requests: int) -> None:
        """Send so many, on connections that are kept while they may be."""
        some, wire = random.Random(seed), None  # noqa: S311 - the same flood each time
        for number in range(requests):
            if number % 16 == 0:
                kinds = by_strangers(some)
            wire = wire or Wire(address, source=FLOODING, timeout=30)
            try:
                answer = wire.exchange(kinds[number % 16])
            except HungUp:  # 503 for the connection, or closed while we wrote
                wire = None
                continue
            self.bytes_sent += len(kinds[number % 16])
            self.note(answer)
            if answer.headers.get("connection") == "close":
                wire.socket.close()
                wire = None
        if wire:
            wire.socket.close()

    def note(self, answer: Answer) -> None:
        """Take one answer."""
        self.statuses[answer.status] += 1
        if answer.status in (429, 503) and int(answer.headers.get("retry-after", "0")) < 1:
            self.without_time_to_wait += 1


def all_of(floods: Sequence[Flood]) -> Flood:
    """Return what came back to all together."""
    statuses = sum((flood.statuses for flood in floods), Counter[int]())
    impatient, size = (sum(getattr(flood, name) for flood in floods) for name in ("without_time_to_wait", "bytes_sent"))
    return Flood(statuses, impatient, size)


@contextmanager
def sending(service: Service, key: str) -> Iterator[Counter[str]]:
    """Send postbacks with a key, from the very address of the flood, one after the other; counts what came of each."""
    came, over = Counter[str](), threading.Event()

    def send() -> None:
        with Wire(service.public, source=FLOODING, timeout=30) as wire:
            while not over.is_set():
                answer = wire.exchange(request(f"/postback?c=ours-{came.total()}&value=1&key={key}"))
                came[f"{answer.status} {answer.outcome}"] += 1

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send)
        try:
            yield came
        finally:
            over.set()
        sent.result(60)


def series(metrics: Metrics) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return which series there are."""
    return {(sample.name, tuple(sorted(sample.labels.items()))) for sample in metrics}


def kept_bytes(service: Service) -> int:
    """Return what rejected postbacks take, as the bound counts it."""
    ((rows, length),) = service.sql("SELECT count(*), coalesce(sum(length(raw)), 0) FROM rejected_postback")
    return int(str(length)) + ROW_BYTES * int(str(rows))


def test_a_flood_of_strangers_fills_nothing_and_a_sender_is_served_all_the_while(
    tmp_path: Path, form: Literal["short", "long"], figures: Callable[[str], None]
) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    key = told(tmp_path, url, "keys", "create", "ezmob")["key"]
    done(tmp_path, url, "senders", "add", "signing")
    done(tmp_path, url, "secrets", "create", "signing")
    with Service(tmp_path, {"REJECTED_MAX_BYTES": str(MOST_BYTES)}) as service:
        Flood().pour(service.public, 0, 16 * 3)  # each kind, within the burst and beyond it
        assert service.get(f"/postback?c=ours&value=1&key={key}").status == 200
        before, began = service.metrics(), time.monotonic()
        with sending(service, key) as came, ThreadPoolExecutor(FLOODERS) as pool:
            each = REQUESTS[form] // FLOODERS
            floods = [Flood() for _ in range(FLOODERS)]
            list(pool.map(lambda seed: floods[seed - 1].pour(service.public, seed, each), range(1, FLOODERS + 1)))
            seconds = time.monotonic() - began
        with Wire(service.public, source=ELSEWHERE) as wire:
            assert wire.exchange(request("/postback?c=x&value=1")).status == 401
        after, flood = service.metrics(), all_of(floods)

        assert set(came) == {"200 stored"}
        assert service.sql("SELECT count(*) FROM conversion") == [(came.total() + 1,)]
        assert flood.statuses.total() > 0.99 * each * FLOODERS
        assert flood.statuses[401] <= STRANGER_BURST + STRANGER_RATE * (seconds + 1)
        assert flood.statuses[429] > 0.4 * each * FLOODERS
        assert (flood.without_time_to_wait, flood.statuses[500]) == (0, 0)

        assert series(after) == series(before)
        lines = Counter(str(line.get("outcome")) for line in service.log_lines() if line["level"] != "info")
        bound = LINES_AT_ONCE + LINES_A_SECOND * (seconds + 5)
        assert {outcome: count for outcome, count in lines.items() if count > bound} == {}

        wait_for(lambda: kept_bytes(service) <= STRANGERS_BYTES or None, CLEANED_SECONDS, every=0.5)
        assert after.total("postback_conservation_drift") == 0
        assert set(after.by_label("postback_not_kept_total", "reason")) == {"sampled"}
        disk = sum(path.stat().st_size for path in tmp_path.glob("p.db*"))
        if form == "long":
            assert disk < flood.bytes_sent / 2
    figures(
        f"{flood.statuses.total()} requests, {flood.bytes_sent >> 20} MiB, in {seconds:.0f} s: {dict(flood.statuses)}; "
        f"{came.total()} of ours stored meanwhile; {lines.total()} warnings; {disk >> 20} MiB on disk; "
        f"{len(series(after))} series before and after"
    )
