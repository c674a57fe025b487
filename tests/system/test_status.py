"""Owns a conversion's life from outside: lead, sale and refund, on each engine, and through an outage."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.outside.examining import beside, plainly
from tests.support.outside.harness import Service, command, wait_for

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
    assert looked[-1] == "  now: refunded, value 12.50 (no currency)"
    (exported,) = command(tmp_path, service.database_url, "export", "--format", "ndjson").stdout.splitlines()
    row = json.loads(exported)
    now = [row[name] for name in ("value", "current_value", "conversion_status")]
    assert now == ["0", "12.50", "refunded"]
    directory, options, settings = beside(service, "--json")
    examined = plainly(directory, *options, **settings)
    for check in ("rows_counted", "outcomes_counted", "orphans", "one_outcome", "schema"):
        assert examined.check(check)[0] == "ok"


def test_what_happened_during_an_outage_is_judged_in_its_order_afterwards(tmp_path: Path, postgres_url: str) -> None:
    with Service(tmp_path, {"DATABASE_URL": postgres_url, "SPOOL_DIR": str(tmp_path / "spool")}) as service:
        assert told(service, "pending", "0") == "stored"
        with psycopg.connect(postgres_url) as connection:
            connection.execute("LOCK TABLE conversion IN ACCESS EXCLUSIVE MODE")
            spooled = [("approved", "9"), ("refunded", "9"), ("approved", "9"), ("rejected", "9")]
            assert {told(service, *postback) for postback in spooled} == {"spooled"}
        wait_for(lambda: service.metrics().total("postback_spool_entries") == 0 or None, 30)
        assert service.sql(HISTORY) == [(1, "approved", "9"), (2, "refunded", "9")]
        metrics = service.metrics()
        drained = metrics.by_label("postback_spool_drained_total", "outcome")
        assert drained == {"updated": 2.0, "duplicate": 1.0, "illegal_transition": 1.0}
        assert metrics.by_label("postback_conservation_drift", "check") == {}
        assert service.sql("SELECT outcome FROM rejected_postback") == [("illegal_transition",)]
