"""A million fuzzed requests to all doors: none is answered 5xx, each gets one answer, and the books are exact."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.fuzz import Fuzz
from tests.support.outside.harness import Metrics, Service, command, read_database
from tests.support.outside.ledger import run
from tests.support.outside.registering import told
from tests.support.outside.wire import Address, Answer, HungUp, Line

pytestmark = [pytest.mark.system, pytest.mark.proof]

REQUESTS = {"short": 3_000, "long": 1_000_000}
LINES = 16
RAW_EVERY = 10  # of so many requests one is bytes that may be no HTTP
FILES, ROWS = {"short": 1, "long": 50}, 2_000  # that are imported
PATIENCE = 30
PIXEL = ("--door", "pixel")
_SUMS = re.compile(r"(\w+)=(\d+)")
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Teller:
    """Sends fuzzed requests over one connection at a time, and remembers what was answered."""

    def __init__(self, address: Address, seed: int, keys: tuple[str, str]) -> None:
        self.outcomes = Counter[str]()
        self.faults: list[tuple[bytes, int]] = []
        self.statuses = Counter[int]()
        self._address = address
        self._fuzz = Fuzz(seed, keys)
        self._line: Line | None = None

    async def tell(self, count: int) -> None:
        """Send so many requests, each when the last one is answered."""
        for _ in range(count):
            sent = self._fuzz.request()
            answer = await self._exchange(sent)
            self._note(sent, answer)
        if self._line:
            self._line.close()

    async def _exchange(self, sent: bytes) -> Answer:
        line = self._line if self._line and self._line.open else await Line.connect(self._address)
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await line.exchange(sent)
        except (TimeoutError, HungUp) as error:
            pytest.fail(f"no whole answer to {sent!r}: {error!r}, {line.unasked!r}")
        self._line = line
        if answer.headers.get("connection") == "close":
            line.close()
            self._line = None
        else:
            assert line.unasked == b"", f"more than one answer to {sent!r}"
        return answer

    def _note(self, sent: bytes, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if answer.status >= 500:
            self.faults.append((sent, answer.status))
        sums = _SUMS.findall(answer.headers.get("x-postback-outcomes", ""))
        if answer.outcome:
            self.outcomes[answer.outcome] += 1
        for outcome, rows in sums:
            self.outcomes[outcome] += int(rows)

    async def babble(self, count: int) -> None:
        """Send so many times what may be no HTTP, on a connection of its own, and close our half of it."""
        for _ in range(count):
            sent = self._fuzz.raw()
            came = await self._until_closed(sent)
            found = [int(status) for status in _STATUS.findall(came)]
            self.statuses.update(found)
            self.faults += [(sent, status) for status in found if status >= 500 and status not in (501, 505)]

    async def _until_closed(self, sent: bytes) -> bytes:
        came = b""
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(sent)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(65536):
                    came += data
        except ConnectionError:  # it was closed while we wrote
            pass
        writer.close()
        return came


async def together(tellers: list[Teller], each: int, work: Callable[[Teller, int], Awaitable[None]]) -> None:
    """Let all tellers work at once."""
    await asyncio.gather(*(work(teller, each) for teller in tellers))


def counted(metrics: Metrics) -> Counter[str]:
    """Return how many postbacks of each outcome the service has counted, tests among them."""
    names = ("postback_received_total", "postback_test_received_total")
    sums = Counter[str]()
    for sample in metrics:
        if sample.name in names:
            sums[sample.labels["outcome"]] += int(sample.value)
    return +sums


def held(database: Path) -> Counter[str]:
    """Return how many of each outcome the database has: rows, and what its book says was deleted or never kept."""
    rows = read_database(
        database,
        "SELECT 'stored', count(*) FROM conversion UNION ALL SELECT 'duplicate', count(*) FROM duplicate "
        "UNION ALL SELECT 'updated', count(*) FROM status_change "
        "UNION ALL SELECT outcome, count(*) FROM rejected_postback GROUP BY outcome "
        "UNION ALL SELECT outcome, sum(rows) FROM deletion GROUP BY outcome",
    )
    sums = Counter[str]()
    for outcome, count in rows:
        sums[str(outcome)] += int(str(count))
    return +sums


def url_of(directory: Path) -> str:
    """Return where the database is."""
    return f"sqlite:///{directory / 'p.db'}"


def sound(directory: Path, *options: str, **settings: str) -> None:
    """Assert that doctor finds nothing wrong."""
    examined = plainly(directory, "--json", *options, **{"POSTBACK_DATABASE_URL": url_of(directory), **settings})
    assert [examined.named(state) for state in ("wrong", "warning")] == [set(), set()], examined.out


def faults_of(tellers: list[Teller]) -> list[tuple[bytes, int]]:
    """Return what was answered as our fault."""
    return [fault for teller in tellers for fault in teller.faults]


def test_no_fuzzed_request_is_answered_5xx_and_each_is_answered_and_counted_once(
    tmp_path: Path, form: Literal["short", "long"], figures: Callable[[str], None]
) -> None:
    made = [told(tmp_path, url_of(tmp_path), "keys", "create", "ezmob", *options)["key"] for options in (PIXEL, ())]
    keys, each = (str(made[0]), str(made[1])), REQUESTS[form] // LINES
    with Service(tmp_path, {"STRANGER_RATE": "0"}) as service:
        tellers = [Teller(service.public, seed, keys) for seed in range(LINES)]
        run(together(tellers, each - each // RAW_EVERY, Teller.tell))
        outcomes = sum((teller.outcomes for teller in tellers), Counter[str]())
        assert faults_of(tellers) == []
        assert counted(service.metrics()) == outcomes == held(service.database)

        run(together(tellers, each // RAW_EVERY, Teller.babble))
        assert faults_of(tellers) == []
        assert counted(service.metrics()) == held(service.database)
        assert service.get(f"/postback?c=afterwards&value=1&key={keys[1]}").outcome == "stored"

        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        assert [line for line in service.log_lines() if line["level"] in ("error", "critical")] == []
        sound(tmp_path, **settings_of(service))
        assert (service.terminate(), service.stderr()) == (0, "")
    statuses = sum((teller.statuses for teller in tellers), Counter[int]())
    figures(f"{statuses.total()} answers {dict(sorted(statuses.items()))}, {len(outcomes)} outcomes {dict(outcomes)}")


def test_a_fuzzed_file_is_imported_row_by_row_and_what_it_left_is_replayed(
    tmp_path: Path, form: Literal["short", "long"], figures: Callable[[str], None]
) -> None:
    fuzz = Fuzz(1, ("", ""))
    for number in range(FILES[form]):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(fuzz.rows(ROWS))
        imported = command(tmp_path, url_of(tmp_path), "import", path.name, "--encoding", "utf-8", "--json")
        assert (imported.returncode in (0, 1), imported.stderr) == (True, ""), imported.stderr
    replayed = command(tmp_path, url_of(tmp_path), "replay", "--yes", "--json")
    assert (replayed.returncode, replayed.stderr) == (0, "")
    sound(tmp_path, "--offline")
    figures(f"{FILES[form] * ROWS} rows imported: {dict(held(tmp_path / 'p.db'))}")
