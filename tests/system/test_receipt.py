"""Owns the first-use story from outside: a postback in, an honest receipt, the same story in row, log and metrics."""

import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.outside.harness import Service, wait_for
from tests.support.outside.wire import Answer, Wire, request

pytestmark = pytest.mark.system

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
FIELDS = {"value": "12.50", "currency": "EUR", "goal": "sale", "txid": "T-1", "sub1": "a b"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for this module; each test uses click ids of its own."""
    with Service(tmp_path_factory.mktemp("receipt")) as running:
        yield running


def get(service: Service, fields: dict[str, str]) -> Answer:
    """Send the fields as a query."""
    return service.get(f"/postback?{urlencode(fields)}")


def post(service: Service, content_type: str, body: str) -> Answer:
    """Send a body."""
    with Wire(service.public) as wire:
        headers = {"Content-Type": content_type, "Connection": "close"}
        return wire.exchange(request("/postback", method="POST", headers=headers, body=body.encode()))


def post_form(service: Service, fields: dict[str, str]) -> Answer:
    """Send the fields as a form."""
    return post(service, FORM, urlencode(fields))


def post_json(service: Service, fields: dict[str, str]) -> Answer:
    """Send the fields as a JSON object."""
    return post(service, JSON, json.dumps(fields))


def canonical_line(service: Service, answer: Answer) -> dict[str, object]:
    """Return the one log line of a postback."""

    def found() -> list[dict[str, object]]:
        lines = [line for line in service.log_lines() if line["event"] == "postback"]
        return [line for line in lines if line["request_id"] == answer.request_id]

    (line,) = wait_for(found, 10)
    return line


@pytest.mark.parametrize("send", [get, post_form, post_json])
def test_a_postback_is_one_story_in_the_answer_the_row_the_log_and_the_metrics(
    service: Service, send: Callable[[Service, dict[str, str]], Answer]
) -> None:
    before = service.metrics().total("postback_received_total", outcome="stored")
    answer = send(service, {"c": send.__name__, **FIELDS})
    assert (answer.status, answer.body, answer.outcome) == (200, b"Success", "stored")
    assert re.fullmatch("[0-9a-f]{32}", answer.request_id)
    assert answer.headers["cache-control"] == "no-store"
    (row,) = service.sql(
        "SELECT click_id, value, value_micros, currency, goal, transaction_id, sender, door, params "
        "FROM conversion WHERE request_id = ?",
        answer.request_id,
    )
    assert row[:-1] == (send.__name__, "12.50", 12_500_000, "EUR", "sale", "T-1", "ezmob", "postback")
    assert json.loads(str(row[-1])) == {"sub1": "a b"}
    line = canonical_line(service, answer)
    assert (line["outcome"], line["click_id"], line["status"], line["value"]) == ("stored", send.__name__, 200, "12.50")
    assert service.metrics().total("postback_received_total", outcome="stored") == before + 1


def test_ezmobs_own_path_is_the_same_door(service: Service) -> None:
    assert service.get("/conversion?c=own-path&value=1").outcome == "stored"
    assert service.get("/postback?c=own-path&value=1").outcome == "duplicate"


def test_a_repetition_is_answered_200_and_changes_nothing(service: Service) -> None:
    first = service.postback("again", "1.50")
    assert service.postback("again", "1.5").outcome == "duplicate"
    conflict = service.postback("again", "2")
    assert (conflict.status, conflict.body, conflict.outcome) == (200, b"Success", "conflict")
    rows = service.sql("SELECT value, request_id FROM conversion WHERE click_id = 'again'")
    assert rows == [("1.50", first.request_id)]
    kept = service.sql("SELECT outcome, raw FROM rejected_postback WHERE request_id = ?", conflict.request_id)
    assert kept == [("conflict", b"GET /postback?c=again&value=2")]


def test_a_rejection_says_why_and_is_kept_as_it_came(service: Service) -> None:
    answer = service.get("/postback?c=rejected&value=1%2C50")
    problem = json.loads(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (problem["outcome"], problem["request_id"]) == (answer.outcome, answer.request_id)
    assert (answer.outcome, "hint" in problem) == ("invalid_value", True)
    kept = service.sql("SELECT outcome, click_id, raw FROM rejected_postback WHERE request_id = ?", answer.request_id)
    assert kept == [("invalid_value", "rejected", b"GET /postback?c=rejected&value=1%2C50")]


@pytest.mark.parametrize("target", ["/", "/postback/x", "/metrics", "/readyz", "/api", "/docs", "/..%2fmetrics"])
def test_the_public_listener_shows_nothing_but_doors(service: Service, target: str) -> None:
    answer = service.get(target)
    assert (answer.status, answer.outcome) == (404, None)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_and_store_nothing(service: Service, method: str) -> None:
    before = service.sql("SELECT count(*) FROM conversion")
    with Wire(service.public) as wire:
        answer = wire.exchange(request(f"/postback?c={method}&value=1", method=method))
    outcome = None if method in ("HEAD", "OPTIONS", "TRACE") else "unknown_path"  # kept, because it names a click
    assert (answer.status, answer.headers["allow"], answer.outcome) == (405, "GET, POST", outcome)
    assert before == service.sql("SELECT count(*) FROM conversion")


def test_the_operator_listener_shows_health_readiness_and_metrics_and_takes_no_postback(service: Service) -> None:
    assert [service.ask_operator(target).status for target in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]
    assert service.ask_operator("/postback?c=operator&value=1").status == 404


def test_the_metrics_page_is_what_a_scraper_parses(service: Service) -> None:
    families = list(text_string_to_metric_families(service.ask_operator("/metrics").body.decode()))
    assert {"postback_received", "postback_commit_duration_seconds"} <= {family.name for family in families}
    assert all(family.documentation for family in families)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", ""]
)
def test_open_mode_refuses_any_host_but_loopback_and_keeps_what_was_sent(service: Service, host: str) -> None:
    with Wire(service.public) as wire:
        assert_refused_and_kept(service, wire.exchange(request("/postback?c=host&value=1", host=host)))


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "Forwarded"])
def test_open_mode_refuses_what_came_through_a_proxy_and_keeps_what_was_sent(service: Service, name: str) -> None:
    assert_refused_and_kept(service, service.get("/postback?c=proxy&value=1", headers={name: "127.0.0.1"}))


def assert_refused_and_kept(service: Service, answer: Answer) -> None:
    """Check that nothing was accepted, and that a person can find out what was refused."""
    assert (answer.status, answer.outcome) == (401, "unauthenticated")
    assert "www-authenticate" in answer.headers
    kept = service.sql("SELECT outcome, sender FROM rejected_postback WHERE request_id = ?", answer.request_id)
    assert kept == [("unauthenticated", None)]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.9.1:1", "[::1]", "[::1]:8000"])
def test_open_mode_answers_loopback_names(service: Service, host: str) -> None:
    with Wire(service.public) as wire:
        assert wire.exchange(request("/postback?c=loopback&value=1", host=host)).status == 200


def test_the_log_carries_neither_query_nor_body(service: Service) -> None:
    marker = "planted-secret-7f3a"
    answers = [
        service.get(f"/postback?c=secret&value=1&token={marker}"),
        service.get(f"/postback?c=secret&value=x&token={marker}&token={marker}"),
        service.get(f"/postback?c=secret&value=1&token={marker}%FF"),
        service.get(f"/nowhere?{marker}"),
        post(service, JSON, json.dumps({"c": "secret-2", "value": "1", "token": marker})),
        post(service, JSON, f'{{"c": "{marker}"'),
        post(service, "text/plain", marker),
    ]
    for answer in answers:
        if answer.outcome:
            canonical_line(service, answer)  # it is written by now
    assert marker not in service.log_text()


def test_a_line_break_in_an_input_forges_no_log_line(service: Service) -> None:
    forged = '{"event":"postback","outcome":"stored","click_id":"forged"}'
    answer = get(service, {"c": f"x\r\n{forged}\r\n", "value": f"1\n{forged}\n"})
    assert answer.outcome == "invalid_click_id"
    assert canonical_line(service, answer)["outcome"] == "invalid_click_id"
    assert not [line for line in service.log_lines() if line.get("click_id") == "forged"]


def test_answers_on_one_connection_wait_for_no_delayed_acknowledgement(service: Service) -> None:
    """Without TCP_NODELAY each answer in two segments waits 40 ms for the receiver's acknowledgement of the first."""
    with Wire(service.public) as wire:
        seconds = [time_of(wire) for _ in range(50)]
    assert statistics.median(seconds) < 0.035


def time_of(wire: Wire) -> float:
    """Return how long one answer takes that needs no disk."""
    started = time.monotonic()
    assert wire.exchange(request("/healthz")).status == 200
    return time.monotonic() - started
