"""Owns the proof that no failure of the disk becomes a false receipt: every system call of a commit fails once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.outside.harness import EXIT_SECONDS, Service
from tests.support.outside.ledger import run
from tests.support.outside.load import Load
from tests.support.outside.tools import need_strace
from tests.support.outside.tracer import Call, Tracer
from tests.support.outside.wire import Answer, HungUp

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

EXIT_STORAGE_BROKEN = 74
DISK_CALLS = "pwrite64,pwritev,write,fdatasync,fsync,ftruncate,fallocate"
# One for each way through a commit: a new conversion, a rejection, a repetition, a conflict, and another conversion.
STORY = ("c=a&value=1", "c=x&value=x", "c=a&value=1", "c=a&value=2", "c=b&value=1")
KEPT = """
    SELECT request_id FROM conversion UNION SELECT request_id FROM duplicate UNION
    SELECT request_id FROM rejected_postback
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One system call that fails once; `call` says which one it was in a run where nothing failed."""

    call: Call
    error: str

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.error} from {self.call.name} number {self.call.number} on {Path(self.call.path).name}"

    @property
    def options(self) -> tuple[str, ...]:
        """What makes strace do it."""
        name, number = self.call.name, self.call.number
        return ("-e", f"trace={name}", "-e", f"inject={name}:error={self.error}:when={number}")


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What one fault led to; `exit_code` is None when the service went on."""

    fault: Fault
    hit: bool
    outcomes: list[str | None]
    exit_code: int | None
    levels: list[object]
    false_receipts: set[str]


def tell(service: Service, story: tuple[str, ...]) -> list[Answer]:
    """Send a story, one postback after the other, and return the answers: none from a service that stopped."""
    answers = []
    for query in story:
        try:
            answers.append(service.get(f"/postback?{query}"))
        except (HungUp, ConnectionError):
            break
    return answers


def commit_calls(directory: Path, story: tuple[str, ...]) -> list[Call]:
    """Return the system calls on the database that the story takes when nothing fails."""
    with Service(directory) as service, Tracer(service, "-e", f"trace={DISK_CALLS}") as tracer:
        assert all(answer.status < 500 for answer in tell(service, story))
        return [call for call in tracer.calls() if call.path.startswith(str(service.database))]


def suffer(directory: Path, story: tuple[str, ...], fault: Fault) -> Aftermath:
    """Tell the story to a service with this fault, and see what a fresh one finds of what was promised."""
    directory.mkdir()
    with Service(directory) as service, Tracer(service, *fault.options) as tracer:
        answers = tell(service, story)
        exit_code = service.wait(EXIT_SECONDS) if answers[-1].status >= 500 or not service.alive else None
        hit = any(call.injected for call in tracer.calls())
        levels = [line["level"] for line in service.log_lines()]
    with Service(directory) as service:
        found = {str(row[0]) for row in service.sql(KEPT)}
        assert service.postback("after").status == 200
    promised = {answer.request_id for answer in answers if answer.status < 500}
    return Aftermath(fault, hit, [answer.outcome for answer in answers], exit_code, levels, promised - found)


def suffer_each(directory: Path, story: tuple[str, ...], faults: list[Fault]) -> list[Aftermath]:
    """Try every fault on a service and a database of its own, two at a time."""
    places = [directory / f"fault-{number}" for number in range(len(faults))]
    with ThreadPoolExecutor(2) as two:
        return list(two.map(lambda place, fault: suffer(place, story, fault), places, faults))


def test_an_input_or_output_error_anywhere_in_a_commit_stops_the_service_without_a_false_receipt(
    tmp_path: Path,
    form: str,
    figures: Callable[[str], None],
) -> None:
    need_strace()
    story = STORY if form == "long" else STORY[:2]
    calls = commit_calls(tmp_path, story)
    assert {"pwrite64", "fdatasync"} <= {call.name for call in calls}
    if form == "short":
        calls = [call for call in calls if call.name != "pwrite64" or call.number % 3 == 1]
    for aftermath in suffer_each(tmp_path, story, [Fault(call, "EIO") for call in calls]):
        assert aftermath.hit, aftermath
        assert aftermath.false_receipts == set(), aftermath
        assert aftermath.exit_code == EXIT_STORAGE_BROKEN, aftermath
        assert "critical" in aftermath.levels, aftermath
        assert aftermath.outcomes[-1] == "storage_unavailable", aftermath
        assert no_receipt_after_the_failure(aftermath.outcomes), aftermath
    figures(f"{len(calls)} calls failed with EIO, one a run: 0 false receipts, exit 74 each time")


def test_a_write_without_space_costs_one_503_and_no_false_receipt(
    tmp_path: Path,
    form: str,
    figures: Callable[[str], None],
) -> None:
    need_strace()
    story = STORY if form == "long" else STORY[:2]
    calls = [c for c in commit_calls(tmp_path, story) if c.name == "pwrite64" and c.path.endswith("-wal")]
    chosen = calls if form == "long" else calls[::4]
    for aftermath in suffer_each(tmp_path, (*story, "c=last&value=1"), [Fault(call, "ENOSPC") for call in chosen]):
        assert aftermath.hit, aftermath
        assert aftermath.false_receipts == set(), aftermath
        assert aftermath.exit_code is None, aftermath
        assert aftermath.outcomes.count("storage_unavailable") == 1, aftermath
        assert aftermath.outcomes[-1] == "stored", aftermath
    figures(f"{len(chosen)} writes failed with ENOSPC, one a run: 0 false receipts, one 503 each time, then 200 again")


@pytest.mark.parametrize("name", ["pwrite64", "fdatasync"])
def test_an_error_while_a_checkpoint_is_made_loses_nothing_acknowledged(tmp_path: Path, name: str) -> None:
    """SQLite forgives a failed checkpoint, since the write-ahead log still holds everything: the receipts stand."""
    need_strace()
    with Service(tmp_path) as service:
        assert service.postback("before").outcome == "stored"
        fault = ("-P", str(service.database), "-e", f"trace={name}", "-e", f"inject={name}:error=EIO:when=1")
        with Tracer(service, *fault) as tracer:
            load = Load(service.public, "checkpoint", padding=7_500)
            run(load.send(2_000))  # about 5,000 pages: a checkpoint comes every 4,000
            assert [call for call in tracer.calls() if call.injected]
        service.kill()
    with Service(tmp_path) as service:
        ((rows,),) = service.sql("SELECT count(*) FROM conversion WHERE click_id LIKE 'checkpoint-%'")
        assert int(str(rows)) >= load.answers.outcomes["stored"] > 0
        assert service.sql("PRAGMA integrity_check") == [("ok",)]


def no_receipt_after_the_failure(outcomes: list[str | None]) -> bool:
    """Tell whether nothing was accepted or kept once the first answer was 503."""
    return set(outcomes[outcomes.index("storage_unavailable") :]) == {"storage_unavailable"}
