"""Owns the live proof: a real Prometheus and Alertmanager watch two replicas in traffic, and are told of each fault.

The rules run on a shorter clock (tests/support/outside/clock.py): an hour of traffic takes two minutes. How soon
an alert comes at the real clock is shown by promtool (alerts/detection.test.yml). With POSTBACK_CLOCK=30 (30 times
shorter), or in the long form, every fault is injected, and otherwise three of them.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.outside.clock import times_shorter
from tests.support.outside.disk import Disk
from tests.support.outside.panel_queries import (
    DAY,
    EMPTY_IN_HEALTH,
    QUARTER,
    Span,
    ask,
    ask_all,
    complaints,
    exemplars,
    questions,
)
from tests.support.outside.tools import need_mounts, need_strace
from tests.support.outside.tracer import Tracer
from tests.support.outside.traffic import NORMAL
from tests.support.outside.watched import HOUR, Conditions, Watched, watched

pytestmark = [pytest.mark.system, pytest.mark.live, pytest.mark.proof]

DISK_MEGABYTES = 256
SLOW_DISK = "fdatasync:delay_exit=350000"  # microseconds, on top of each sync: slower than the objective allows
POINTS = 10_000  # of 24 hours, so that some fall into the time since the start
DOTTED_IN_HEALTH = {"Accepted", "Rejections by outcome"}
GOES_ON_SECONDS = 180  # at the rules' clock, after the alert came: whatever else it sets off has its time
ANSWERS_IN_HEALTH = {"stored", "duplicate", "conflict", "missing_value", "invalid_value", "unexpanded_macro", "404"}
OWN_CLOCK_SECONDS = 25  # what the service itself takes to see a full disk or a lost database, at any clock of the rules
CLOCK = os.environ.get("POSTBACK_CLOCK")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to a watched service, who must be told of what, and what else of the same outage may come."""

    inject: Callable[[Watched], AbstractContextManager[object]]
    alert: str
    receiver: str
    joining: frozenset[str] = frozenset()

    @property
    def pages(self) -> set[str]:
        """Return the alerts that somebody may be woken by."""
        return {self.alert, *self.joining} if self.receiver == "page" else set()


@contextmanager
def storage_failing_everywhere(live: Watched) -> Iterator[None]:
    """Let another program hold the write lock of both databases."""
    with ExitStack() as stack:
        for replica in live.replicas:
            stack.enter_context(_held(replica.service.database))
        yield


@contextmanager
def storage_failing_at_one(live: Watched) -> Iterator[None]:
    """Let half of all postbacks fail."""
    with _held(live.replicas[0].service.database):
        yield


@contextmanager
def _held(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield  # and the connection's end gives the lock back


@contextmanager
def slow_disks(live: Watched) -> Iterator[None]:
    """Let every sync of both databases take long."""
    with ExitStack() as stack:
        for replica in live.replicas:
            slowed = ("--seccomp-bpf", "-e", "trace=fdatasync", "-e", f"inject={SLOW_DISK}")
            stack.enter_context(Tracer(replica.service, *slowed))
        yield


@contextmanager
def full_disk(live: Watched) -> Iterator[None]:
    """Fill the disk that both databases are on."""
    disk = live.replicas[0].service.database.parent
    ballast = Disk(disk.parent, DISK_MEGABYTES).fill()
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def one_killed(live: Watched) -> Iterator[None]:
    """Kill one replica and start it again at the end."""
    with _killed(live, 1):
        yield


@contextmanager
def all_killed(live: Watched) -> Iterator[None]:
    """Kill both."""
    with _killed(live, 2):
        yield


@contextmanager
def _killed(live: Watched, number: int) -> Iterator[None]:
    for replica in live.replicas[:number]:
        replica.service.send_signal(signal.SIGKILL)
        replica.service.wait()
    try:
        yield
    finally:
        for replica in live.replicas[:number]:
            replica.restart()


@contextmanager
def traffic(live: Watched, *, mix: Mapping[str, float] | None = None, rate: float | None = None) -> Iterator[None]:
    """Let other postbacks come, or none."""
    usual = live.traffic.mix, live.traffic.rate
    live.traffic.mix = mix or usual[0]
    live.traffic.rate = usual[1] if rate is None else rate
    try:
        yield
    finally:
        live.traffic.mix, live.traffic.rate = usual


OUTAGE = frozenset(  # by the rules of budgets these outlive the fault, and join the call that is open
    {"PostbackErrorSpike", "PostbackErrorBudgetBurnFast", "PostbackErrorBudgetBurn", "PostbackLatencyBurnFast"}
)
FAULTS: dict[str, Fault] = {
    "a sender's macro is not replaced": Fault(
        lambda live: traffic(live, mix={**NORMAL, "unexpanded_macro": 40}), "PostbackRejectionSpike", "ticket"
    ),
    "one of two replicas is killed": Fault(one_killed, "PostbackTargetDown", "ticket"),
    "both replicas are killed": Fault(all_killed, "PostbackDown", "page"),
    "traffic stops": Fault(lambda live: traffic(live, rate=0), "PostbackTrafficStopped", "page"),
    "the disks are slow": Fault(slow_disks, "PostbackLatencyBurnFast", "page"),
    "storage fails at one of two replicas": Fault(storage_failing_at_one, "PostbackErrorSpike", "page", OUTAGE),
    "storage fails everywhere": Fault(storage_failing_everywhere, "PostbackNotReady", "page", OUTAGE),
    "the disk is full": Fault(full_disk, "PostbackNotReady", "page", OUTAGE | {"PostbackDiskAlmostFull"}),
}
SHORT = ("both replicas are killed", "storage fails everywhere", "a sender's macro is not replaced")


@pytest.fixture(scope="module")
def live(form: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run two replicas in normal traffic, on a disk of their own."""
    need_mounts()
    need_strace()
    directory = tmp_path_factory.mktemp("live")
    under = Conditions(times_shorter(form))
    with Disk(directory, DISK_MEGABYTES) as disk, watched(directory, under, disk.path) as running:
        yield running


def test_an_hour_of_normal_traffic_raises_nothing_and_every_panel_shows_it(
    live: Watched, figures: Callable[[str], None]
) -> None:
    started = time.monotonic()
    time.sleep(live.real(HOUR))
    assert live.pager.told == []
    assert live.fired(time.monotonic() - started) == set()
    assert set(live.traffic.answers) == ANSWERS_IN_HEALTH
    asked = [question for seconds in (QUARTER, DAY) for question in questions(Span(seconds, 1, points=POINTS))]
    assert complaints(ask_all(live.prometheus, asked)) == []
    dots = [question for question in asked if question.exemplars and question.seconds == QUARTER]
    assert {question.title for question in dots if exemplars(live.prometheus, question)} >= DOTTED_IN_HEALTH
    answers = live.traffic.answers
    figures(
        f"{answers.total()} requests, {dict(answers)}; {len(asked)} queries and {len(dots)} of exemplars, none empty"
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_to_whom_it_concerns_and_so_is_its_end(
    name: str, live: Watched, form: str, figures: Callable[[str], None]
) -> None:
    if name not in SHORT and form == "short" and not CLOCK:
        pytest.skip("the long form: POSTBACK_SOAK=1, or POSTBACK_CLOCK=30")
    fault, patience = FAULTS[name], live.real(HOUR) + OWN_CLOCK_SECONDS
    live.settle(2 * patience)
    began = time.monotonic()
    with fault.inject(live):
        there = time.monotonic()
        told = live.pager.wait(fault.alert, fault.receiver, "firing", began, patience)
        assert_shown(live)
        time.sleep(live.real(GOES_ON_SECONDS))
        ended = time.monotonic()
    over = live.pager.wait(fault.alert, fault.receiver, "resolved", began, patience)
    live.settle(2 * patience)
    pages, tickets = live.pager.firing("page", began), live.pager.firing("ticket", began)
    figures(
        f"{fault.alert} ({fault.receiver}) after {told.at - there:.1f} s; "
        f"resolved {over.at - ended:.1f} s after the end, all quiet {time.monotonic() - ended:.1f} s after; "
        f"pages {sorted(pages)}, tickets {sorted(tickets)}; clock {live.times} times shorter"
    )
    assert pages <= fault.pages
    assert live.pager.incidents("page", began) == (fault.receiver == "page")


def assert_shown(live: Watched) -> None:
    """Check that what is empty in health is not empty now."""
    asked = [question for question in questions(Span(scrape=1)) if question.title in EMPTY_IN_HEALTH]
    assert {question.title for question in asked} == set(EMPTY_IN_HEALTH)
    answers = [ask(live.prometheus, replace(question, step=1)) for question in asked]  # a step as short as the clock
    assert [reply.question for reply in answers if reply.empty] == []
