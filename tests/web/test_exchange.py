"""Every HTTP exchange: an id of its own, headers that all answers carry, and an honest end when an endpoint fails."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from httpx2 import AsyncClient, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.telemetry.metrics import Metrics
from service.web.middleware import new_request_id
from service.web.routing import ExactRoute, listener
from tests.support.fakes import KeptLines, kept_log, samples
from tests.support.served import Driven, Served, client, http_scope, pieces

pytestmark = pytest.mark.anyio

ANSWERS: dict[str, Callable[[Served], Awaitable[Response]]] = {
    "200": lambda served: served.public.get("/postback?c=a&value=1"),
    "400": lambda served: served.public.get("/postback?c=a"),
    "401": lambda served: served.public.get("/postback?c=a&value=1", headers={"host": "example.com"}),
    "404": lambda served: served.public.get("/nothing"),
    "405": lambda served: served.public.put("/postback"),
    "413": lambda served: served.public.post("/postback", content=b"x" * 100_000),
    "healthz": lambda served: served.public.get("/healthz"),
    "readyz": lambda served: served.operator.get("/readyz"),
    "metrics": lambda served: served.operator.get("/metrics"),
}


@pytest.mark.parametrize("ask", ANSWERS.values(), ids=ANSWERS)
async def test_every_answer_carries_its_request_id_and_is_never_cached(
    served: Served, ask: Callable[[Served], Awaitable[Response]]
) -> None:
    answer = await ask(served)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers.get_list("cache-control") == ["no-store"]


async def test_no_two_requests_have_the_same_id(served: Served) -> None:
    answers = await asyncio.gather(*[served.public.get(f"/postback?c=a-{n}&value=1") for n in range(100)])
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 100
    assert {line["request_id"] for line in served.lines.events()} == ids
    assert {row[0] for row in served.rows("SELECT request_id FROM conversion")} == ids


def test_an_id_is_32_hex_digits_whatever_came_before() -> None:
    ids = [new_request_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{32}", request_id) for request_id in ids)


async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise LookupError("a bug in an endpoint")


async def fails_half_way(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise LookupError("a bug in an endpoint")


class Failing:
    """A listener whose one endpoint fails, and what is seen of it."""

    def __init__(self, endpoint: ASGIApp) -> None:
        self.metrics, self.lines = Metrics(), KeptLines()
        log = kept_log(self.lines, self.metrics)
        self.application = listener([ExactRoute("/postback", {"POST": endpoint})], self.metrics, log)

    def client(self) -> AsyncClient:
        """Return a client of it."""
        return client(self.application)


async def test_an_endpoint_that_fails_is_answered_as_our_fault_logged_and_counted() -> None:
    failing = Failing(fails)
    async with failing.client() as asking:
        answer = await asking.post("/postback")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["x-postback-outcome"] == "internal_error"
    problem = answer.json()
    assert (problem["outcome"], problem["request_id"]) == ("internal_error", answer.headers["x-request-id"])
    assert "a bug" not in answer.text
    (line,) = failing.lines.events("unexpected_error")
    assert line["request_id"] == answer.headers["x-request-id"]
    assert str(line["exception"]).endswith("LookupError: a bug in an endpoint")
    assert samples(failing.metrics, "postback_http_responses_total") == {("/postback", "POST", "500"): 1.0}
    assert samples(failing.metrics, "postback_http_requests_in_flight") == {}


async def test_an_answer_that_broke_off_is_never_mended_with_a_second_one() -> None:
    failing, driven = Failing(fails_half_way), Driven(pieces(b""))
    with pytest.raises(LookupError):  # the server closes the connection then
        await failing.application(http_scope([]), driven.receive, driven.send)
    assert [message["type"] for message in driven.sent] == ["http.response.start"]
    assert len(failing.lines.events("unexpected_error")) == 1
    assert samples(failing.metrics, "postback_http_requests_in_flight") == {}


async def test_requests_in_flight_are_counted_while_they_are_and_answers_once_they_were_given() -> None:
    arrived, release = asyncio.Barrier(4), asyncio.Event()

    async def waits(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await arrived.wait()
        await release.wait()
        raise LookupError

    failing = Failing(waits)
    async with failing.client() as asking, asyncio.TaskGroup() as requests:
        for _ in range(3):
            requests.create_task(asking.post("/postback"))
        await arrived.wait()
        assert samples(failing.metrics, "postback_http_requests_in_flight") == {(): 3.0}
        assert samples(failing.metrics, "postback_http_responses_total") == {}
        release.set()
    assert samples(failing.metrics, "postback_http_requests_in_flight") == {}
    assert samples(failing.metrics, "postback_http_responses_total") == {("/postback", "POST", "500"): 3.0}
