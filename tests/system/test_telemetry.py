"""Owns the proof that metrics, log and rows tell one story: under load, in a flood, one postback at a time."""

import asyncio
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.outside.harness import LogLine, Metrics, Service, wait_for
from tests.support.outside.ledger import run
from tests.support.outside.load import Load
from tests.support.outside.tools import call, need
from tests.support.outside.wire import Address, Line, Wire, request

pytestmark = pytest.mark.system

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0", "Connection": "close"}
PATIENCE = 20
FLOOD = 3_000
SENT = 4_096
SENDERS, CLICKS = 32, 20
FATES = ("value=1", "value=1.0", "value=2", "value=1,5", "", "value={value}")  # of one click id, one after the other
HELD_SECONDS = 0.4


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path) as running:
        yield running


def canonical(service: Service, count: int) -> list[LogLine]:
    """Wait for so many lines of postbacks."""

    def enough() -> list[LogLine] | None:
        lines = [line for line in service.log_lines() if line["event"] == "postback"]
        return lines if len(lines) >= count else None

    return wait_for(enough, PATIENCE)


def samples_with_exemplars(service: Service, name: str) -> list[Sample]:
    """Scrape as Prometheus does when it stores exemplars."""
    with Wire(service.operator) as wire:
        page = wire.exchange(request("/metrics", headers=OPENMETRICS)).body.decode()
    families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # it has no types
    return [sample for family in families for sample in family.samples if sample.name == name and sample.exemplar]


def test_promtool_finds_nothing_to_complain_about(service: Service) -> None:
    need("promtool")
    service.postback("a")
    service.postback("a", "")
    page = service.ask_operator("/metrics").body
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert 100 < len(service.metrics()) <= 500


def test_an_exemplar_leads_from_an_error_to_its_line_and_its_row(service: Service) -> None:
    service.postback("good")
    answer = service.get("/postback?c=bad&value=x", headers=TRACEPARENT)
    (sample,) = samples_with_exemplars(service, "postback_received_total")
    assert sample.labels == {"door": "postback", "outcome": "invalid_value"}
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": TRACE, "request_id": answer.request_id}
    (line,) = [line for line in canonical(service, 2) if line["request_id"] == answer.request_id]
    assert (line["trace_id"], line["outcome"]) == (TRACE, "invalid_value")
    rows = service.sql("SELECT outcome, click_id FROM rejected_postback WHERE request_id = ?", answer.request_id)
    assert rows == [("invalid_value", "bad")]


def test_an_exemplar_leads_from_a_slow_request_to_its_line_and_its_row(service: Service) -> None:
    with closing(sqlite3.connect(service.database, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(HELD_SECONDS, other.rollback)
        timer.start()
        answer = service.get("/postback?c=slow&value=1", headers=TRACEPARENT)
        timer.join()
    assert answer.outcome == "stored"
    found = samples_with_exemplars(service, "postback_http_request_duration_seconds_bucket")
    (sample,) = [sample for sample in found if sample.labels["route"] == "/postback"]
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": TRACE, "request_id": answer.request_id}
    assert 0.05 < sample.exemplar.value <= float(sample.labels["le"])
    (line,) = canonical(service, 1)
    assert (line["request_id"], line["trace_id"]) == (answer.request_id, TRACE)
    assert service.sql("SELECT click_id, request_id FROM conversion") == [("slow", answer.request_id)]


def balanced(metrics: Metrics) -> bool:
    """Say whether all sums of conservation are 0."""
    drift = [sample.value for sample in metrics if sample.name == "postback_conservation_drift"]
    return len(drift) >= 2 and not any(drift)


@pytest.mark.proof
def test_under_load_every_scrape_is_one_moment_in_which_the_books_balance(
    service: Service, figures: Callable[[str], None]
) -> None:
    load, scraped, took, done = Load(service.public, "load"), list[Metrics](), list[float](), threading.Event()

    def scrape() -> None:
        while not done.is_set():
            started = time.monotonic()
            scraped.append(service.metrics())
            took.append(time.monotonic() - started)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    run(load.send(SENT))
    done.set()
    scraper.join()
    totals = {metrics.total("postback_received_total") for metrics in scraped}
    assert len(totals) > 3, "no scrape fell into the load"
    assert all(map(balanced, scraped))
    figures(
        f"a scrape under load took {1000 * statistics.median(took):.0f} ms (median of {len(took)}, reading included)"
    )
    assert load.answers.outcomes == Counter(stored=SENT)
    last = service.metrics()
    assert last.by_label("postback_received_total", "outcome") == {"stored": SENT}
    assert last.total("postback_arrived_total") == last.total("postback_rows_written_total") == SENT
    assert service.sql("SELECT count(*) FROM conversion") == [(SENT,)]
    assert len(canonical(service, SENT)) == SENT


async def send_fates(address: Address, sender: int, outcomes: Counter[str | None]) -> None:
    """Send each of a sender's click ids to every fate, and count what it is told."""
    line = await Line.connect(address)
    for click in range(CLICKS):
        for fate in FATES:
            outcomes[(await line.exchange(request(f"/postback?c=fate-{sender}-{click}&{fate}"))).outcome] += 1
    line.close()


async def send_all_fates(address: Address) -> Counter[str | None]:
    """Let the senders send at once."""
    outcomes: Counter[str | None] = Counter()
    await asyncio.gather(*(send_fates(address, sender, outcomes) for sender in range(SENDERS)))
    return outcomes


def test_by_outcome_senders_metrics_log_and_tables_tell_the_same_numbers(service: Service) -> None:
    told = run(send_all_fates(service.public))
    each = ("stored", "duplicate", "conflict", "invalid_value", "missing_value", "unexpanded_macro")
    assert told == dict.fromkeys(each, SENDERS * CLICKS)
    assert service.metrics().by_label("postback_received_total", "outcome") == told
    assert Counter(line["outcome"] for line in canonical(service, told.total())) == told
    kept = service.sql(
        "SELECT 'stored', count(*) FROM conversion UNION ALL SELECT 'duplicate', count(*) FROM duplicate "
        "UNION ALL SELECT outcome, count(*) FROM rejected_postback GROUP BY outcome"
    )
    assert set(kept) == set(told.items())


@pytest.mark.proof
def test_a_flood_of_errors_bounds_the_log_and_nothing_else(service: Service) -> None:
    with Wire(service.public) as wire:
        for _ in range(FLOOD):
            assert wire.exchange(request("/postback?c=flood")).outcome == "missing_value"
    metrics = service.metrics()
    assert metrics.by_label("postback_received_total", "outcome") == {"missing_value": FLOOD}
    assert service.sql("SELECT outcome, count(*) FROM rejected_postback") == [("missing_value", FLOOD)]
    limited = metrics.total("postback_log_rate_limited_total", event="postback", outcome="missing_value")
    assert limited == metrics.total("postback_log_dropped_total") > 0
    assert len(canonical(service, int(FLOOD - limited))) + limited == FLOOD
    assert service.terminate() == 0
    told = [line for line in service.log_lines() if line["event"] == "log_rate_limited"]
    assert {(line["of_event"], line["outcome"]) for line in told} == {("postback", "missing_value")}
    assert sum(int(str(line["lines"])) for line in told) == limited


def test_what_is_not_http_is_counted(service: Service) -> None:
    with Wire(service.public) as wire:
        assert wire.exchange(b"this is not HTTP\r\n\r\n").status == 400
    assert service.metrics().total("postback_http_responses_total", route="unparsed", code="400") == 1


@pytest.mark.proof
def test_readiness_is_a_gauge_and_a_database_that_is_held_for_long_turns_it(service: Service) -> None:
    assert service.metrics().total("postback_ready") == 1
    with closing(sqlite3.connect(service.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        wait_for(lambda: service.metrics().total("postback_ready") == 0, PATIENCE, every=0.2)
        assert service.ask_operator("/readyz").status == 503
        assert service.ask_operator("/healthz").status == 200
        other.execute("ROLLBACK")
    wait_for(lambda: service.metrics().total("postback_ready") == 1, PATIENCE, every=0.2)


def test_space_and_the_end_of_the_certificate_are_told(tmp_path: Path) -> None:
    need("openssl")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost")
    call("openssl", "req", "-x509", *made, "-keyout", str(key), "-out", str(certificate))
    ends = call("openssl", "x509", "-in", str(certificate), "-noout", "-enddate").strip().removeprefix("notAfter=")
    seconds = float(call("date", "--utc", "--date", ends, "+%s"))
    with Service(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}) as service:
        metrics = service.metrics()
        assert metrics.total("postback_tls_certificate_expiry_timestamp_seconds") == seconds
        assert metrics.total("postback_storage_capacity_bytes") == shutil.disk_usage(tmp_path).total
        assert 0 < metrics.total("postback_storage_free_bytes") <= shutil.disk_usage(tmp_path).total
        assert metrics.total("postback_storage_file_bytes", file="database") == service.database.stat().st_size
