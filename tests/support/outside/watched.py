"""Owns a watched service: replicas in traffic, a real Prometheus and Alertmanager on a shorter clock, and a pager."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from stack.configuration import LOOPBACK, Ports, configuration
from stack.programs import Program, programs
from tests.support.outside import clock
from tests.support.outside.asking import PATIENCE, ask_json, is_ready
from tests.support.outside.harness import Service, wait_for
from tests.support.outside.pager import Pager
from tests.support.outside.tools import need
from tests.support.outside.traffic import NORMAL, Traffic

HOUR = 3600
REMEMBERED = 8 * 24 * HOUR
DAILY_RATE = 80 / 60  # postbacks a second of both replicas together, at the real clock
LOOKING_BACK = {"PostbackErrorBudgetBurnSlow", "PostbackLatencyBurnSlow"}  # open for hours after an outage, by design
_SAMPLE_SECONDS, _STEP_SECONDS = 60, 300
_STOP_SECONDS = 15


_COUNTED = {
    "postback_arrived_total": 'door="postback"',
    "postback_sender_received_total": 'sender="ezmob",family="accepted"',
    "postback_received_total": 'door="postback",outcome="stored"',
    "postback_http_request_duration_seconds_count": 'route="/postback"',
    "postback_http_request_duration_seconds_bucket": 'route="/postback",le="0.25"',
}
_SUMMED = {"postback_received": 1.0, "postback_answered": 1.0, "postback_failed": 0.0, "postback_slow": 0.0}


class Replica:
    """One process of the service, which comes back at its old addresses."""

    def __init__(self, stack: ExitStack, directory: Path, database: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._database = database
        self._stack = stack
        self._run({})

    @property
    def operator(self) -> str:
        """Return what Prometheus scrapes, as it writes it."""
        return f"{LOOPBACK}:{self.service.operator[1]}"

    def restart(self) -> None:
        """Start it again after its end."""
        old = self.service
        self._run({"PORT": str(old.public[1]), "OPERATOR_PORT": str(old.operator[1])})

    def _run(self, settings: Mapping[str, str]) -> None:
        self.service = self._stack.enter_context(Service(self._directory, settings, database=self._database))


@dataclass(frozen=True, slots=True)
class Watched:
    """What runs: replicas, their traffic, and who watches. Times in rules are `times` shorter than in alerts/."""

    times: int
    replicas: Sequence[Replica]
    traffic: Traffic
    pager: Pager
    prometheus: str
    alertmanager: str

    def real(self, seconds: float) -> float:
        """Return so many seconds of the rules' clock in seconds of a wall clock."""
        return seconds / self.times

    def settle(self, seconds: float) -> None:
        """Wait until no alert is pending or firing anywhere, but for tickets that look back on hours. May time out."""
        wait_for(lambda: self.alerts() <= LOOKING_BACK, seconds, every=0.1)

    def alerts(self) -> set[str]:
        """Return the alerts that are pending or firing now, and those that Alertmanager has not let go."""
        held = ask_json(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        told = ask_json(f"{self.alertmanager}/api/v2/alerts")
        return {alert["labels"]["alertname"] for alert in [*held, *told]}

    def up(self) -> int:
        """Return how many replicas Prometheus has scraped just now."""
        return len(self._asked("up == 1"))

    def fired(self, seconds: float) -> set[str]:
        """Return the alerts that fired at any time in the last seconds of a wall clock."""
        found = self._asked(f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{seconds:.0f}s]))')
        return {labels["alertname"] for labels in found}

    def _asked(self, query: str) -> list[dict[str, str]]:
        """Return the labels of what Prometheus answers."""
        found = ask_json(f"{self.prometheus}/api/v1/query?{urlencode({'query': query})}")
        return [series["metric"] for series in found["data"]["result"]]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which the service is watched: how much shorter the rules' clock is, and the traffic (at the real clock)."""

    times: int
    rate: float = DAILY_RATE
    mix: Mapping[str, float] = field(default_factory=lambda: NORMAL)


@contextmanager
def watched(directory: Path, under: Conditions, databases: Path | None = None) -> Iterator[Watched]:
    """Run all of it, the databases in a folder of their own if one is given. Last week was like today."""
    need("prometheus", "prometheus-alertmanager", "promtool")
    with ExitStack() as stack:
        replicas = tuple(Replica(stack, directory / name, (databases or directory) / f"{name}.db") for name in "ab")
        pager = stack.enter_context(Pager())
        watchers = _watchers(directory, under, replicas, pager.server_port)
        for program in watchers:
            stack.callback(_stop, _start(program, directory, under.times))
        for program in watchers:
            wait_for(partial(is_ready, program.ready), PATIENCE, every=0.1)
        alertmanager, prometheus = (program.url for program in watchers)
        addresses = [replica.service.public for replica in replicas]
        traffic = stack.enter_context(Traffic(addresses, under.rate * under.times, under.mix))
        running = Watched(under.times, replicas, traffic, pager, prometheus, alertmanager)
        wait_for(lambda: running.up() == len(replicas), PATIENCE, every=0.1)
        running.settle(PATIENCE)
        yield running


def _watchers(directory: Path, under: Conditions, replicas: Sequence[Replica], pager: int) -> list[Program]:
    """Return Alertmanager and Prometheus as the stack starts them, with these replicas and this pager's port."""
    ports = replace(Ports(service=0, operator=0, prometheus=0, alertmanager=0, receiver=0).chosen(), receiver=pager)
    twin = directory / "twin"
    twin.mkdir()
    files = configuration(ports, twin, clock.shortened(directory, under.times))
    operators = ", ".join(f'"{replica.operator}"' for replica in replicas)
    (twin / "targets" / "postback.yml").write_text(f"- targets: [{operators}]\n", encoding="utf-8")
    clock.remember(_last_week(under, replicas), directory, directory / "prometheus")
    return [it for it in programs(ports, files, directory, {}) if it.name in ("alertmanager", "prometheus")]


def _start(program: Program, directory: Path, times: int) -> subprocess.Popen[bytes]:
    options = clock.options(times) if program.name == "prometheus" else []
    with (directory / f"{program.name}.log").open("wb") as out:
        return subprocess.Popen([*program.command, *options], stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_week(under: Conditions, replicas: Sequence[Replica]) -> Iterator[clock.Sample]:
    """Yield what Prometheus would remember of the last eight days: the traffic of today, and no failure."""
    begin = time.time() - REMEMBERED / under.times
    for second in range(0, REMEMBERED, _SAMPLE_SECONDS):
        at, count = begin + second / under.times, float(int(second * under.rate / len(replicas)))
        for replica in replicas:
            for name, labels in _COUNTED.items():
                yield f'{name}{{job="postback",instance="{replica.operator}",{labels}}}', at, count
        if second % _STEP_SECONDS == 0:
            for name, share in _SUMMED.items():
                yield f'job:{name}:increase5m{{job="postback"}}', at, share * _STEP_SECONDS * under.rate
