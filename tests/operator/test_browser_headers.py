"""What a browser may make of an answer: nothing on the operator listener; and no answer tells which program gave it."""

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.operator.browser_headers import BrowserHeaders
from tests.support.served import Served, client

pytestmark = pytest.mark.anyio

EXPECTED = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/nothing"])
async def test_every_answer_to_an_operator_forbids_a_browser_everything(served: Served, path: str) -> None:
    for method in ("GET", "PUT"):
        headers = (await served.operator.request(method, path)).headers
        assert {name: headers.get_list(name) for name in EXPECTED} == {name: [it] for name, it in EXPECTED.items()}


async def test_a_fault_of_ours_is_shielded_as_well(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(_accept: str) -> None:
        raise LookupError("a bug in the page")

    monkeypatch.setattr("service.operator.probes.choose_encoder", faulty)
    answer = await served.operator.get("/metrics")
    assert answer.status_code == 500
    assert EXPECTED.items() <= dict(answer.headers).items()


async def test_what_an_answer_says_itself_stands() -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("", headers={"Content-Security-Policy": "default-src 'self'"})(scope, receive, send)

    async with client(BrowserHeaders(page)) as asking:
        headers = (await asking.get("/")).headers
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("target", ["/postback?c=a&value=1", "/postback?c=a", "/pixel.gif", "/healthz", "/nothing"])
async def test_doors_spend_no_byte_on_browsers(served: Served, target: str) -> None:
    assert not EXPECTED.keys() & (await served.public.get(target)).headers.keys()
