"""Owns the proof that nothing is smuggled past nginx and Caddy, configured as docs/reverse-proxy.md has them.

Between proxy and service stands a relay that keeps what goes over it. The service must see just the requests that h11
reads there, and answer them in their order. Beside the attempts another client sends postbacks, and must get its own
receipts.
"""

import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, wait_for
from tests.support.outside.registering import told
from tests.support.outside.reverse_proxy import NAME, ReverseProxy, reverse_proxy
from tests.support.outside.smuggling import attempts
from tests.support.outside.tap import Exchange, Tap
from tests.support.outside.wire import Wire, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

ATTEMPTS = {"short": 1_000, "long": 10_000}
AT_ONCE = 8
QUIET_SECONDS = 0.3
PATIENCE = 30


def attempt(proxy: ReverseProxy, pieces: Sequence[bytes]) -> None:
    """Send bytes to the proxy, and read until nothing comes."""
    tls = ssl.create_default_context(cafile=str(proxy.trusted))
    with suppress(OSError), Wire(proxy.address, timeout=PATIENCE, tls=tls) as wire:
        for piece in pieces:
            wire.send(piece)
            time.sleep(0.02)  # segments of their own
        wire.socket.settimeout(QUIET_SECONDS)
        while wire.socket.recv(65536):
            pass


def beside(proxy: ReverseProxy, key: str, attacks: Sequence[Future[None]]) -> dict[str, str]:
    """Send postbacks while attempts are made; return the request id of each receipt, by click id."""
    receipts: dict[str, str] = {}
    while not all(attack.done() for attack in attacks):
        click_id = f"beside-{len(receipts)}"
        answer = proxy.exchange(request(f"/postback?c={click_id}&value=1&key={key}", host=NAME))
        assert (answer.status, answer.outcome) == (200, "stored")
        receipts[click_id] = answer.request_id
    return receipts


def check_order(service: Service, exchanged: Sequence[Exchange]) -> None:
    """Each answer of a connection is that of its request; only the last request may have none, or be refused."""
    lines = {line["request_id"]: line["click_id"] for line in service.log_lines() if line["event"] == "postback"}
    for one in exchanged:
        if one.answer and one.answer.outcome:
            assert lines[one.answer.request_id] in {one.click_id, None}, one
        assert one is exchanged[-1] or (one.target and one.answer), one
        assert one.target or (one.answer and one.answer.status == 400), one


def seen_by(service: Service) -> float:
    """Return how many requests the service counted on its public listener, those that it refused included."""
    metrics, name = service.metrics(), "postback_http_responses_total"
    return metrics.total(name) - metrics.total(name, route="/metrics")


def agreed(service: Service, tap: Tap) -> list[list[Exchange]] | None:
    """Return what went over each connection, once the service has seen as many requests as there were; else None."""
    lines = list(tap.exchanges())
    return lines if seen_by(service) == sum(map(len, lines)) else None


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_no_request_is_seen_that_the_proxy_did_not_send_and_nobody_gets_anothers_receipt(
    tmp_path: Path, kind: str, form: str, figures: Callable[[str], None]
) -> None:
    key = told(tmp_path, f"sqlite:///{tmp_path / 'p.db'}", "keys", "create", "ezmob")["key"]
    with Service(tmp_path, {"FORWARDED_ALLOW_IPS": "127.0.0.1"}) as service, Tap(service.public) as tap:
        with reverse_proxy(kind, tmp_path / "proxy", tap.address) as proxy, ThreadPoolExecutor(AT_ONCE) as threads:
            some = islice(attempts(15, NAME, key), ATTEMPTS[form])
            receipts = beside(proxy, key, [threads.submit(attempt, proxy, pieces) for pieces in some])
        lines = wait_for(lambda: agreed(service, tap), PATIENCE, every=0.5)
        requests = [one for line in lines for one in line]
        for line in lines:
            check_order(service, line)
        seen = {line["click_id"] for line in service.log_lines() if line["event"] == "postback"}
        assert seen - {None} <= {one.click_id for one in requests}
        rows = service.sql("SELECT click_id, request_id FROM conversion WHERE click_id LIKE 'beside-%'")
        assert {str(click_id): request_id for click_id, request_id in rows} == receipts
        sent_on = Counter((one.click_id or "refused").partition("-")[0] for one in requests)
        refused = service.metrics().total("postback_http_responses_total", route="unparsed")
        figures(
            f"{kind}: {ATTEMPTS[form]} attempts; it sent on {dict(sent_on)} over {len(lines)} connections; "
            f"the service saw {len(requests)}, and refused {refused:.0f} of them as no HTTP"
        )
