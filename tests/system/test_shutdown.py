"""Owns the proof that the service stops when it is told to: in time, with nothing lost, whatever its clients do."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.outside.harness import EXIT_SECONDS, Service, wait_for
from tests.support.outside.ledger import Ledger, run_until
from tests.support.outside.wire import HungUp, Wire, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

CONNECTIONS = 24
HALF_SENT = {
    "nothing": b"",
    "half a request line": b"GET /postb",
    "half the headers": b"GET /postback?c=a&value=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ",
    "half a body": b"POST /postback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 100\r\n\r\n{"c": "half',
    "half a chunk": b"POST /postback HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nc=half",
}


@contextmanager
def hostile_clients(service: Service) -> Iterator[list[Wire]]:
    """Hold connections that never finish what they began, one that idles, and one that never reads."""
    with ExitStack() as open_wires:
        wires = [open_wires.enter_context(Wire(service.public)) for _ in range(len(HALF_SENT) + 2)]
        for wire, half in zip(wires, HALF_SENT.values(), strict=False):
            wire.send(half)
        assert wires[-1].exchange(request("/healthz")).status == 200
        never_read(wires[-2])
        yield wires


def never_read(wire: Wire) -> None:
    """Ask until the answers, which nobody reads, fill every buffer on the way."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.socket.settimeout(1)
    many = request("/postback?c=never-read&value=1") * 1000
    with suppress(TimeoutError):
        for _ in range(200):
            wire.send(many)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_stops_the_service_in_time_and_loses_nothing(
    tmp_path: Path, signum: signal.Signals, figures: Callable[[str], None]
) -> None:
    ledger = Ledger("stop", seed=17)
    with Service(tmp_path) as service:
        run_until(ledger.press(service.public, CONNECTIONS), 0.6, lambda: service.send_signal(signum))
        assert service.wait(EXIT_SECONDS) == 0
        assert service.refuses_connections()
        assert ledger.check_against(service).keys() == ledger.acknowledged  # whatever was stored was answered, too
        assert [line["event"] for line in service.log_lines()][-1] == "stopped"
    assert len(ledger.acknowledged) > 100
    figures(f"{len(ledger.acknowledged)} acknowledged, 0 lost, {len(ledger.unknown)} unknown")


def test_who_sends_another_request_while_it_stops_gets_the_answer_and_is_told_to_come_back_elsewhere(
    tmp_path: Path,
) -> None:
    """A connection that rests looks open to its client: cut at once, the next request would be lost with it."""
    with Service(tmp_path) as service, Wire(service.public) as wire, Wire(service.public) as resting:
        assert "connection" not in wire.exchange(request("/postback?c=before&value=1")).headers
        assert resting.exchange(request("/healthz")).status == 200
        service.send_signal(signal.SIGTERM)
        wait_for(service.refuses_connections, EXIT_SECONDS)
        time.sleep(0.4)  # it stops, and has had the time to cut the connection
        answer = wire.exchange(request("/postback?c=after&value=1"))
        assert (answer.outcome, answer.headers["connection"]) == ("stored", "close")
        with pytest.raises(HungUp):
            wire.answer()
        assert service.wait(EXIT_SECONDS) == 0
        assert service.sql("SELECT count(*) FROM conversion") == [(2,)]


def test_hostile_clients_hold_up_neither_the_others_nor_the_stop(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with Service(tmp_path) as service, hostile_clients(service):
        assert service.postback("beside-them").outcome == "stored"
        told = time.monotonic()
        service.send_signal(signal.SIGTERM)
        wait_for(service.refuses_connections, EXIT_SECONDS)
        refused = time.monotonic()
        assert service.wait(EXIT_SECONDS) == 0
        figures(f"refuses connections after {refused - told:.1f} s, exits after {time.monotonic() - told:.1f} s")
        assert time.monotonic() - told < EXIT_SECONDS
        assert service.sql("SELECT count(*) FROM conversion WHERE click_id = 'beside-them'") == [(1,)]
