"""Owns the proof that a batch is as good as its rows: killed halfway and sent again, each conversion is there once."""

import gzip
import json
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.system.harness import Service, migrate, wait_for
from tests.system.postgres import PostgresServer

pytestmark = pytest.mark.system

ROWS = 20_000
SECONDS = 60


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the settings of a service on either engine."""
    if request.param == "sqlite":
        yield {}
        return
    with PostgresServer() as server:
        migrate(tmp_path, server.url())
        yield {"DATABASE_URL": server.url()}


def send_batch(service: Service) -> tuple[int, list[dict[str, object]]]:
    """Send rows of which every hundredth has no value; return the status and the rows of the answer."""
    lines = (f'{{"c":"click-{n}"}}' if n % 100 == 0 else f'{{"c":"click-{n}","value":"{n}.5"}}' for n in range(ROWS))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    with closing(HTTPConnection(*service.public, timeout=SECONDS)) as connection:
        connection.request("POST", "/postbacks", gzip.compress("\n".join(lines).encode()), headers)
        answer = connection.getresponse()
        return answer.status, [json.loads(line) for line in answer.read().splitlines()]


def test_a_batch_that_was_cut_off_by_a_kill_is_settled_by_sending_it_again(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    with Service(tmp_path, settings) as service:
        with ThreadPoolExecutor() as pool:
            cut_off = pool.submit(send_batch, service)
            wait_for(lambda: service.metrics().total("postback_rows_written_total") > 1000 or None, SECONDS)
            service.send_signal(signal.SIGKILL)
        assert isinstance(cut_off.exception(), ConnectionError)
    with Service(tmp_path, settings) as service:
        before = int(str(service.sql("SELECT count(*) FROM conversion")[0][0]))
        status, told = send_batch(service)
        outcomes = Counter(row["outcome"] for row in told)
        assert 1000 < before < ROWS * 0.99
        assert status == 207
        assert outcomes == {"duplicate": before, "stored": ROWS * 99 // 100 - before, "missing_value": ROWS // 100}
        assert {row["row"] for row in told if row["outcome"] == "missing_value"} == set(range(1, ROWS, 100))
        conversions = service.sql("SELECT count(*), count(DISTINCT click_id) FROM conversion")
        assert conversions[0] == (ROWS * 99 // 100, ROWS * 99 // 100)
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        assert service.postback("click-1", "1.5").outcome == "duplicate"
