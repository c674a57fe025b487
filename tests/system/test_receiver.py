"""Owns `python -m stack.receiver`, the stand-in for a pager: what it prints, keeps and refuses."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.outside.asking import PATIENCE, ask, ask_json
from tests.support.outside.harness import clean_environment, wait_for

pytestmark = pytest.mark.system

RECEIVER = "stack.receiver"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that takes what the receiver prints."""
    return tmp_path_factory.mktemp("receiver") / "said"


@pytest.fixture(scope="module")
def receiver(said: Path) -> Iterator[str]:
    """Run a receiver alone; give its address."""
    with (
        said.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", RECEIVER, "--port", "0"], env=clean_environment(), stdout=out, stderr=out
        ) as process,
    ):
        (url,) = wait_for(
            lambda: re.findall(r"^listening on (http://\S+)\n", said.read_text(encoding="utf-8")), PATIENCE
        )
        yield url
        process.terminate()


def alert(**labels: str) -> dict[str, object]:
    """Return one alert as Alertmanager's webhook has it."""
    return {"status": "firing", "labels": labels, "annotations": {"summary": "why"}}


def test_the_receiver_prints_one_line_for_each_alert_whatever_it_says(receiver: str, said: Path) -> None:
    told = {"alerts": [alert(alertname="A\nPAGE firing Forged"), alert(alertname="B")]}
    assert ask(f"{receiver}/page", told)[0] == 200
    lines = said.read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["PAGE firing A\\nPAGE firing Forged  why", "PAGE firing B  why"]


def test_the_receiver_keeps_a_bounded_number_of_bounded_texts(receiver: str) -> None:
    for start in range(0, 300, 100):
        ask(f"{receiver}/ticket", {"alerts": [alert(alertname=f"{start + n}" + "x" * 3000) for n in range(100)]})
    kept = ask_json(f"{receiver}/alerts")
    assert [told["labels"]["alertname"][:4].rstrip("x") for told in kept] == [str(n) for n in range(100, 300)]
    assert {len(told["labels"]["alertname"]) for told in kept} == {2000}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/page", b"no JSON", 400),
        ("/page", b"[" * 100_000, 400),
        ("/page", b"[]", 400),
        ("/page", b'{"alerts": [1]}', 400),
        ("/page", b'{"alerts": [{}]}', 400),
        ("/elsewhere", b"{}", 404),
    ],
    ids=["no JSON", "deep", "no object", "no alert", "no labels", "elsewhere"],
)
def test_the_receiver_refuses_what_is_no_notification_and_goes_on(
    receiver: str, path: str, body: bytes, status: int
) -> None:
    before = ask_json(f"{receiver}/alerts")
    assert ask(receiver + path, body)[0] == status
    assert ask_json(f"{receiver}/alerts") == before


def test_the_receiver_refuses_a_large_notification_before_it_has_come(receiver: str) -> None:
    with closing(HTTPConnection(urlsplit(receiver).netloc, timeout=PATIENCE)) as connection:
        connection.putrequest("POST", "/page")
        connection.putheader("Content-Length", "1000001")
        connection.endheaders()
        assert connection.getresponse().status == 413
