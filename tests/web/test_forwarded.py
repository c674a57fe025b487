"""Proxies: the client's address is one that a trusted proxy has seen, or none; and whether it is in a sender's list."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from starlette.types import Receive, Scope, Send

from service.auth.networks import Networks
from service.process.app import build_app
from service.process.serving import public_server
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.support.fakes import KeptLines, kept_log
from tests.support.served import Driven, http_scope, pieces

pytestmark = pytest.mark.anyio

PROXIES = "10.0.0.1, 10.0.1.0/24, 2001:db8:f::/64"
SENDERS = Networks.parse("203.0.113.0/24, 198.51.100.7, 2001:db8:5::/48, 10.9.0.0/16")
GOOD, OTHER, PROXY, SECOND = "203.0.113.9", "192.0.2.66", "10.0.0.1", "10.0.1.2"


class Case(NamedTuple):
    """Who connects, which X-Forwarded-For headers it sends; who the client is then, and whether it is in the list."""

    peer: str
    said: tuple[str, ...]
    client: str
    listed: bool = False


CASES = {
    "direct": Case(GOOD, (), GOOD, listed=True),
    "direct and not listed": Case(OTHER, (), OTHER),
    "direct, spoofed": Case(OTHER, (GOOD,), OTHER),
    "direct, spoofed as the proxy": Case(OTHER, (f"{GOOD}, {PROXY}",), OTHER),
    "direct from a listed one, which may say what it likes": Case(GOOD, (OTHER,), GOOD, listed=True),
    "untrusted proxy beside the trusted network": Case("10.0.2.1", (GOOD,), "10.0.2.1"),
    "proxy": Case(PROXY, (GOOD,), GOOD, listed=True),
    "proxy in a network": Case(SECOND, (GOOD,), GOOD, listed=True),
    "proxy, not listed": Case(PROXY, (OTHER,), OTHER),
    "proxy that says nothing": Case(PROXY, (), PROXY),
    "spoofed leftmost": Case(PROXY, (f"{GOOD}, {OTHER}",), OTHER),
    "spoofed leftmost, without a space": Case(PROXY, (f"{GOOD},{OTHER}",), OTHER),
    "spoofed leftmost, with spaces and tabs": Case(PROXY, (f"{GOOD} ,\t {OTHER}\t",), OTHER),
    "spoofed chain of proxies": Case(PROXY, (f"{GOOD}, {SECOND}, {OTHER}",), OTHER),
    "spoofed in a header of its own, first": Case(PROXY, (GOOD, OTHER), OTHER),
    "the proxy's own header first, and a second from it": Case(PROXY, (OTHER, GOOD), GOOD, listed=True),
    "three headers": Case(PROXY, (OTHER, GOOD, SECOND), GOOD, listed=True),
    "two hops": Case(PROXY, (f"{GOOD}, {SECOND}",), GOOD, listed=True),
    "two hops in two headers": Case(PROXY, (GOOD, SECOND), GOOD, listed=True),
    "three hops": Case(PROXY, (f"{GOOD}, 10.0.1.3, {SECOND}",), GOOD, listed=True),
    "an untrusted hop between": Case(PROXY, (f"{GOOD}, {OTHER}, {SECOND}",), OTHER),
    "all are proxies: the first named": Case(PROXY, (f"10.0.1.9, {SECOND}",), "10.0.1.9"),
    "IPv4 with a port": Case(PROXY, (f"{GOOD}:49152",), GOOD, listed=True),
    "a hop with a port": Case(PROXY, (f"{GOOD}, {SECOND}:8080",), GOOD, listed=True),
    "IPv4 with an empty port": Case(PROXY, (f"{GOOD}:",), ""),
    "IPv4 with a port that is none": Case(PROXY, (f"{GOOD}:http",), ""),
    "IPv4 with a negative port": Case(PROXY, (f"{GOOD}:-1",), ""),
    "IPv4 with two ports": Case(PROXY, (f"{GOOD}:1:2",), ""),
    "IPv4 in brackets": Case(PROXY, (f"[{GOOD}]",), ""),
    "IPv6": Case(PROXY, ("2001:db8:5::1",), "2001:db8:5::1", listed=True),
    "IPv6 in capitals, not shortened": Case(PROXY, ("2001:0DB8:0005:0:0:0:0:1",), "2001:db8:5::1", listed=True),
    "IPv6 in brackets": Case(PROXY, ("[2001:db8:5::1]",), "2001:db8:5::1", listed=True),
    "IPv6 in brackets with a port": Case(PROXY, ("[2001:db8:5::1]:443",), "2001:db8:5::1", listed=True),
    "IPv6, the bracket left open": Case(PROXY, ("[2001:db8:5::1",), ""),
    "IPv6, something behind the bracket": Case(PROXY, ("[2001:db8:5::1]x",), ""),
    "IPv6 in quotation marks": Case(PROXY, ('"[2001:db8:5::1]"',), ""),
    "IPv6 with a zone": Case(PROXY, ("2001:db8:5::1%eth0",), ""),
    "IPv6 proxy": Case("2001:db8:f::1", (GOOD,), GOOD, listed=True),
    "IPv6 proxy as a hop, in brackets with a port": Case(PROXY, (f"{GOOD}, [2001:db8:f::2]:80",), GOOD, listed=True),
    "IPv6 proxy with a zone": Case("fe80::1%eth0", (GOOD,), "fe80::1%eth0"),
    "IPv4 as IPv6, direct": Case(f"::ffff:{GOOD}", (), GOOD, listed=True),
    "IPv4 as IPv6, spoofed": Case(f"::ffff:{OTHER}", (GOOD,), OTHER),
    "IPv4 as IPv6, proxy": Case(f"::ffff:{PROXY}", (GOOD,), GOOD, listed=True),
    "IPv4 as IPv6, proxy, not listed": Case(f"::ffff:{PROXY}", (OTHER,), OTHER),
    "IPv4 as IPv6, client": Case(PROXY, (f"::ffff:{GOOD}",), GOOD, listed=True),
    "IPv4 as IPv6, hop": Case(PROXY, (f"{GOOD}, ::ffff:10.0.1.2",), GOOD, listed=True),
    "IPv4 as IPv6 in hexadecimal": Case(PROXY, ("::FFFF:cb00:7109",), GOOD, listed=True),
    "empty": Case(PROXY, ("",), ""),
    "spaces": Case(PROXY, (" \t ",), ""),
    "nothing at the end": Case(PROXY, (f"{GOOD}, ",), ""),
    "nothing in a header of its own at the end": Case(PROXY, (GOOD, ""), ""),
    "nothing at the beginning": Case(PROXY, (f", {GOOD}",), GOOD, listed=True),
    "nothing between": Case(PROXY, (f"{GOOD}, , {SECOND}",), ""),
    "commas": Case(PROXY, (",,,",), ""),
    "unknown": Case(PROXY, ("unknown",), ""),
    "unknown behind a good one": Case(PROXY, (f"{GOOD}, unknown",), ""),
    "unknown behind a good one, and a hop": Case(PROXY, (f"{GOOD}, unknown, {SECOND}",), ""),
    "obfuscated": Case(PROXY, ("_hidden",), ""),
    "obfuscated behind a good one": Case(PROXY, (f"{GOOD}, _hidden",), ""),
    "a name": Case(PROXY, ("localhost",), ""),
    "as the Forwarded header has it": Case(PROXY, (f"for={GOOD}",), ""),
    "with a semicolon": Case(PROXY, (f"{GOOD}; {OTHER}",), ""),
    "spaces between": Case(PROXY, (f"{GOOD} {OTHER}",), ""),
    "leading zeros": Case(PROXY, ("203.000.113.009",), ""),
    "one number": Case(PROXY, ("3405803785",), ""),
    "three numbers": Case(PROXY, ("203.0.113",), ""),
    "a network": Case(PROXY, ("203.0.113.0/24",), ""),
    "a control byte": Case(PROXY, (f"{GOOD}\x00",), ""),
    "a line break": Case(PROXY, (f"{GOOD}\n",), ""),
    "a vertical tab": Case(PROXY, (f"\x0b{GOOD}",), ""),
    "not ASCII": Case(PROXY, (f"{GOOD}\xa0",), ""),
    "digits that are not ASCII": Case(PROXY, ("\xb2\xb2\xb2.0.0.1",), ""),
    "a control byte behind a good one": Case(PROXY, (f"{GOOD}, \x07",), ""),
    "a thousand hops": Case(PROXY, (", ".join([GOOD] + [SECOND] * 1000),), GOOD, listed=True),
    "a thousand hops of strangers": Case(PROXY, (", ".join([GOOD] * 1000 + [OTHER]),), OTHER),
    "a thousand headers": Case(PROXY, (GOOD, *[SECOND] * 1000), GOOD, listed=True),
    "sixty thousand bytes": Case(PROXY, (GOOD + "9" * 60_000,), ""),
    "a listed sender in the proxies' building": Case(PROXY, ("10.9.1.1",), "10.9.1.1", listed=True),
    "a unix socket": Case("", (), ""),
    "a unix socket, and somebody named": Case("", (GOOD,), ""),
    "a peer that is no address": Case("unix:/run/proxy", (GOOD,), "unix:/run/proxy"),
}


async def seen(peer: str, headers: list[tuple[str, str]], forwarded_allow_ips: str = PROXIES) -> tuple[str, Scope]:
    """Return the client that an endpoint sees behind the public server, as the service itself sets it up."""
    scopes: list[Scope] = []

    async def endpoint(scope: Scope, _receive: Receive, _send: Send) -> None:
        scopes.append(scope)

    settings, metrics = Settings.model_construct(forwarded_allow_ips=forwarded_allow_ips), Metrics()
    app = build_app(settings, kept_log(KeptLines(), metrics), metrics)
    config = public_server(replace(app, public=endpoint), settings).config
    config.load()
    encoded = [(name.lower().encode(), text.encode("latin-1")) for name, text in headers]
    sent: Scope = {**http_scope(encoded), "client": (peer, 50000) if peer else None}
    driven = Driven(pieces(b""))
    await config.loaded_app(sent, driven.receive, driven.send)
    (scope,) = scopes
    return scope["client"][0] if scope["client"] else "", scope


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_client_is_who_a_trusted_proxy_has_seen_and_listed_if_its_address_is(case: Case) -> None:
    client, _ = await seen(case.peer, [("x-forwarded-for", said) for said in case.said])
    assert (client, SENDERS.contains(client)) == (case.client, case.listed)


OTHER_HEADERS = {
    "Forwarded": ("forwarded", f"for={GOOD}"),
    "X-Real-IP": ("x-real-ip", GOOD),
    "CF-Connecting-IP": ("cf-connecting-ip", GOOD),
    "True-Client-IP": ("true-client-ip", GOOD),
    "X-Client-IP": ("x-client-ip", GOOD),
    "Client-IP": ("client-ip", GOOD),
    "X_Forwarded_For": ("x_forwarded_for", GOOD),
    "X-Forwarded-For-": ("x-forwarded-for-", GOOD),
    "X-Forwarded": ("x-forwarded", GOOD),
    "X-Forwarded-Host": ("x-forwarded-host", GOOD),
    "Via": ("via", f"1.1 {GOOD}"),
}


@pytest.mark.parametrize("header", OTHER_HEADERS.values(), ids=OTHER_HEADERS)
async def test_no_other_header_says_who_the_client_is(header: tuple[str, str]) -> None:
    assert (await seen(PROXY, [header]))[0] == PROXY
    assert (await seen(PROXY, [header, ("x-forwarded-for", OTHER)]))[0] == OTHER


@pytest.mark.parametrize("scheme", ["https", "wss", "javascript", ""])
async def test_the_scheme_stays_that_of_the_connection(scheme: str) -> None:
    _, scope = await seen(PROXY, [("x-forwarded-proto", scheme), ("x-forwarded-for", GOOD)])
    assert (scope["client"][0], scope["scheme"]) == (GOOD, "http")


@pytest.mark.parametrize("peer", [GOOD, PROXY, "127.0.0.1", "::1"])
async def test_without_proxies_in_the_settings_nobody_is_believed(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own variable
    assert (await seen(peer, [("x-forwarded-for", OTHER)], ""))[0] == peer
