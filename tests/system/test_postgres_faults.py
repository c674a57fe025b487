"""Owns the proof that a PostgreSQL server which goes away, hangs or is locked costs 503s and nothing else.

Each fault comes under load, with the sender's own ledger: nothing acknowledged is lost, nothing is stored twice, every
answer comes in time, and it is 200 again without anybody's help.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from tests.support.outside.harness import Service, wait_for
from tests.support.outside.ledger import Ledger, run
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.wire import Answer, HungUp, Line

pytestmark = [pytest.mark.system, pytest.mark.faults]

CONNECTIONS = 24
ANSWER_SECONDS = 2.5  # promised are 2; the rest is for a busy machine
RECOVERY_SECONDS = 15.0
OURS = "(SELECT pid FROM pg_stat_activity WHERE application_name = 'postback') AS ours"
TERMINATE = f"SELECT pg_terminate_backend(pid) FROM {OURS}"  # noqa: S608 - a constant
CANCEL = f"SELECT pg_cancel_backend(pid) FROM {OURS}"  # noqa: S608 - a constant


class TimedLedger(Ledger):
    """A ledger that notes how long the slowest answer took."""

    slowest = 0.0

    async def deliver(self, line: Line, click_id: str) -> Answer:
        """Send one id and note the answer and its time."""
        started = time.monotonic()
        answer = await super().deliver(line, click_id)
        self.slowest = max(self.slowest, time.monotonic() - started)
        return answer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Start a server that tests may kill, if they start it again."""
    with PostgresServer() as started:
        yield started


def restart(server: PostgresServer, _: str, __: float) -> None:
    server.stop()
    server.start()


def kill(server: PostgresServer, _: str, __: float) -> None:
    server.kill()
    server.start()


def hold(server: PostgresServer, _: str, seconds: float) -> None:
    server.pause()
    time.sleep(seconds)
    server.go_on()


def lock(server: PostgresServer, database: str, seconds: float) -> None:
    with psycopg.connect(server.url(database)) as connection:
        connection.execute("LOCK TABLE conversion")
        time.sleep(seconds)


def terminate(server: PostgresServer, _: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        server.sql(TERMINATE)
        time.sleep(0.05)


def cancel(server: PostgresServer, _: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        server.sql(CANCEL)
        time.sleep(0.005)


def exhaust(server: PostgresServer, database: str, seconds: float) -> None:
    """Take every connection there is, and end the service's."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            taken.append(psycopg.connect(server.url(database), connect_timeout=2))
        except psycopg.OperationalError:
            taken[0].execute(TERMINATE.encode())
            time.sleep(0.05)
    for connection in taken:
        connection.close()


@pytest.mark.parametrize("fault", [restart, kill, hold, lock, terminate, cancel, exhaust])
def test_a_fault_of_the_server_loses_and_doubles_nothing_and_is_answered_in_time(
    tmp_path: Path,
    server: PostgresServer,
    form: str,
    figures: Callable[[str], None],
    fault: Callable[[PostgresServer, str, float], None],
) -> None:
    database = server.new_database()
    ledger = TimedLedger(fault.__name__, seed=7)
    settings = {"DATABASE_URL": server.url(database), "MIGRATE": "true", "SPOOL": "off"}
    with Service(tmp_path, settings) as service:
        story = Thread(target=suffer, args=(service, lambda: fault(server, database, 30 if form == "long" else 3)))
        story.start()
        run(ledger.press(service.public, CONNECTIONS))
        story.join()
        assert service.wait() == 0
        survived = ledger.check_against(service)
    assert ledger.slowest < ANSWER_SECONDS
    assert ledger.stored_answers.total() > 0
    with Service(tmp_path, settings) as service:
        unknown = len(ledger.unknown)
        run(ledger.retry_unknown(service.public))
        assert ledger.unknown == []
        assert ledger.check_against(service) == ledger.sent
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
    figures(
        f"{ledger.answers.total()} answers to {len(ledger.sent)} ids, slowest {ledger.slowest:.2f} s: 0 lost, "
        f"0 doubled; {len(survived)} stored, {unknown} unknown at the end; answers {dict(ledger.answers)}"
    )


def suffer(service: Service, fault: Callable[[], None]) -> None:
    """Under load: let the fault come, wait until postbacks are stored again, and stop the service as a person would."""
    try:
        time.sleep(0.7)
        fault()
        wait_for(lambda: stored_again(service), RECOVERY_SECONDS)
        time.sleep(0.7)
        drift = service.metrics().by_label("postback_conservation_drift", "check")
        assert drift == {}, drift
    finally:
        service.terminate()


def stored_again(service: Service) -> bool:
    try:
        return service.ask_operator("/readyz").status == 200
    except (HungUp, OSError):
        return False


def test_a_start_while_the_server_is_away_is_refused_in_one_line(tmp_path: Path, server: PostgresServer) -> None:
    server.stop()
    service = Service(
        tmp_path, {"DATABASE_URL": server.url("nowhere").replace("@", ":planted-secret@"), "SPOOL": "off"}
    )
    service.launch()
    assert service.wait() == 2
    assert service.stderr().count("\n") == 1
    assert "PG_CONNECTION" in service.stderr()
    assert "planted-secret" not in service.stderr() + service.log_text()
    server.start()
