"""Owns the proof that a batch is as good as its rows: killed halfway and sent again, each conversion is there once."""

import gzip
import json
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from random import Random

import pytest

from tests.support.outside.harness import Service, wait_for

pytestmark = pytest.mark.system

ROWS = 50_000
SECONDS = 60


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings of a service on either engine."""
    return {} if request.param == "sqlite" else {"DATABASE_URL": request.getfixturevalue("postgres_url")}


def send_batch(service: Service) -> tuple[int, list[dict[str, object]]]:
    """Send rows of which every hundredth has no value; return the status and the rows of the answer."""
    lines = (f'{{"c":"click-{n}"}}' if n % 100 == 0 else f'{{"c":"click-{n}","value":"{n}.5"}}' for n in range(ROWS))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    with closing(HTTPConnection(*service.public, timeout=SECONDS)) as connection:
        connection.request("POST", "/postbacks", gzip.compress("\n".join(lines).encode()), headers)
        answer = connection.getresponse()
        return answer.status, [json.loads(line) for line in answer.read().splitlines()]


@pytest.mark.proof
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


CLICK_IDS = ("again", "", "{click_id}", "a b", "\u00fc" * 300, "c?value=1", "%2520", "REPLACE")
VALUES = ("1.50", "1", "1,50", "$2", "", "x", "NaN", "-0.000001", "1" * 30, "{payout}", "1e9")
NO_TEXTS = (1.5, 7, -1, 1e300, None, True, [1], {"a": 1}, 10**25)
NAMES = ("C", "Value", "amp;value", " c", "test", "currency", "goal", "txid")
NO_OBJECTS = ("no json", "[]", "1", '"text"', "null", "{", '{"c":"a","c":"b","value":"1"}', "\x00", "{}")
LETTERS = [chr(code) for code in (65, 127, 160, 0x200B, 0x202E, 0x1F600, 34, 92)]


def fuzzed(random: Random, number: int) -> str:
    """Return one row as a careless or hostile sender writes it; it holds no line end."""
    fields: dict[str, object] = {"c": random.choice((f"n{number}", *CLICK_IDS)), "value": random.choice(VALUES)}
    match random.randrange(14):
        case 0:
            fields["value"] = random.choice(NO_TEXTS)
        case 1:
            fields[random.choice(NAMES)] = "1"
        case 2:
            fields["currency"] = random.choice(("EUR", "eur", "XXXX", "", None))
        case 3:
            fields |= {f"x{place}": "y" for place in range(random.choice((5, 70)))}
        case 4:
            return random.choice(NO_OBJECTS)
        case 5:  # half a surrogate pair, a NUL
            return json.dumps(fields).replace("u00fc", random.choice(("ud800", "u0000")))
        case 6:
            return json.dumps(fields)[: random.randrange(1, 20)]
        case 7:
            fields["c"] = "".join(random.choice(LETTERS) for _ in range(9))
        case 8:
            return json.dumps(fields, ensure_ascii=False)
        case _:
            pass
    return json.dumps(fields)


@pytest.mark.proof
def test_rows_of_every_kind_have_an_outcome_each_and_none_is_our_fault(
    tmp_path: Path, settings: dict[str, str], form: str, figures: Callable[[str], None]
) -> None:
    batches, sent = 20 if form == "long" else 1, 0
    random = Random(7)  # noqa: S311 - the same rows each time
    told: Counter[str] = Counter()
    with Service(tmp_path, settings) as service:
        for _ in range(batches):
            rows = [fuzzed(random, sent + place) for place in range(ROWS)]
            with closing(HTTPConnection(*service.public, timeout=SECONDS)) as connection:
                headers = {"Content-Type": "application/x-ndjson"}
                connection.request("POST", "/postbacks", "\n".join(rows).encode(), headers)
                answer = connection.getresponse()
                told.update(json.loads(line)["outcome"] for line in answer.read().splitlines())
            assert answer.status == 207
            sent += ROWS
            assert told.total() == sent
        metrics = service.metrics()
        assert not {"internal_error", "overloaded", "storage_unavailable"} & set(told)
        counted = Counter(metrics.by_label("postback_received_total", "outcome"))
        assert counted + Counter(metrics.by_label("postback_test_received_total", "outcome")) == told
        assert metrics.by_label("postback_conservation_drift", "check") == {}
        tables = ("conversion", "duplicate", "rejected_postback")
        assert sum(int(str(service.sql(f"SELECT count(*) FROM {table}")[0][0])) for table in tables) == sent  # noqa: S608
    figures(f"{sent} rows, no fault of ours, each in one table: {dict(told.most_common(6))}")
