"""Owns the proof that who holds connections, sends without end or is slow harms nobody else, at a bounded cost."""

import os
import resource
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.outside.certificates import Authority
from tests.support.outside.harness import Service, resident_kib, wait_for
from tests.support.outside.ledger import run
from tests.support.outside.load import Load
from tests.support.outside.tools import need
from tests.support.outside.wire import HungUp, Wire, request

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.proof]

FILES = 11_000
PATIENCE = 30
RATE = 50  # legitimate postbacks a second beside the others
GROWTH_KIB = 50 * 1024
CROWD_GROWTH_KIB = 300 * 1024
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    """Let this process and the services that it starts open many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def pour(service: Service, start: bytes, piece: bytes, size: int) -> int:
    """Send `start`, and `piece` until so many bytes are sent or nobody takes them; return how many were."""
    sent = 0
    with Wire(service.public, timeout=PATIENCE) as wire, suppress(OSError):
        wire.send(start)
        while sent < size:
            wire.send(piece)
            sent += len(piece)
    return sent


ENDLESS: dict[str, tuple[bytes, bytes, int]] = {
    "a URL of 3 MB": (b"GET /postback?c=", b"x" * 60_000, 3_000_000),
    "headers of 64 MB": (b"GET /postback?c=a&value=1 HTTP/1.1\r\n", b"X-Long: " + b"x" * 50_000 + b"\r\n", 64_000_000),
    "a chunked body of 1 GB": (
        b"POST /postback HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNK,
        10**9,
    ),
    "a chunked batch of 1 GB": (
        b"POST /postbacks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNK,
        10**9,
    ),
}


def test_what_has_no_end_is_cut_early_and_takes_no_memory(tmp_path: Path, figures: Callable[[str], None]) -> None:
    with Service(tmp_path) as service:
        assert service.postback("before").outcome == "stored"
        before = resident_kib(service.pid)
        for name, (start, piece, size) in ENDLESS.items():
            sent = pour(service, start, piece, size)
            grown = resident_kib(service.pid) - before
            figures(f"{name}: cut after {sent / 10**6:.1f} MB, resident {grown / 1024:+.0f} MiB")
            assert sent < 50_000_000
            assert grown < GROWTH_KIB
        assert service.postback("after").outcome == "stored"
        metrics = service.metrics()
        assert metrics.total("postback_http_responses_total", route="unparsed", code="431") == 2
        assert metrics.by_label("postback_received_total", "outcome") == {"stored": 2, "too_large": 1}
        assert metrics.total("postback_received_total", outcome="too_large") == 2
        assert len(service.log_lines()) < 100


HALVES = {
    "half a head": (b"GET /postback?c=half&value=1 HTTP/1.1\r\nX-Slow: ", b"x", 408),
    "half a body": (
        b"POST /postback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n",
        b"{",
        408,
    ),
    "line ends": (b"\r\n", b"\r\n", None),
}


def test_a_request_that_trickles_in_is_cut_after_ten_seconds(tmp_path: Path) -> None:
    with Service(tmp_path) as service, ExitStack() as held:
        wires = {name: held.enter_context(Wire(service.public, timeout=PATIENCE)) for name in HALVES}
        began = time.monotonic()
        for name, (start, _, _) in HALVES.items():
            wires[name].send(start)
        while time.monotonic() - began < 8:  # slower than any time-out between two bytes would notice
            time.sleep(1)
            for name, (_, trickle, _) in HALVES.items():
                wires[name].send(trickle)
        for name, (_, _, status) in HALVES.items():
            if status:
                assert wires[name].answer().status == status
            with pytest.raises(HungUp):
                wires[name].answer()
        assert time.monotonic() - began > 9
        metrics = wait_for(lambda: m if (m := service.metrics()).total("postback_received_total") else None, PATIENCE)
        assert metrics.by_label("postback_received_total", "outcome") == {"malformed_body": 1}
        assert metrics.total("postback_http_responses_total", route="unparsed", code="408") == 1


def open_files(service: Service) -> int:
    """Return how many files the service has open."""
    return len([*Path(f"/proc/{service.pid}/fd").iterdir()])


def with_files(count: int) -> list[str]:
    """Return the command that runs the service with so many open files allowed."""
    return ["sh", "-c", f'ulimit -n {count}; exec "$@"', "-"]


async def beside(service: Service, seconds: float) -> Load:
    """Send legitimate postbacks, each on a line that is used soon or not again."""
    load = Load(service.public, f"fair-{time.monotonic_ns()}")
    await load.offer(RATE, seconds)
    load.close()
    return load


def fair_share(load: Load) -> float:
    """Return how many of all were stored."""
    return load.answers.outcomes["stored"] / load.sent


def cpu_seconds(pid: int) -> float:
    """Return how long a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hold(service: Service, count: int, held: ExitStack, start: bytes = b"GET /postback?c=") -> int:
    """Open so many connections that begin a request and do not go on; return how many could be."""
    opened = 0
    for _ in range(count):
        with suppress(OSError):
            line = held.enter_context(socket.create_connection(service.public, PATIENCE))
            line.sendall(start)
            opened += 1
    return opened


def test_with_few_files_many_slow_connections_leave_room_for_quick_ones(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with Service(tmp_path, wrapper=with_files(256)) as service, ExitStack() as held:
        opened = hold(service, 1000, held)
        files = open_files(service)
        load = run(beside(service, 4))
        worked = cpu_seconds(service.pid)
        time.sleep(3)
        worked = (cpu_seconds(service.pid) - worked) / 3
        figures(
            f"{opened} slow connections, 256 files: {files} open, {fair_share(load):.2%} of {load.sent} stored, "
            f"{dict(load.answers.errors)}, then {worked:.1%} CPU, {len(service.log_lines())} lines"
        )
        assert fair_share(load) >= 0.99
        assert files < 256
        assert worked < 0.1
        held.close()
        assert wait_for(lambda: fair_share(run(beside(service, 1))) == 1 or None, PATIENCE)
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        assert len(service.log_lines()) < 5_000
        assert service.terminate() == 0


def sent_by_tls(service: Service, click_id: str, trusting: ssl.SSLContext) -> str:
    """Send one postback on a connection of its own; return what came of it."""
    try:
        with Wire(service.public, timeout=5, tls=trusting) as wire:
            return str(wire.exchange(request(f"/postback?c={click_id}&value=1")).outcome)
    except OSError as error:
        return type(error).__name__


def test_with_few_files_those_who_begin_no_handshake_leave_room_for_those_who_do(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.certify()
    tls = {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}
    with Service(tmp_path, tls, wrapper=with_files(256)) as service, ExitStack() as held:
        opened, came = hold(service, 600, held, b""), Counter[str]()
        for number in range(100):
            opened += hold(service, 3, held, b"")
            came[sent_by_tls(service, f"tls-{number}", authority.trusting())] += 1
        figures(f"{opened} that are silent, 256 files: {open_files(service)} open, of 100 by TLS {dict(came)}")
        assert came == {"stored": 100}
        assert open_files(service) < 256
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        assert service.terminate() == 0


def test_a_crowd_that_idles_is_bounded_and_goes_again(
    tmp_path: Path, form: str, figures: Callable[[str], None]
) -> None:
    count = 10_000 if form == "long" else 2_000
    with Service(tmp_path, {"MAX_CONNECTIONS": str(count * 3 // 4)}) as service, ExitStack() as held:
        assert service.postback("before").outcome == "stored"
        before = resident_kib(service.pid)
        opened = hold(service, count, held, b"")
        grown = resident_kib(service.pid) - before
        load = run(beside(service, 3))
        figures(
            f"{opened} idle connections: resident {grown / 1024:+.0f} MiB, "
            f"{fair_share(load):.2%} of {load.sent} stored, {dict(load.answers.errors)}"
        )
        assert grown < CROWD_GROWTH_KIB
        assert fair_share(load) >= 0.99
        assert wait_for(lambda: open_files(service) < 100 or None, PATIENCE)
        assert service.postback("after").outcome == "stored"


ATTACKS = {"slow heads": "-H", "slow bodies": "-B", "slow readers": "-X"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_slow_connections_harm_nobody_else(
    tmp_path: Path, form: str, figures: Callable[[str], None], attack: str
) -> None:
    if form != "long":
        pytest.skip("half a minute each: POSTBACK_SOAK=1")
    need("slowhttptest")
    with Service(tmp_path) as service:
        url = f"http://127.0.0.1:{service.public[1]}/postback?c=slow&value=1"
        slow = [
            "slowhttptest",
            ATTACKS[attack],
            "-c",
            "2000",
            "-r",
            "1000",
            "-i",
            "3",
            "-l",
            "30",
            "-u",
            url,
            "-v",
            "0",
        ]
        before, most = resident_kib(service.pid), 0
        with subprocess.Popen(slow, stdout=subprocess.DEVNULL) as attacking:
            load = run(beside(service, 25))
            most = resident_kib(service.pid)
            attacking.wait(60)
        figures(
            f"2,000 {attack}: {fair_share(load):.2%} of {load.sent} stored, slowest {load.answers.slowest:.2f} s, "
            f"{dict(load.answers.errors)}, resident {(most - before) / 1024:+.0f} MiB"
        )
        assert fair_share(load) >= 0.99
        assert wait_for(lambda: open_files(service) < 100 or None, PATIENCE)
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        assert service.postback("after").outcome == "stored"


def test_the_operator_listener_has_bounds_of_its_own(tmp_path: Path) -> None:
    with Service(tmp_path) as service, ExitStack() as held:
        for _ in range(100):
            held.enter_context(socket.create_connection(service.operator, PATIENCE)).sendall(b"GET /met")
        assert service.ask_operator("/healthz").status == 200
        with Wire(service.operator) as wire:
            assert wire.exchange(request("/healthz", headers={"X-Long": "x" * 20_000})).status == 431


def test_batches_that_wait_are_bounded_by_their_bytes(tmp_path: Path, figures: Callable[[str], None]) -> None:
    body = b"[" + b" " * (12 * 2**20)
    with Service(tmp_path) as service, ExitStack() as held:
        before = resident_kib(service.pid)
        wires = [held.enter_context(Wire(service.public, timeout=PATIENCE)) for _ in range(8)]
        for wire in wires:
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body) + 1)}
            with suppress(OSError):
                wire.send(request("/postbacks", method="POST", headers=headers) + body)
        grown = resident_kib(service.pid) - before
        for wire in wires:
            wire.send(b"]")
        outcomes = sorted(str(wire.answer().outcome) for wire in wires)
        figures(f"8 batches of 12 MiB at once: {outcomes}, resident {grown / 1024:+.0f} MiB")
        assert set(outcomes) == {"malformed_body", "overloaded"}
        assert grown < CROWD_GROWTH_KIB
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
        assert service.postback("after").outcome == "stored"
