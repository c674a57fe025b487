"""Owns the proof that too much load costs only the excess: the rest is stored at full rate, nothing is forgotten."""

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, resident_kib, wait_for
from tests.support.outside.ledger import run
from tests.support.outside.load import Load
from tests.support.outside.tools import need_strace

pytestmark = [pytest.mark.system, pytest.mark.alone]

# Each commit takes as long as this disk: under a thousand postbacks a second, far below what this test can send.
SLOW_DISK = "fdatasync:delay_enter=300ms"
BUSY_LINES = 512  # two full commits: the disk never waits, and nobody waits long
LINES = 4500  # three times that rate, for as long as an answer may take
SETTLE_SECONDS = 1.5  # until a steady state is reached
RECOVERY_SECONDS = 10
ANSWER_SECONDS = 2.5  # promised are 2, measured from the other side
MAX_RESIDENT_KIB = 300 * 1024


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process and the services that it starts open a file for every line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LINES + 500:
        pytest.skip(f"only {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, LINES + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_three_times_the_load_costs_only_the_excess(
    tmp_path: Path,
    form: str,
    figures: Callable[[str], None],
) -> None:
    need_strace()
    with Service(tmp_path):
        pass  # the tables are made at full speed
    with Service(tmp_path, wrapper=slow_disk()) as service:
        load = Load(service.public, "load")
        peak, goodput, resident = run(drive(load, service.pid, 30 if form == "long" else 5))
        answers = load.answers
        figures(
            f"peak {peak:.0f}/s, at three times that {goodput:.0f}/s, {dict(answers.outcomes)}, "
            f"slowest answer {answers.slowest:.2f} s, {resident // 1024} MiB resident"
        )
        assert answers.errors == {}
        assert set(answers.outcomes) <= {"stored", "overloaded", "storage_unavailable"}
        assert answers.without_retry_after == 0
        assert answers.slowest < ANSWER_SECONDS
        assert resident < MAX_RESIDENT_KIB
        assert_conservation(service, load)
        assert goodput >= 0.9 * peak
        assert wait_for(lambda: run(all_stored(service)), RECOVERY_SECONDS)


def slow_disk() -> list[str]:
    """Return the command that runs the service on a slow disk."""
    slowed = ["--seccomp-bpf", "-e", "trace=fdatasync", "-e", f"inject={SLOW_DISK}"]
    return ["strace", "-f", "-qq", "-o", "/dev/null", *slowed]


async def drive(load: Load, pid: int, seconds: float) -> tuple[float, float, int]:
    """Return the rate of 200s of a busy service, the same at three times that load, and the memory it took then."""
    await load.open_lines(LINES)
    await load.press(1, 0.05)  # the first commit makes the log: three syncs of this disk, which would count as a stall
    peak, _ = await asyncio.gather(rate(load, 3), load.press(BUSY_LINES, SETTLE_SECONDS + 3))
    goodput, _ = await asyncio.gather(rate(load, seconds), load.offer(3 * peak, SETTLE_SECONDS + seconds))
    resident = resident_kib(pid)
    load.close()
    return peak, goodput, resident


async def rate(load: Load, seconds: float) -> float:
    """Return the 200s a second in a steady state."""
    start = time.monotonic() + SETTLE_SECONDS
    await asyncio.sleep(SETTLE_SECONDS + seconds)
    return load.answers.accepted_between(start, start + seconds) / seconds


async def all_stored(service: Service) -> bool:
    """Tell whether a light load is answered with nothing but `stored`."""
    light = Load(service.public, f"light-{time.monotonic_ns()}")
    await light.offer(50, 0.5)
    light.close()
    return set(light.answers.outcomes) == {"stored"} and not light.answers.errors


def assert_conservation(service: Service, load: Load) -> None:
    """Check that the service counted what was answered, word for word, and that the file holds what it says."""
    assert service.metrics().by_label("postback_received_total", "outcome") == load.answers.outcomes
    ((rows,),) = service.sql("SELECT count(*) FROM conversion")
    given_up = load.answers.outcomes["storage_unavailable"]  # whether these are stored is unknown
    assert load.answers.outcomes["stored"] <= int(str(rows)) <= load.answers.outcomes["stored"] + given_up
