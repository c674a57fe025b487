"""The supervisor, with stand-in workers: who is started, restarted, replaced and ended, when, and with which code."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.outside.harness import clean_environment, wait_for
from tests.support.outside.terminals import terminal

pytestmark = pytest.mark.processes

PROGRAM = Path(__file__).parents[1] / "support" / "supervise.py"
SECONDS = 30  # a busy machine


class Supervised:
    """The program in a folder, and what can be seen of it."""

    def __init__(self, directory: Path, wrapper: Sequence[str] = ()) -> None:
        self.directory = directory
        self.out = directory / "out"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*wrapper, sys.executable, str(PROGRAM)],
                cwd=directory,
                env=clean_environment(),
                stdout=out,
                start_new_session=True,
            )

    def lines(self, event: str) -> list[dict[str, object]]:
        """Return its log lines of one event."""
        lines = [json.loads(line) for line in self.out.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["event"] == event]

    def events(self) -> list[tuple[str, int, int]]:
        """Return what the workers wrote down: what, their number, their process."""
        path = self.directory / "events"
        words = [line.split() for line in path.read_text(encoding="ascii").splitlines()] if path.exists() else []
        return [(event, int(number), int(pid)) for event, number, pid in words]

    def count(self, event: str, number: int | None = None) -> int:
        """Count the events of a kind, of one worker or of all."""
        return sum(what == event and number in (None, who) for what, who, _ in self.events())

    def pid(self, number: int) -> int:
        """Return the process that was last ready as this worker."""
        return [pid for what, who, pid in self.events() if (what, who) == ("ready", number)][-1]

    def listening(self) -> dict[str, object]:
        """Wait until it says that it listens."""
        return wait_for(lambda: self.lines("listening"), SECONDS)[0]

    def ask(self) -> tuple[int, int, int]:
        """Connect, and return who answered: number, process, restarts."""
        address = urlsplit(str(self.lines("listening")[0]["public"]))
        with socket.create_connection((address.hostname, address.port), SECONDS) as connection:
            number, pid, restarts = connection.recv(100).split()
        return int(number), int(pid), int(restarts)

    def tell(self, number: int, what: str, content: str = "") -> None:
        """Tell a worker of this number how to behave."""
        (self.directory / f"{what}-{number}").write_text(content, encoding="ascii")

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send the supervisor a signal; return its exit code."""
        self.process.send_signal(signum)
        return self.process.wait(10)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Start the program; kill all of it at the end."""
    program = Supervised(tmp_path)
    yield program
    with suppress(ProcessLookupError):
        os.killpg(program.process.pid, signal.SIGKILL)
    program.process.wait(SECONDS)


def test_the_first_worker_starts_alone_and_then_all_share_the_port(supervised: Supervised) -> None:
    operators = supervised.listening()["operators"]
    assert isinstance(operators, list)
    assert len(set(operators)) == 3
    assert supervised.events()[0][:2] == ("ready", 1)
    answered = Counter(supervised.ask()[0] for _ in range(120))
    assert answered.keys() == {1, 2, 3}
    assert min(answered.values()) > 120 / 3 / 3


def test_a_dead_worker_is_restarted_at_once_told_of_it_and_the_others_are_left_alone(supervised: Supervised) -> None:
    supervised.listening()
    before = {number: supervised.pid(number) for number in (1, 2, 3)}
    os.kill(before[2], signal.SIGKILL)
    wait_for(lambda: supervised.count("ready", 2) == 2, SECONDS)
    after = {number: supervised.pid(number) for number in (1, 2, 3)}
    assert after[2] != before[2]
    assert (after[1], after[3]) == (before[1], before[3])
    asked = [supervised.ask() for _ in range(40)]
    assert {(number, restarts) for number, _, restarts in asked} == {(1, 0), (2, 1), (3, 0)}
    (died,) = wait_for(lambda: supervised.lines("worker_died"), SECONDS)  # the log is written a moment later
    assert (died["worker"], died["exit_code"], died["pause"]) == (2, -9, 0.0)


@pytest.mark.parametrize("code", [2, 74])
def test_a_first_start_that_fails_ends_with_the_code_of_the_one_that_failed(tmp_path: Path, code: int) -> None:
    (tmp_path / "fail-1").write_text(str(code), encoding="ascii")
    supervised = Supervised(tmp_path)
    assert supervised.process.wait(SECONDS) == code
    assert supervised.events() == [("failed", 1, supervised.events()[0][2])]


@pytest.mark.proof
def test_one_worker_that_cannot_start_does_not_end_the_others(supervised: Supervised) -> None:
    supervised.listening()
    supervised.tell(2, "fail", "74")
    os.kill(supervised.pid(2), signal.SIGKILL)
    wait_for(lambda: len(supervised.lines("worker_died")) >= 6, SECONDS)
    assert [line["pause"] for line in supervised.lines("worker_died")][:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert supervised.process.poll() is None
    (supervised.directory / "fail-2").unlink()
    wait_for(lambda: supervised.count("ready", 2) == 2, SECONDS)


@pytest.mark.proof
def test_when_none_can_start_any_more_it_gives_up_with_their_code(supervised: Supervised) -> None:
    supervised.listening()
    for number in (1, 2, 3):
        supervised.tell(number, "fail", "74")
        os.kill(supervised.pid(number), signal.SIGKILL)
    assert supervised.process.wait(SECONDS) == 74
    assert [supervised.count("failed", number) for number in (1, 2, 3)] >= [4, 4, 4]
    assert supervised.lines("stopping")[0]["level"] == "critical"


def test_hang_up_replaces_one_after_the_other_and_the_new_one_serves_before_the_old_one_ends(
    supervised: Supervised,
) -> None:
    supervised.listening()
    supervised.process.send_signal(signal.SIGHUP)
    wait_for(lambda: supervised.lines("workers_replaced"), SECONDS)
    changes = [(what, number) for what, number, _ in supervised.events()][3:]
    assert changes == [(what, number) for number in (1, 2, 3) for what in ("ready", "replaced")]
    assert supervised.lines("worker_died") == []
    assert {supervised.ask()[2] for _ in range(30)} == {0}  # planned: not counted


def test_a_worker_that_dies_while_it_is_replaced_takes_nobody_along(supervised: Supervised) -> None:
    supervised.listening()
    supervised.tell(2, "slow")
    supervised.process.send_signal(signal.SIGHUP)
    wait_for(lambda: supervised.count("starting", 2), SECONDS)
    dead = supervised.pid(2)
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{dead}").exists(), SECONDS)
    (supervised.directory / "slow-2").unlink()
    wait_for(lambda: supervised.lines("workers_replaced"), SECONDS)
    assert {supervised.ask()[0] for _ in range(60)} == {1, 2, 3}


def test_a_new_worker_that_does_not_start_leaves_the_old_ones_serving(supervised: Supervised) -> None:
    supervised.listening()
    before = [supervised.pid(number) for number in (1, 2, 3)]
    supervised.tell(2, "fail", "2")
    supervised.process.send_signal(signal.SIGHUP)
    (stopped,) = wait_for(lambda: supervised.lines("replacing_stopped"), SECONDS)
    assert stopped["worker"] == 2
    assert [supervised.pid(number) for number in (2, 3)] == before[1:]
    assert {supervised.ask()[0] for _ in range(60)} == {1, 2, 3}


def test_a_closed_terminal_ends_all_workers_and_then_itself(tmp_path: Path) -> None:
    with terminal() as (wrapper, close):
        supervised = Supervised(tmp_path, wrapper)
        supervised.listening()
        close()
        assert supervised.process.wait(SECONDS) == 0
    assert supervised.count("stopped") == 3
    assert supervised.lines("replacing_workers") == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_workers_and_then_itself(supervised: Supervised, signum: signal.Signals) -> None:
    supervised.listening()
    assert supervised.end(signum) == 0
    assert supervised.count("stopped") == 3
    assert supervised.lines("stopped") != []


@pytest.mark.proof
def test_a_worker_that_does_not_listen_is_killed_within_ten_seconds_and_told_by_the_code(
    supervised: Supervised,
) -> None:
    supervised.listening()
    supervised.tell(3, "deaf")
    deaf = supervised.pid(3)
    told = time.monotonic()
    assert supervised.end() == 70
    assert time.monotonic() - told < 10
    assert supervised.count("stopped") == 2
    assert not Path(f"/proc/{deaf}").exists()


def test_when_the_supervisor_is_killed_the_workers_do_not_stay_behind(supervised: Supervised) -> None:
    supervised.listening()
    supervised.process.kill()
    wait_for(lambda: supervised.count("orphaned") == 3, SECONDS)
