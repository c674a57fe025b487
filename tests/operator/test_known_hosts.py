"""Whom the operator listener answers: addresses, loopback names and names that were said, and no web page."""

from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.operator.known_hosts import KnownHosts, host_names
from tests.support.served import Served, serving

pytestmark = pytest.mark.anyio

KNOWN = ["localhost", "LOCALHOST:8001", "localhost.", "127.0.0.1:8001", "10.1.2.3", "[::1]:8001", "[2001:db8::1]"]
STRANGE = [
    "evil.example",
    "evil.example:8001",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost:x",
    "",
    "127.0.0.1@evil.example",
    "2130706433",
    "0x7f.1",
    "[evil]",
    "internal",
    "::ffff:evil",
]
SAID = ["postback.internal", "Postback.Internal:8001", "postback.internal.", "service:8001", "listen.internal:8001"]


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/nothing"])
@pytest.mark.parametrize("host", KNOWN)
async def test_an_address_and_a_loopback_name_are_answered(served: Served, host: str, path: str) -> None:
    assert (await served.operator.get(path, headers={"Host": host})).status_code in {200, 404}


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/nothing"])
@pytest.mark.parametrize("host", [*STRANGE, *SAID])
async def test_any_other_host_is_told_421_and_nothing_else(served: Served, host: str, path: str) -> None:
    answer = await served.operator.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told.keys() == {"title", "status", "hint", "request_id"}
    assert told["request_id"] == answer.headers["x-request-id"]
    assert "POSTBACK_OPERATOR_HOSTS" in told["hint"]
    assert served.counted("postback_http_responses_total")[("unmatched", "GET", "421")] == 1


@pytest.mark.parametrize("host", [*KNOWN, *SAID])
async def test_names_that_were_said_are_answered(tmp_path: Path, host: str) -> None:
    said = {"operator_hosts": "service, POSTBACK.internal", "operator_host": "listen.internal"}
    async with serving(tmp_path / "postback.db", **said) as served:
        assert (await served.operator.get("/metrics", headers={"Host": host})).status_code == 200
        assert (await served.operator.get("/metrics", headers={"Host": "evil.example"})).status_code == 421


async def test_the_public_listener_answers_to_any_name(served: Served) -> None:
    assert (await served.public.get("/healthz", headers={"Host": "evil.example"})).status_code == 200


async def test_who_sends_no_host_is_no_browser() -> None:
    heard = []

    async def page(_scope: Scope, _receive: Receive, _send: Send) -> None:
        heard.append("asked")

    async def nothing() -> Message:
        return {}

    async def no_answer(_message: Message) -> None:
        raise AssertionError

    await KnownHosts(page, ())({"headers": []}, nothing, no_answer)
    assert heard == ["asked"]


@pytest.mark.parametrize(
    "text", ["*", "*.internal", "http://service", "service:8001", "a b/c", "[::1]", "-a", "ü.example"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no name of a host"):
        host_names(text)


def test_names_are_read_with_commas_or_spaces_between() -> None:
    assert host_names(" a, B.c\td ") == {"a", "b.c", "d"}
    assert host_names("") == frozenset()
