"""Several workers on one port: who is served, restarted, replaced and ended while senders go on sending."""

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.support.outside.harness import EXIT_SECONDS, NotStarted, wait_for
from tests.support.outside.ledger import run, run_until
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.wire import Wire, refused, request
from tests.support.outside.workers import READY_SECONDS, Clients, Workers, processes_that_answer

pytestmark = [pytest.mark.system, pytest.mark.faults]

REFUSED = 2
HALF_A_BODY = (  # a worker that finishes waits for the rest
    b"POST /postback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)


def test_new_connections_spread_over_the_workers(
    tmp_path: Path, server: PostgresServer, figures: Callable[[str], None]
) -> None:
    with Workers(tmp_path, server, 3) as service:
        answered = run(processes_that_answer(service.public, 150))
        figures(f"150 connections at once: {sorted(answered.values())}")
        assert len(answered) == 3
        assert min(answered.values()) > 150 / 3 / 2


def test_each_worker_keeps_its_own_books_and_together_they_are_the_tables(
    tmp_path: Path, server: PostgresServer
) -> None:
    with Workers(tmp_path, server) as service:
        clients = Clients(service, "books")
        run(clients.press(1.5))
        assert clients.failed == {}
        stored = clients.ledger.check_against(service)
        books = service.of_each()
        written = [int(metrics.total("postback_rows_written_total", table="conversion")) for metrics in books]
        assert min(written) > 0
        assert sum(written) == len(stored)
        assert [metrics.total("postback_conservation_drift") for metrics in books] == [0, 0]
        assert {metrics.total("postback_worker_restarts_total") for metrics in books} == {0}


def test_every_request_id_is_one_of_its_own_and_begins_as_its_process_does(
    tmp_path: Path, server: PostgresServer
) -> None:
    with Workers(tmp_path, server, 3) as service:
        clients = Clients(service, "ids")
        run(clients.press(1.0))
        assert service.terminate() == 0
        lines = service.events("postback")
        ids = [str(line["request_id"]) for line in lines]
        assert len(set(ids)) == len(ids) > 100
        assert all(re.fullmatch(r"[0-9a-f]{32}", request_id) for request_id in ids)
        beginnings = {(line["worker"], str(line["request_id"])[:16]) for line in lines}
        assert len(beginnings) == len({begins for _, begins in beginnings}) == 3


def test_every_line_of_all_workers_is_json_and_those_of_a_worker_say_which(
    tmp_path: Path, server: PostgresServer
) -> None:
    with Workers(tmp_path, server) as service:
        run(Clients(service, "lines").press(0.5))
        for _ in range(20):
            service.get(f"/postback?c={'x' * 200}&value={'9' * 7000}")
        assert service.terminate() == 0
        lines = service.log_lines()
        assert len(lines) == service.log_text().count("\n")
        assert {line.get("worker") for line in lines if line["event"] == "postback"} == {1, 2}
        assert {line["event"] for line in lines if "worker" not in line} == {
            "listening",
            "stopping",
            "stopped",
        }
        assert service.stderr() == ""


def test_a_rolling_restart_under_load_refuses_resets_and_loses_nothing(
    tmp_path: Path, server: PostgresServer, figures: Callable[[str], None]
) -> None:
    with Workers(tmp_path, server) as service:
        before = service.pids()
        clients = Clients(service, "roll")
        replaced = partial(service.events, "workers_replaced")
        run_until(clients.press(READY_SECONDS, replaced), 1, lambda: service.send_signal(signal.SIGHUP))
        assert len(replaced()) == 1
        assert set(service.pids()).isdisjoint(before)
        assert clients.failed == {}
        assert set(clients.ledger.answers) <= {"stored", "duplicate"}
        assert clients.ledger.unknown == []
        stored = clients.ledger.check_against(service)
        assert {metrics.total("postback_worker_restarts_total") for metrics in service.of_each()} == {0}
        figures(
            f"{sum(clients.ledger.answers.values())} answers over a rolling restart: 0 refused, 0 reset, 0 lost of "
            f"{len(stored)}; the slowest took {clients.slowest:.2f} s"
        )


def test_a_connection_that_is_seldom_used_is_told_that_its_worker_is_replaced(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Cut at once, its next postback would be lost with it."""
    with Workers(tmp_path, server) as service, Wire(service.public) as wire:
        service.send_signal(signal.SIGHUP)
        answers = [wire.exchange(request("/postback?c=first&value=1"))]
        while "connection" not in answers[-1].headers:
            time.sleep(0.8)
            answers.append(wire.exchange(request("/postback?c=first&value=1")))
        assert answers[-1].headers["connection"] == "close"
        assert {answer.status for answer in answers} == {200}
        assert len({answer.request_id[:16] for answer in answers}) == 1


def test_a_rolling_restart_takes_what_a_dotenv_says_now(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server) as service:
        service.postback("told")
        (tmp_path / ".env").write_text("POSTBACK_LOG_LEVEL=error\n", encoding="ascii")
        service.send_signal(signal.SIGHUP)
        wait_for(lambda: service.events("workers_replaced"), READY_SECONDS)
        assert service.postback("untold").outcome == "stored"
        assert service.terminate() == 0
        assert [line["click_id"] for line in service.events("postback")] == ["told"]


def test_a_worker_that_is_killed_costs_its_own_open_connections_and_nothing_else(
    tmp_path: Path, server: PostgresServer, figures: Callable[[str], None]
) -> None:
    with Workers(tmp_path, server) as service:
        victim, other = service.pids()
        clients = Clients(service, "kill")
        run_until(clients.press(6), 1, lambda: os.kill(victim, signal.SIGKILL))
        wait_for(lambda: victim not in service.pids(), READY_SECONDS)
        assert service.pids()[1] == other
        assert sum(clients.failed.values()) <= 18  # what was open at that moment, once
        assert not {failure for failure in clients.failed if "Refused" in failure or "Timeout" in failure}
        assert clients.slowest < 2
        clients.ledger.check_against(service)
        assert [metrics.total("postback_worker_restarts_total") for metrics in service.of_each()] == [1, 0]
        figures(f"broken connections: {dict(clients.failed)}; the slowest answer took {clients.slowest:.2f} s")


def test_a_worker_that_hangs_keeps_no_newcomer_waiting(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server) as service:
        hung = service.pids()[0]
        os.kill(hung, signal.SIGSTOP)
        try:
            for number in range(30):
                started = time.monotonic()
                assert service.postback(f"new-{number}").outcome == "stored"
                assert time.monotonic() - started < 1.5
        finally:
            os.kill(hung, signal.SIGCONT)


def test_a_signal_under_load_ends_all_workers_in_time_and_loses_nothing(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server) as service:
        clients = Clients(service, "end")
        pids = service.pids()
        run_until(clients.ledger.press(service.public, 16), 0.8, lambda: service.send_signal(signal.SIGTERM))
        assert service.wait(EXIT_SECONDS) == 0
        assert clients.ledger.check_against(service).keys() == clients.ledger.acknowledged
        assert len(clients.ledger.acknowledged) > 50
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_while_workers_finish_newcomers_are_refused_at_once(tmp_path: Path, server: PostgresServer) -> None:
    """Left in a queue that nobody serves any more, they would wait until the last worker has ended."""
    with Workers(tmp_path, server) as service, Wire(service.public) as wire:
        wire.send(HALF_A_BODY)
        service.send_signal(signal.SIGTERM)
        wait_for(service.refuses_connections, 2)
        assert service.alive
        assert service.wait(EXIT_SECONDS) == 0


def test_after_the_supervisor_was_killed_another_can_be_started_at_once(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server) as first:
        pids = first.pids()
        with Wire(first.public) as wire, ExitStack() as halves:
            for _ in range(8):
                halves.enter_context(Wire(first.public)).send(HALF_A_BODY)
            assert wire.exchange(request("/postback?c=before&value=1")).outcome == "stored"
            first.send_signal(signal.SIGKILL)
            assert first.wait() == -signal.SIGKILL
            assert wire.exchange(request("/postback?c=during&value=1")).outcome == "stored"
            for operator in first.operators:
                wait_for(partial(refused, operator), 2)
            with Workers(tmp_path, server, PORT=str(first.public[1]), DATABASE_URL=first.database_url) as second:
                assert second.postback("after").outcome == "stored"
                wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), EXIT_SECONDS)


def test_doctor_asks_every_worker_and_finds_nothing_wrong(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server) as service:
        run(Clients(service, "healthy").press(0.5))
        examined = service.examine()
        assert examined.named("wrong") == set()
        assert examined.check("operator")[1].startswith("each of 2 workers: ")
        assert examined.check("rows_counted")[1].startswith("each of 2 workers: ")
        assert examined.check("public_process")[0] == "ok"


def test_doctor_says_which_worker_does_not_answer(tmp_path: Path, server: PostgresServer) -> None:
    with Workers(tmp_path, server) as service:
        hung = service.pids()[1]
        os.kill(hung, signal.SIGSTOP)
        try:
            state, sentence = service.examine("--timeout", "1").check("operator")
        finally:
            os.kill(hung, signal.SIGCONT)
        assert state == "wrong"
        assert f":{service.operators[1][1]} does not answer" in sentence
        assert f":{service.operators[0][1]}" not in sentence


def test_what_keeps_a_worker_from_starting_is_said_once(tmp_path: Path, server: PostgresServer) -> None:
    service = Workers(tmp_path, server, AUTH="required")
    with pytest.raises(NotStarted), service:
        pass  # it listens, and should not
    assert service.wait() == REFUSED
    (line,) = service.stderr().splitlines()
    assert "POSTBACK_AUTH" in line
