"""Owns the proof that the wire cannot be smuggled through, starved or inflated, as clients and strangers see it."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, resident_kib, wait_for
from tests.support.outside.tools import need
from tests.support.outside.wire import HungUp, Wire, request

pytestmark = [pytest.mark.system]

INFLATED_KIB = 30 * 1024
PATIENCE = 30


def stored(service: Service) -> set[object]:
    """Return the click ids that were stored."""
    return {row[0] for row in service.sql("SELECT click_id FROM conversion")}


def test_a_body_is_a_body_whatever_the_head_invites_to(tmp_path: Path) -> None:
    inner = request("/postback?c=smuggled&value=9")
    with Service(tmp_path) as service:
        for invitation in ("h2c", "websocket", "anything"):
            headers = {"Connection": "Upgrade", "Upgrade": invitation, "Content-Length": str(len(inner))}
            with Wire(service.public) as wire:
                wire.send(request(f"/postback?c={invitation}&value=1", method="POST", headers=headers))
                time.sleep(0.1)  # the body comes in a segment of its own
                wire.send(inner)
                assert wire.answer().outcome is not None
                assert wire.exchange(request("/healthz")).status == 200
        assert "smuggled" not in stored(service)


def test_curl_that_would_speak_http_2_is_answered_with_its_body_read(tmp_path: Path) -> None:
    need("curl")
    with Service(tmp_path) as service:
        url = f"http://127.0.0.1:{service.public[1]}/postback"
        asked = ["curl", "-sS", "--http2", "-d", "c=upgraded&value=1", url]
        assert subprocess.run(asked, capture_output=True, timeout=PATIENCE, check=True).stdout == b"Success"
        assert stored(service) == {"upgraded"}


def test_http_2_without_asking_is_refused_in_one_line(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Wire(service.public) as wire:
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        assert (wire.answer().status, service.metrics().by_label("postback_received_total", "outcome")) == (400, {})
        with pytest.raises(HungUp):
            wire.answer()
        assert service.terminate() == 0  # the log is written a moment after the answer; now it is complete
        assert len([line for line in service.log_lines() if line.get("logger") == "service.web.wire"]) == 1


@pytest.mark.parametrize("cut", ["in the target", "before the byte", "nowhere"])
def test_raw_bytes_in_a_target_have_their_outcome_wherever_they_were_cut(tmp_path: Path, cut: str) -> None:
    sent = request(b"/postback?c=caf\xe9&value=1")
    at = {"in the target": 10, "before the byte": sent.index(b"\xe9"), "nowhere": len(sent)}[cut]
    with Service(tmp_path) as service, Wire(service.public) as wire:
        wire.send(sent[:at])
        time.sleep(0.1)
        wire.send(sent[at:])
        answer = wire.answer()
        assert answer.outcome == "invalid_encoding"
        assert json.loads(answer.body)["outcome"] == "invalid_encoding"
        assert service.sql("SELECT count(*) FROM rejected_postback") == [(1,)]


def test_what_came_before_garbage_has_its_own_answer_and_half_closed_clients_have_theirs(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Wire(service.public) as wire:
        wire.send(request("/postback?c=before&value=1") + b"garbage\r\n\r\n")
        wire.socket.shutdown(socket.SHUT_WR)
        assert [wire.answer().status for _ in range(2)] == [200, 400]
        assert stored(service) == {"before"}
        metrics = service.metrics()
        assert metrics.total("postback_http_responses_total", route="unparsed", code="400") == 1


def test_a_thousand_postbacks_sent_ahead_are_answered_in_their_order_and_stored_once(tmp_path: Path) -> None:
    ids = [f"ahead-{number}" for number in range(1_000)]
    with Service(tmp_path) as service, Wire(service.public, timeout=PATIENCE) as wire:
        with ThreadPoolExecutor(1) as thread:  # or each would wait for the other to read
            sending = thread.submit(wire.send, b"".join(request(f"/postback?c={it}&value=1") for it in ids))
            answers = [wire.answer() for _ in ids]
            sending.result()
        assert {(answer.status, answer.outcome) for answer in answers} == {(200, "stored")}
        owners = {request_id: it for it, request_id in service.sql("SELECT click_id, request_id FROM conversion")}
        assert [owners[answer.request_id] for answer in answers] == ids
        assert len(owners) == len(ids)


def test_strangers_who_speak_no_http_keep_nobody_out(tmp_path: Path) -> None:
    with Service(tmp_path, {"MAX_CONNECTIONS": "16"}) as service, ExitStack() as held:
        for number in range(100):
            stranger = held.enter_context(socket.create_connection(service.public, PATIENCE))
            with suppress(OSError):
                stranger.sendall(b"\x16\x03\x01")
            if number % 10 == 9:
                assert service.postback(f"beside-{number}").outcome == "stored"


TINY = b"GET / HTTP/1.1\r\nHost:\r\n\r\n"


def ahead(service: Service, size: int) -> socket.socket:
    """Return a connection on which so many bytes of requests were sent, as far as they were taken, and nothing read."""
    stranger = socket.socket()
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    stranger.settimeout(0.05)
    with suppress(OSError):
        stranger.connect(service.public)
        stranger.sendall(TINY * (size // len(TINY)))
    return stranger


def crowd(service: Service, form: str, held: ExitStack) -> Iterator[str]:
    """Send many requests ahead, on connections that stay and on connections that are closed at once; tell which."""
    for number in range(40):
        held.enter_context(ahead(service, 256 * 1024))
        yield f"stays-{number}"
    for number in range(5_000 if form == "long" else 1_000):
        ahead(service, 16 * 1024).close()
        if number % 10 == 0:
            yield f"short-{number}"


@pytest.mark.proof
@pytest.mark.alone
def test_requests_sent_ahead_take_no_memory(tmp_path: Path, form: str, figures: Callable[[str], None]) -> None:
    most, waits = 0, list[float]()
    with Service(tmp_path) as service, ExitStack() as held:
        assert service.postback("before").outcome == "stored"
        before = resident_kib(service.pid)
        for click_id in crowd(service, form, held):
            began = time.monotonic()
            assert service.postback(click_id).outcome == "stored"
            waits.append(time.monotonic() - began)
            most = max(most, resident_kib(service.pid))
        held.close()
        after = wait_for(lambda: kib if (kib := resident_kib(service.pid)) - before < INFLATED_KIB else None, PATIENCE)
        waits.sort()
        figures(
            f"requests sent ahead on 40 connections that stay and {len(waits) * 10 - 400} that do not: "
            f"resident {(most - before) / 1024:+.1f} MiB, after {(after - before) / 1024:+.1f} MiB; "
            f"{len(waits)} postbacks beside: p99 {waits[len(waits) * 99 // 100]:.3f} s, slowest {waits[-1]:.3f} s"
        )
        assert most - before < INFLATED_KIB
        assert stored(service) >= {"before", "stays-0", "short-0"}
        assert service.metrics().by_label("postback_conservation_drift", "check") == {}
