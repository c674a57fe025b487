"""Behind nginx and Caddy as docs/reverse-proxy.md has them: the same receipts, the real client, and the very bytes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.outside.harness import LogLine, Service, wait_for
from tests.support.outside.registering import FORM, NDJSON, done, places, sent, told
from tests.support.outside.reverse_proxy import NAME, ReverseProxy, configuration, reverse_proxy
from tests.support.outside.signing import signed_query, webhook
from tests.support.outside.wire import Answer, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

KINDS = ["nginx", "caddy"]
MOST_LINES = 25
CLIENT, OTHER = "127.2.0.1", "127.3.0.1"  # all of 127.0.0.0/8 is this machine
BATCH_BYTES = 15 * 2**20


class Front(NamedTuple):
    """A service and the proxy before it; acme's key, beta's secret, and the key of gamma, which has a list."""

    service: Service
    proxy: ReverseProxy
    key: str
    secret: str
    listed: str

    def line_of(self, answer: Answer) -> LogLine:
        """Return the canonical line of an answer."""

        def found() -> list[LogLine]:
            return [line for line in self.service.log_lines() if line.get("request_id") == answer.request_id]

        return wait_for(found, 10)[0]


@pytest.fixture(scope="module", params=KINDS)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Run one after the other, before a service with three senders."""
    directory = tmp_path_factory.mktemp("front")
    url = f"sqlite:///{directory / 'p.db'}"
    done(directory, url, "senders", "add", "acme", "--rate", "2000")
    done(directory, url, "senders", "add", "beta")
    done(directory, url, "senders", "add", "gamma", "--network", "127.2.0.0/16")
    done(directory, url, "senders", "add", "delta", "--rate", "1")
    key = told(directory, url, "keys", "create", "acme")["key"]
    listed = told(directory, url, "keys", "create", "gamma")["key"]
    secret = told(directory, url, "secrets", "create", "beta")["secret"]
    settings = {"FORWARDED_ALLOW_IPS": "127.0.0.1", "STRANGER_RATE": "0"}
    with (
        Service(directory, settings) as service,
        reverse_proxy(request.param, directory / "proxy", service.public) as proxy,
    ):
        yield Front(service, proxy, key, secret, listed)


def get(target: str | bytes, **headers: str) -> bytes:
    """Return a GET for the proxy's name."""
    return request(target, host=NAME, headers={name.replace("_", "-"): value for name, value in headers.items()})


def post(path: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a POST for the proxy's name."""
    return request(path, method="POST", host=NAME, headers={"Content-Type": content_type, **(headers or {})}, body=body)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pages_configuration_is_short(kind: str) -> None:
    assert len(configuration(kind).splitlines()) <= MOST_LINES


def test_a_keyed_postback_is_stored_and_the_log_names_the_real_client(front: Front) -> None:
    answer = front.proxy.exchange(get(f"/postback?c=a&value=1&key={front.key}"), CLIENT)
    assert (answer.status, answer.body, answer.outcome) == (200, b"Success", "stored")
    assert answer.headers["cache-control"] == "no-store"
    assert front.line_of(answer)["client_ip"] == CLIENT
    assert front.service.sql("SELECT sender FROM conversion WHERE click_id = 'a'") == [("acme",)]


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_IP", "Client_IP"])
def test_a_client_that_names_another_is_not_believed(front: Front, header: str) -> None:
    said = "for=203.0.113.9" if header == "Forwarded" else "203.0.113.9, 127.0.0.1"
    answer = front.proxy.exchange(get(f"/postback?c=b&value=1&key={front.key}", **{header: said}), CLIENT)
    assert front.line_of(answer)["client_ip"] == CLIENT


def test_a_list_of_addresses_holds_through_it(front: Front) -> None:
    asked = f"/postback?c=l&value=1&key={front.listed}"
    assert front.proxy.exchange(get(asked), CLIENT).status == 200
    assert front.proxy.exchange(get(asked), OTHER).outcome == "forbidden"
    assert front.proxy.exchange(get(asked, X_Forwarded_For=CLIENT), OTHER).outcome == "forbidden"


QUERIES = [
    b"c=a%2Fb&value=1.50&sub=a+b",
    b"c=a%2fb&value=1%2e50&sub=a%20b",
    b"c=%C3%A9&value=1&sub=%c3%a9",
    b"c=x&value=1&path=../..//%2e%2e/&u=https://a.example/?q=1%26b",
    b"c=x&&value=1&empty=&=&bare",
    b'c=x;value=1&sub={click_id}&at=[1]|2^3`4"<>\\',
    b"c=x&value=1&sub=%zz%",
    b"c=x&value=1&sub=%00%0d%0a",
    b"c=x?c=y&value=1",
    b"value=1&c=x&long=" + b"y" * 6000,
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_signed_query_arrives_byte_for_byte(front: Front, query: bytes) -> None:
    signed = signed_query(front.secret, query.decode(), time.time())
    answer = front.proxy.exchange(get(f"/postback?{signed}"))
    assert (answer.outcome != "unauthenticated", answer.status < 500) == (True, True)
    assert front.proxy.exchange(get(f"/postback?{signed.replace('value=1', 'value=2')}")).outcome == "unauthenticated"


@pytest.mark.parametrize("query", [*QUERIES, b"c=\xc3\xa9&value=1", b"c=\xff\xfe&value=1"], ids=range(len(QUERIES) + 2))
def test_what_is_kept_is_the_same_as_without_it(front: Front, query: bytes) -> None:
    answers = [front.proxy.exchange(get(b"/postback?" + query)), sent(front.service, get(b"/postback?" + query))]
    through, direct = (
        front.service.sql("SELECT raw, outcome FROM rejected_postback WHERE request_id = ?", answer.request_id)
        for answer in answers
    )
    assert through == direct
    assert len(direct) == 1


def test_signed_bodies_and_the_largest_batches_come_through(front: Front) -> None:
    body = b'{"c":"w","value":"1.50"}'
    made = webhook(front.secret, body, time.time())
    answer = front.proxy.exchange(post("/postback", body, made.pop("Content-Type"), made))
    assert answer.outcome == "stored"
    rows = b"".join(
        b'{"c":"n%d","value":1,"x":"%b"}\n' % (number, b"x" * 4000) for number in range(BATCH_BYTES // 4030)
    )
    answer = front.proxy.exchange(post("/postbacks", rows, NDJSON, {"X-API-Key": front.key}))
    assert (answer.status, answer.headers["x-postback-outcomes"]) == (200, f"stored={rows.count(b'}')}")


def test_refusals_come_through_with_their_outcome_and_the_time_to_wait(front: Front) -> None:
    answer = front.proxy.exchange(get("/postback?c=r&value=1"))
    assert (answer.status, answer.outcome, answer.headers["content-type"]) == (
        401,
        "unauthenticated",
        "application/problem+json",
    )
    assert answer.request_id in answer.body.decode()
    key = told(front.service.directory, front.service.database_url, "keys", "create", "delta")["key"]
    asked = get(f"/postback?c=d&value=1&key={key}")
    wait_for(lambda: front.proxy.exchange(asked).status == 200 or None, 10, every=0.1)
    limited = next(answer for answer in iter(lambda: front.proxy.exchange(asked), None) if answer.status == 429)
    assert (limited.outcome, int(limited.headers["retry-after"]) >= 1) == ("rate_limited", True)
    for elsewhere in ("/", "/metrics", "/readyz", "/api/anything"):
        assert front.proxy.exchange(get(elsewhere)).status == 404


@pytest.mark.parametrize("kind", KINDS)
def test_open_mode_is_no_open_door_behind_it(tmp_path: Path, kind: str) -> None:
    with Service(tmp_path, {"FORWARDED_ALLOW_IPS": "127.0.0.1"}) as service:
        with reverse_proxy(kind, tmp_path / "proxy", service.public) as proxy:
            for host in (NAME, "localhost", "127.0.0.1"):
                answer = proxy.exchange(request("/postback?c=a&value=1", host=host))
                assert answer.outcome in {"unauthenticated", None}, host  # Caddy has no site of the other names
            assert proxy.exchange(get("/postback?c=a&value=1")).status == 401
        assert sent(service, request("/postback?c=a&value=1")).status == 200
        assert service.sql("SELECT count(*) FROM conversion") == [(1,)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_proxy_writes_down_every_request_and_no_key_even_when_the_service_is_away(
    tmp_path: Path, kind: str
) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    key = told(tmp_path, url, "keys", "create", "ezmob")["key"]
    asked = [get(f"/postback?c=a&value=1&key={key}"), get("/postback?c=a&value=1", X_API_Key=key)]
    asked += [get("/postback?c=b&value=1", Authorization=f"Bearer {key}", Referer=f"https://a.example/?key={key}")]
    asked += [post("/postback", f"c=c&value=1&key={key}".encode(), FORM)]
    with ExitStack() as stack:
        service = stack.enter_context(Service(tmp_path, {"FORWARDED_ALLOW_IPS": "127.0.0.1"}))
        proxy = stack.enter_context(reverse_proxy(kind, tmp_path / "proxy", service.public))
        there = [proxy.exchange(each) for each in asked]
        assert [answer.status for answer in there] == [200, 200, 200, 401]
        service.kill()
        away = [proxy.exchange(each) for each in asked]
        assert {(answer.status, answer.outcome) for answer in away} == {(502, None)}
    written = (proxy.directory / "postback.log").read_text(encoding="utf-8")
    assert len(written.splitlines()) == len(there) + len(away)
    assert "stored" in written or kind == "caddy"
    assert places(proxy.directory, [key[17:].encode()]) == []
