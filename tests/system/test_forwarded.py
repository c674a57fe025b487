"""Proxies on real connections: who the log says the client is, on an IPv4 listener and on one that takes both."""

from collections.abc import Iterator, Sequence

import pytest

from tests.support.outside.harness import LogLine, Service, wait_for
from tests.support.outside.wire import Wire

pytestmark = pytest.mark.system

PROXY, HOP, STRANGER = "127.1.0.1", "127.1.0.2", "127.2.0.1"  # all of 127.0.0.0/8 is this machine
LISTENERS = {"IPv4": "127.0.0.1", "IPv6 and IPv4": "::"}


@pytest.fixture(scope="module", params=list(LISTENERS.values()), ids=list(LISTENERS))
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two services, one after the other."""
    settings = {"HOST": request.param, "AUTH": "open", "FORWARDED_ALLOW_IPS": "127.1.0.0/16"}
    with Service(tmp_path_factory.mktemp("forwarded"), settings) as running:
        yield running


def client_ip(service: Service, source: str, headers: Sequence[bytes]) -> object:
    """Send a postback from an address; return whose the log says it is."""
    lines = [b"GET /postback?c=a&value=1 HTTP/1.1", b"Host: 127.0.0.1", *headers]
    with Wire(("127.0.0.1", service.public[1]), source=source) as wire:
        answer = wire.exchange(b"\r\n".join(lines) + b"\r\n\r\n")

    def found() -> LogLine | None:
        return next((line for line in service.log_lines() if line.get("request_id") == answer.request_id), None)

    return wait_for(found, 10)["client_ip"]


CASES = {
    "proxy": (PROXY, [b"X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
    "spoofed leftmost": (PROXY, [b"X-Forwarded-For: 203.0.113.9, 192.0.2.66"], "192.0.2.66"),
    "two hops": (PROXY, [f"X-Forwarded-For: 203.0.113.9, {HOP}".encode()], "203.0.113.9"),
    "two headers": (PROXY, [b"X-Forwarded-For: 192.0.2.66", b"X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
    "a name in capitals": (PROXY, [b"X-FORWARDED-FOR: 203.0.113.9"], "203.0.113.9"),
    "names in both": (PROXY, [b"x-forwarded-for: 192.0.2.66", b"X-FORWARDED-FOR: 203.0.113.9"], "203.0.113.9"),
    "a thousand hops": (PROXY, [b"X-Forwarded-For: 203.0.113.9" + b", 127.1.0.2" * 1000], "203.0.113.9"),
    "empty": (PROXY, [b"X-Forwarded-For:"], ""),
    "nothing at the end": (PROXY, [b"X-Forwarded-For: 203.0.113.9,"], ""),
    "unknown": (PROXY, [b"X-Forwarded-For: unknown"], ""),
    "bytes that are not ASCII": (PROXY, [b"X-Forwarded-For: 203.0.113.9\xff"], ""),
    "Forwarded": (PROXY, [b"Forwarded: for=203.0.113.9"], PROXY),
    "nothing said": (PROXY, [], PROXY),
}


@pytest.mark.parametrize(("source", "headers", "client"), CASES.values(), ids=CASES)
def test_the_client_is_who_the_trusted_proxy_has_seen(
    service: Service, source: str, headers: list[bytes], client: str
) -> None:
    assert client_ip(service, source, headers) == client


def test_a_stranger_is_not_believed(service: Service) -> None:
    assert client_ip(service, STRANGER, [b"X-Forwarded-For: 203.0.113.9"]) == STRANGER
