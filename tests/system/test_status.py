"""Owns a conversion's life from outside: lead, sale and refund, on each engine, and through an outage."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.outside.examining import beside, plainly
from tests.support.outside.harness import Service, command, wait_for
from tests.support.outside.wire import Wire, request

pytestmark = pytest.mark.system

HISTORY = "SELECT number, conversion_status, value FROM status_change ORDER BY click_id, number"


@pytest.fixture(params=["sqlite", "postgres"])
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    settings = {}
    if request.param == "postgres":
        settings = {"DATABASE_URL": request.getfixturevalue("postgres_url"), "SPOOL_DIR": str(tmp_path / "spool")}
    with Service(tmp_path, settings) as started:
        yield started


def told(service: Service, status: str, value: str, click_id: str = "lead-1") -> str | None:
    answer = service.get(f"/postback?c={click_id}&value={value}&conversion_status={status}")
    assert (answer.body == b"Success") is (answer.status == 200)
    return answer.outcome


@pytest.mark.proof
def test_a_lead_that_becomes_a_sale_and_is_refunded_is_told_with_all_its_past(tmp_path: Path, service: Service) -> None:
    life = [("lead", "0"), ("sale", "12.50"), ("sale", "12.50"), ("lead", "0"), ("hold", "3"), ("maybe", "3")]
    assert [told(service, *postback) for postback in [*life, ("refunded", "12.50")]] == [
        *("stored", "updated", "duplicate", "duplicate", "illegal_transition", "invalid_status", "updated"),
    ]
    assert service.sql(HISTORY) == [(1, "approved", "12.50"), (2, "refunded", "12.50")]
    assert service.sql("SELECT conversion_status, value FROM conversion") == [("pending", "0")]
    metrics = service.metrics()
    assert metrics.total("postback_rows_written_total", table="status_change") == 2
    assert metrics.by_label("postback_conservation_drift", "check") == {}
    looked = command(tmp_path, service.database_url, "lookup", "lead-1").stdout.splitlines()
    assert looked[-2] == "  now: refunded, value 12.50 (no currency)"
    (exported,) = command(tmp_path, service.database_url, "export", "--format", "ndjson").stdout.splitlines()
    row = json.loads(exported)
    now = [row[name] for name in ("value", "current_value", "conversion_status")]
    assert now == ["0", "12.50", "refunded"]
    directory, options, settings = beside(service, "--json")
    examined = plainly(directory, *options, **settings)
    for check in ("rows_counted", "outcomes_counted", "orphans", "one_outcome", "schema"):
        assert examined.check(check)[0] == "ok"


@pytest.mark.proof
def test_what_happened_during_an_outage_is_judged_in_its_order_afterwards(tmp_path: Path, postgres_url: str) -> None:
    with Service(tmp_path, {"DATABASE_URL": postgres_url, "SPOOL_DIR": str(tmp_path / "spool")}) as service:
        assert told(service, "pending", "0") == "stored"
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE conversion IN ACCESS EXCLUSIVE MODE")
            spooled = [("approved", "9"), ("refunded", "9"), ("approved", "9"), ("rejected", "9"), ("refunde", "9")]
            assert {told(service, *postback) for postback in spooled} == {"spooled"}
            new = [("signup", "0", "lead-2"), ("deposit", "5", "lead-2"), ("signup", "0", "lead-2")]
            assert {told(service, *postback) for postback in new} == {"spooled"}
        wait_for(lambda: service.metrics().total("postback_spool_entries") == 0 or None, 30)
        assert service.sql(HISTORY) == [(1, "approved", "9"), (2, "refunded", "9")]
        metrics = service.metrics()
        drained = metrics.by_label("postback_spool_drained_total", "outcome")
        became = {"stored": 1.0, "updated": 2.0, "duplicate": 2.0, "illegal_transition": 1.0, "invalid_status": 2.0}
        assert drained == became
        assert metrics.by_label("postback_conservation_drift", "check") == {}
        kept = service.sql("SELECT click_id, outcome FROM rejected_postback ORDER BY click_id, outcome")
        rejected = [("lead-1", "illegal_transition"), ("lead-1", "invalid_status"), ("lead-2", "invalid_status")]
        assert kept == rejected
        params = service.sql("SELECT CAST(params AS text) FROM conversion WHERE click_id = 'lead-2'")
        assert params == [('{"conversion_status":"signup"}',)]
        looked = command(tmp_path, postgres_url, "lookup", "lead-2").stdout
        assert looked.count("200 spooled, and at ") == 3


@pytest.mark.proof
def test_paths_and_probes_from_outside(tmp_path: Path, service: Service) -> None:
    """The same door however it is written; what missed it is kept, found and stored from there."""
    for number, path in enumerate(
        ("/postback/", "//postback", "/postback//", "/Postback", "/CONVERSION", "/pixel.gif/")
    ):
        assert service.get(f"{path}?c=door-{number}&value=1").outcome == "stored", path
    missed = service.get("/postbak?c=missed&value=7")
    assert (missed.status, missed.outcome) == (404, "unknown_path")
    plain = service.get("/postbak?value=7")
    assert (plain.status, plain.outcome) == (404, None)
    with Wire(service.public) as wire:
        wire.send(request("/postback?c=put&value=8", method="PUT"))
        by_method = wire.answer()
    assert (by_method.status, by_method.outcome) == (405, "unknown_path")
    assert (service.get("/postbacks?c=listed&value=9").status, service.get("/healthz?c=ill&value=1").status) == (
        405,
        404,
    )
    kept = service.sql("SELECT click_id, outcome FROM rejected_postback ORDER BY id")
    assert kept == [(click_id, "unknown_path") for click_id in ("missed", "put", "listed", "ill")]
    for address, paths in ((service.public, ("/healthz",)), (service.operator, ("/healthz", "/readyz"))):
        for path in paths:
            with Wire(address) as wire:
                wire.send(request(path, method="HEAD"))
                answer = wire.answer(head_only=True)
            assert (answer.status, answer.body) == (200, b""), path
    assert service.metrics().by_label("postback_conservation_drift", "check") == {}
    looked = command(tmp_path, service.database_url, "lookup", "missed").stdout
    assert "404 unknown_path" in looked
    assert "405 unknown_path" in command(tmp_path, service.database_url, "lookup", "put").stdout
    rejected = json.loads(command(tmp_path, service.database_url, "rejected", "list", "--json").stdout)["rejected"]
    assert [one["status"] for one in rejected] == [404, 405, 405, 404]
    service.terminate()
    options = ("replay", "--outcome", "unknown_path", "--yes", "--by", "me")
    assert command(tmp_path, service.database_url, *options).returncode == 0
    named = "SELECT click_id, value FROM conversion WHERE click_id NOT LIKE 'door-%' ORDER BY click_id"
    assert service.sql(named) == [("ill", "1"), ("listed", "9"), ("missed", "7"), ("put", "8")]
