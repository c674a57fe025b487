"""Owns the proof from outside that the log is whole: a crash is in it, each postback once, and nothing secret."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.outside.harness import START_SECONDS, LogLine, Service, clean_environment, wait_for
from tests.support.outside.wire import Answer, Wire, request

pytestmark = pytest.mark.system

SECRET = "planted-7f3a"
SIGNED = f"https%3A%2F%2Fbucket.example%2Fo%3FX-Amz-Signature%3D{SECRET}"
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
JSON = {"Content-Type": "application/json"}
PATIENCE = 20
HANG_UPS = 50

CRASHING = """
from service import cli
from service.process import serving

def bug():
    raise LookupError("a bug in the server")

serving._tune = bug
cli.app(["run"])
"""

PLANTED: dict[str, bytes] = {
    "a key in the query": request(f"/postback?c=a&value=1&api_key={SECRET}"),
    "a key beside a mistake": request(f"/postback?c=a&value=x&api_key={SECRET}"),
    "a key sent twice": request(f"/postback?c=a&value=1&c=b&api_key={SECRET}&api_key={SECRET}"),
    "a key that is no UTF-8": request(f"/postback?c=a&value=1&api_key={SECRET}%FF"),
    "a key in a header": request("/postback?c=b&value=1", headers={"X-Api-Key": SECRET}),
    "a bearer token": request("/postback?c=c&value=1", headers={"Authorization": f"Bearer {SECRET}"}),
    "a token from a proxy": request("/postback?c=d&value=1", headers={"X-Forwarded-Access-Token": SECRET}),
    "a cookie": request("/postback?c=e&value=1", headers={"Cookie": f"session={SECRET}"}),
    "a trace": request("/postback?c=f&value=1", headers={"traceparent": SECRET, "tracestate": f"x={SECRET}"}),
    "a password in the request line": request(f"http://user:{SECRET}@127.0.0.1/postback?c=g&value=1"),
    "a signed URL": request(f"/postback?c=h&value=1&landing={SIGNED}"),
    "a signed URL that led here": request("/postback?c=i&value=x", headers={"Referer": SIGNED, "User-Agent": SECRET}),
    "a body": request("/postback?c=j&value=1", method="POST", headers=JSON, body=b'{"k":"%s"}' % SECRET.encode()),
    "a broken body": request("/postback", method="POST", headers=JSON, body=b'{"k":"%s"' % SECRET.encode()),
    "a wrong method": request(f"/postback?c=k&api_key={SECRET}", method="PUT"),
    "a wrong path": request(f"/{SECRET}?api_key={SECRET}"),
    "what is not HTTP": f"{SECRET}\r\n\r\n".encode(),
}


@contextmanager
def started(directory: Path, stdout: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with the service at hand, and end it whatever happens."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env=clean_environment() | {"POSTBACK_PORT": "0", "POSTBACK_OPERATOR_PORT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def postbacks(service: Service) -> list[LogLine]:
    """Return the canonical lines until now."""
    return [line for line in service.log_lines() if line["event"] == "postback"]


def test_a_crash_of_the_service_is_the_last_line_and_nothing_comes_out_beside_it(tmp_path: Path) -> None:
    with started(tmp_path, subprocess.PIPE, "-c", CRASHING) as process:
        out, err = process.communicate(timeout=START_SECONDS)
    *_, last = map(json.loads, out.splitlines())
    assert (process.returncode, err) == (1, "")
    assert (last["level"], last["event"], last["error"]) == (
        "critical",
        "crashed",
        "LookupError('a bug in the server')",
    )


def test_on_a_terminal_lines_are_for_people_and_elsewhere_for_programs(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    shown = b""
    with started(tmp_path, theirs, "-m", "service", "run"):
        while b"open_mode" not in shown:
            assert select.select([ours], [], [], START_SECONDS)[0], shown
            shown += os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert re.match(r"\d\d:\d\d:\d\d\.\d{3} \[info *\] listening +public=http://", plain)
    with Service(tmp_path, {"LOG_FORMAT": "auto"}) as service:
        assert service.log_lines()[0]["event"] == "listening"


def test_senders_that_hang_up_before_their_answer_have_one_line_and_one_outcome_each(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        for number in range(HANG_UPS):
            with Wire(service.public) as wire:
                wire.send(request(f"/postback?c=gone-{number}&value=1"))
        wait_for(lambda: len(postbacks(service)) >= HANG_UPS, PATIENCE)
        assert service.metrics().by_label("postback_received_total", "outcome") == {"stored": HANG_UPS}
        assert service.terminate() == 0
        assert len({line["click_id"] for line in postbacks(service)}) == len(postbacks(service)) == HANG_UPS


def plant(service: Service) -> Iterator[Answer]:
    """Send every secret, and then look at the metrics in both dialects."""
    for planted in PLANTED.values():
        with Wire(service.public) as wire:
            yield wire.exchange(planted)
    for headers in ({}, OPENMETRICS):
        with Wire(service.operator) as wire:
            yield wire.exchange(request("/metrics", headers=headers))


def test_no_secret_that_is_sent_comes_out_anywhere(tmp_path: Path) -> None:
    with Service(tmp_path, {"LOG_LEVEL": "debug", "API_KEY": SECRET}) as service:  # no setting of ours: warned of
        answers = list(plant(service))
        assert service.terminate() == 0
        told = [f"{dict(answer.headers)} {answer.body!r}" for answer in answers]
        assert [text for text in [*told, service.log_text(), service.stderr()] if SECRET in text] == []
        ids = [answer.request_id for answer in answers if answer.outcome]
        assert [line["request_id"] for line in postbacks(service)] == ids
        assert len(ids) >= len(PLANTED) - 4  # the others are no postbacks
