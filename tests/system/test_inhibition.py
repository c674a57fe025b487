"""Owns the proof that a real Alertmanager, on our configuration, keeps quiet what follows from something worse."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.asking import ask, ask_json, is_ready
from tests.support.outside.harness import REPOSITORY, wait_for
from tests.support.outside.tools import need, search_path

pytestmark = pytest.mark.system

PATIENCE = 20
CONFIGURATION = REPOSITORY / "alerts" / "alertmanager.yml"
NOWHERE = ":1/"  # whoever listens on the real ports of this machine is not to be woken by a test
FIRING = [  # job, alert, severity
    ("down", "PostbackDown", "critical"),
    ("down", "PostbackErrorSpike", "critical"),
    ("down", "PostbackRejectionSpike", "warning"),
    ("away", "PostbackNotReady", "critical"),
    ("away", "PostbackErrorSpike", "critical"),
    ("away", "PostbackErrorBudgetBurn", "critical"),
    ("away", "PostbackErrorBudgetBurnFast", "critical"),
    ("away", "PostbackLatencyBurnFast", "critical"),
    ("away", "PostbackTrafficStopped", "critical"),
    ("away", "PostbackDiskAlmostFull", "critical"),
    ("away", "PostbackStorageErrors", "warning"),
    ("failing", "PostbackErrorBudgetBurn", "critical"),
    ("failing", "PostbackQueueSaturated", "warning"),
    ("well", "PostbackRejectionSpike", "warning"),
]
HEARD = {
    ("down", "PostbackDown"),
    ("away", "PostbackNotReady"),
    ("away", "PostbackDiskAlmostFull"),  # perhaps the cause
    ("failing", "PostbackErrorBudgetBurn"),
    ("well", "PostbackRejectionSpike"),  # of another job
}


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Run an Alertmanager on the committed file, but for the ports; yields its URL."""
    need("prometheus-alertmanager")
    configuration = tmp_path / "alertmanager.yml"
    configuration.write_text(CONFIGURATION.read_text(encoding="utf-8").replace(":9095/", NOWHERE), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    options = {
        "config.file": configuration,
        "storage.path": tmp_path / "state",
        "web.listen-address": address,
        "cluster.listen-address": "",
    }
    process = subprocess.Popen(
        ["prometheus-alertmanager", *(f"--{name}={value}" for name, value in options.items())],
        env={"PATH": search_path()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def heard(alertmanager: str) -> set[tuple[str, str]]:
    """Return job and name of the alerts that somebody is told."""
    told = ask_json(f"{alertmanager}/api/v2/alerts?active=true&inhibited=false")
    return {(alert["labels"]["job"], alert["labels"]["alertname"]) for alert in told}


def test_what_is_worse_is_heard_and_what_follows_from_it_is_not(alertmanager: str) -> None:
    wait_for(lambda: is_ready(f"{alertmanager}/-/ready"), PATIENCE, every=0.1)
    labels = [{"job": job, "alertname": name, "severity": severity} for job, name, severity in FIRING]
    assert ask(f"{alertmanager}/api/v2/alerts", [{"labels": each} for each in labels])[0] == 200
    wait_for(lambda: heard(alertmanager) == HEARD, PATIENCE)
    assert len(ask_json(f"{alertmanager}/api/v2/alerts")) == len(FIRING)
