"""Drives `python -m service send` from outside, against a stand-in receiver that can answer badly or not at all."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypedDict
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
SHORT_WAITS = ("--retry", "--retry-base", "0.01")
BOTH_IDS = "c={click_id}&t={transaction_id}&value={value}"


class Receiver(ThreadingHTTPServer):
    """Answers a URL the n-th time with the n-th word of its path, the last one for ever after: `/503/503/200`.

    `drop` closes the connection without an answer, `hang` holds it until the test is over.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.targets: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.asked = threading.Condition()
        self.over = threading.Event()

    def url(self, path_and_query: str) -> str:
        """Return a URL of this receiver."""
        return f"http://127.0.0.1:{self.server_port}{path_and_query}"

    def note(self, target: str, headers: dict[str, str]) -> str:
        """Keep a request and return the word to answer it with."""
        with self.asked:
            self.targets.append(target)
            self.headers.append(headers)
            self.asked.notify_all()
            words = urlsplit(target).path.strip("/").split("/")
            return words[min(self.targets.count(target), len(words)) - 1]


class Conversation(BaseHTTPRequestHandler):
    """One connection to the receiver."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go out as two segments: each answer would take 40 ms
    server: Receiver

    def do_GET(self) -> None:
        """Answer as the URL asks."""
        word = self.server.note(self.path, dict(self.headers))
        if word == "hang":
            self.server.over.wait()
        if word in {"drop", "hang"}:
            self.close_connection = True
            return
        body = f"body of {word}\x1b[31m\n".encode()
        self.send_response(int(word))
        self.send_header("X-Postback-Outcome", "stored" if word == "200" else f"answer_{word}")
        self.send_header("X-Request-Id", "0123456789abcdef")
        self.send_header("Location", "/200")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


class OutcomeRow(TypedDict):
    """One row of `outcomes` and `retried` in the JSON summary."""

    status: int | None
    outcome: str | None
    error: str | None
    count: int


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def command(*arguments: str) -> list[str]:
    """Build the command line; a busy machine must not cause time-outs that no test asked for."""
    return [sys.executable, "-W", "error", "-m", "service", "send", "--timeout", "60", *arguments]


def send(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def total(rows: list[OutcomeRow]) -> int:
    return sum(row["count"] for row in rows)


def test_one_postback_prints_its_answer_and_adds_up_to_one(receiver: Receiver) -> None:
    sent = send(receiver.url("/200?" + BOTH_IDS))
    assert (sent.returncode, sent.stderr) == (0, "")
    assert sent.stdout.startswith("HTTP 200 stored 0123456789abcdef\n  | body of 200\\x1b[31m\n")
    assert re.search(r"^200 +stored +1$", sent.stdout, re.MULTILINE)
    assert len(receiver.targets) == 1


@pytest.mark.parametrize(
    ("path", "attempts", "exit_code", "last"),
    [
        ("/200", 1, 0, (200, None)),
        ("/503/503/200", 3, 0, (200, None)),
        ("/500/drop/200", 3, 0, (200, None)),
        ("/drop/200", 2, 0, (200, None)),
        ("/503/400/200", 2, 1, (400, None)),
        ("/400/200", 1, 1, (400, None)),
        ("/404/200", 1, 1, (404, None)),
        ("/429/200", 1, 1, (429, None)),  # without a Retry-After
        ("/302/200", 1, 1, (302, None)),  # nor is it followed
        ("/503", 5, 1, (503, None)),
        ("/drop", 5, 1, (None, "protocol_error")),
    ],
)
def test_exactly_5xx_and_lost_connections_are_retried_with_the_very_same_url(
    receiver: Receiver, path: str, attempts: int, exit_code: int, last: tuple[int | None, str | None]
) -> None:
    sent = send(receiver.url(f"{path}?{BOTH_IDS}"), *SHORT_WAITS, "--json")
    summary = json.loads(sent.stdout)
    assert exit_code == sent.returncode, sent.stderr
    assert attempts == len(receiver.targets) == summary["attempts"]
    assert len(set(receiver.targets)) == 1
    assert last == (summary["answer"]["status"], summary["answer"]["error"])


def test_a_time_out_is_retried_with_the_very_same_url(receiver: Receiver) -> None:
    sent = send(receiver.url(f"/hang/200?{BOTH_IDS}"), *SHORT_WAITS, "--timeout", "1", "--json")
    summary = json.loads(sent.stdout)
    assert sent.returncode == 0, sent.stderr
    assert len(set(receiver.targets)) == 1
    assert {"timeout"} == {row["error"] for row in summary["retried"]}
    assert len(receiver.targets) == summary["attempts"] == 1 + total(summary["retried"])


@pytest.mark.parametrize(("path", "error"), [("/503/200", None), ("/drop/200", "protocol_error")])
def test_nothing_is_retried_unless_asked(receiver: Receiver, path: str, error: str | None) -> None:
    sent = send(receiver.url(f"{path}?{BOTH_IDS}"), "--json")
    assert sent.returncode == 1, sent.stderr
    assert len(receiver.targets) == 1
    assert error == json.loads(sent.stdout)["answer"]["error"]


def test_a_refused_connection_is_reported_and_not_a_crash() -> None:
    with socket.socket() as bound_but_deaf:
        bound_but_deaf.bind(("127.0.0.1", 0))
        sent = send(f"http://127.0.0.1:{bound_but_deaf.getsockname()[1]}/200", "--json")
    assert sent.returncode == 1, sent.stderr
    assert json.loads(sent.stdout)["answer"]["error"] == "connect_error"


def test_every_attempt_is_in_exactly_one_row_and_the_receiver_counts_the_same(receiver: Receiver) -> None:
    sent = send(receiver.url(f"/503/200?{BOTH_IDS}"), "--count", "300", "--concurrency", "8", *SHORT_WAITS, "--json")
    summary = json.loads(sent.stdout)
    assert sent.returncode == 0, sent.stderr
    assert summary["requested"] == summary["sent"] == summary["accepted"] == total(summary["outcomes"]) == 300
    assert summary["retries"] == total(summary["retried"]) == 300
    assert summary["attempts"] == len(receiver.targets) == 600
    assert {2} == set(Counter(receiver.targets).values())
    assert (summary["failed"], summary["abandoned"], summary["errors"]) == (0, 0, {})
    assert summary["outcomes"] == [{"status": 200, "outcome": "stored", "error": None, "count": 300}]
    assert summary["retried"] == [{"status": 503, "outcome": "answer_503", "error": None, "count": 300}]
    latency = summary["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"] != latency["p50"]


def test_a_rate_is_never_exceeded_and_lateness_is_told_only_when_there_is_a_schedule(receiver: Receiver) -> None:
    paced, unpaced = (
        json.loads(send(receiver.url(f"/200?{BOTH_IDS}"), "--count", "6", "--rate", rate, "--json").stdout)
        for rate in ("20", "0")
    )
    assert paced["duration_s"] >= 0.25  # the sixth is due five twentieths after the first
    assert paced["max_lag_ms"] > 0
    assert unpaced["max_lag_ms"] is None


def test_ids_are_unique_the_amount_has_two_decimals_and_a_fixed_value_is_encoded(receiver: Receiver) -> None:
    send(receiver.url(f"/200?{BOTH_IDS}"), "--count", "200", "--concurrency", "4")
    send(receiver.url("/200?value={value}&fixed=1"), "--value", "1 000,5&c=x")
    queries = [parse_qs(urlsplit(target).query) for target in receiver.targets]
    assert queries.pop() == {"value": ["1 000,5&c=x"], "fixed": ["1"]}
    for name in ("c", "t"):
        assert len({query[name][0] for query in queries}) == 200
        assert all(re.fullmatch("[0-9a-f]{32}", query[name][0]) for query in queries)
    assert all(re.fullmatch(r"\d+\.\d\d", query["value"][0]) for query in queries)


def test_every_known_macro_is_replaced(receiver: Receiver) -> None:
    known = ["click_id", "transaction_id", "value", "timestamp", "country", "device_type", "campaign_id", "source"]
    sent = send(receiver.url("/200?" + "&".join(f"{name}={{{name}}}" for name in known)))
    assert sent.returncode == 0, sent.stderr
    query = parse_qs(urlsplit(receiver.targets[0]).query)
    assert set(known) == set(query)
    assert not [value for values in query.values() for value in values if "{" in value]


def test_a_seed_repeats_a_run_retries_or_not(receiver: Receiver) -> None:
    arguments = (f"/200?{BOTH_IDS}", f"/503/200?{BOTH_IDS}")
    for path_and_query in arguments:
        send(receiver.url(path_and_query), "--count", "20", "--concurrency", "3", "--seed", "7", *SHORT_WAITS)
    send(receiver.url(arguments[0]), "--count", "20", "--seed", "8")
    queries = [urlsplit(target).query for target in receiver.targets]
    first, repeated, other = set(queries[:20]), set(queries[20:-20]), set(queries[-20:])
    assert first == repeated
    assert not first & other


def test_a_url_that_is_the_same_each_time_is_sent_but_remarked_upon(receiver: Receiver) -> None:
    sent = send(receiver.url("/200?c=1&value={value}"), "--count", "3")
    assert sent.returncode == 0
    assert "expect duplicates" in sent.stderr
    assert len(receiver.targets) == 3


def test_a_header_is_sent_as_given(receiver: Receiver) -> None:
    send(receiver.url("/200"), "--header", "Authorization: Bearer made-up", "--header", "X-Trial: a: b")
    assert receiver.headers[0].items() >= {"Authorization": "Bearer made-up", "X-Trial": "a: b"}.items()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("{base}?c={{clickid}}",), "unknown macro {clickid}; known are"),
        (("http://{{source}}/x",), "the host must be fixed"),
        (("ftp://127.0.0.1/x",), "is not an absolute http:// or https:// URL"),
        (("127.0.0.1/x",), "is not an absolute http:// or https:// URL"),
        (("http://127.0.0.1:99999/x",), "a port that does not exist"),
        (("http://127.0.0.1/x y",), "white space"),
        (("{base}", "--count", "0"), "--count"),
        (("{base}", "--count", "-1"), "--count"),
        (("{base}", "--concurrency", "0"), "--concurrency"),
        (("{base}", "--rate", "-1"), "a rate is"),
        (("{base}", "--rate", "nan"), "a rate is"),
        (("{base}", "--timeout", "0"), "a time-out is"),
        (("{base}", "--retry", "--retry-base", "-1"), "base and cap must be"),
        (("{base}", "--header", "Authorization made-up-secret"), "a header is written"),
        ((), "Missing argument"),
    ],
)
def test_bad_usage_says_what_is_wrong_and_sends_nothing(
    receiver: Receiver, arguments: tuple[str, ...], complaint: str
) -> None:
    sent = send(*(argument.format(base=receiver.url("/200")) for argument in arguments))
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", sent.stderr).split())
    assert sent.returncode == 2
    assert complaint in said
    assert "made-up-secret" not in said
    assert (sent.stdout, receiver.targets) == ("", [])


def test_ctrl_c_reports_what_was_done_and_what_was_cut_off(receiver: Receiver) -> None:
    arguments = (receiver.url(f"/hang?{BOTH_IDS}"), "--count", "9", "--concurrency", "2", "--json")
    process = subprocess.Popen(command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        with receiver.asked:
            assert receiver.asked.wait_for(lambda: len(receiver.targets) == 2, timeout=60)
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=60)
    summary = json.loads(output)
    assert (process.returncode, complaints) == (130, "")
    assert tuple(summary[key] for key in ("requested", "sent", "abandoned", "attempts")) == (9, 0, 2, 0)
