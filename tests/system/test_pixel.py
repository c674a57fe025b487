"""Owns the pixel from outside: a browser gets its image come what may, and nobody else is deceived by it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.outside.harness import LogLine, Service, command, wait_for

pytestmark = pytest.mark.system


def pixel(service: Service, query: str) -> str | None:
    """Call the pixel as a page does; check the image, and return the outcome."""
    answer = service.get(f"/pixel.gif?{query}", headers={"Accept": "image/*", "Referer": "https://shop.example/thanks"})
    assert (answer.status, answer.headers["content-type"], answer.headers["cache-control"]) == (
        200,
        "image/gif",
        "no-store",
    )
    assert answer.body.startswith(b"GIF89a\1\0\1\0")
    return answer.outcome


@contextmanager
def storage_failing(service: Service) -> Iterator[None]:
    """Hold the write lock of the service's database: every commit fails."""
    with closing(sqlite3.connect(service.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_pixel_is_always_an_image_and_its_outcome_is_in_header_row_log_metrics_and_lookup(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        outcomes = [pixel(service, query) for query in ("c=a&value=1.50", "c=a&value=1.5", "c=wrong&value=1,5")]
        assert service.postback("a", "1.50").outcome == "duplicate"  # one key at all doors
        with storage_failing(service):
            outcomes.append(pixel(service, "c=lost&value=1"))
        assert outcomes == ["stored", "duplicate", "invalid_value", "storage_unavailable"]

        metrics = service.metrics()
        assert [metrics.total("postback_received_total", door="pixel", outcome=str(it)) for it in outcomes] == [1.0] * 4
        assert metrics.total("postback_http_responses_total", route="/pixel.gif", code="200") == 4
        assert metrics.by_label("postback_conservation_drift", "check") == {}
        assert service.sql("SELECT click_id, door FROM conversion") == [("a", "pixel")]
        assert service.sql("SELECT door FROM duplicate ORDER BY door") == [("pixel",), ("postback",)]
        assert service.sql("SELECT click_id, door FROM rejected_postback") == [("wrong", "pixel")]

        lines = wait_for(lambda: told(service, len(outcomes)), 5)
        assert [(line["outcome"], line["status"]) for line in lines] == [(outcome, 200) for outcome in outcomes]
        assert [(line["click_id"], line["value"]) for line in lines][-1] == ("lost", "1")
        looked = command(tmp_path, service.database_url, "lookup", "wrong").stdout
        assert "  pixel  200 invalid_value: " in looked


def told(service: Service, lines: int) -> list[LogLine] | None:
    """Return the pixels' canonical lines once there are so many."""
    found = [line for line in service.log_lines() if line["event"] == "postback" and line["door"] == "pixel"]
    return found if len(found) >= lines else None
