"""Rendering: every outcome becomes its status, its headers and a body that says no more than its reader may know."""

import json
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Send

from service.core.outcome import Family, Outcome
from service.core.verdict import Verdict
from service.web.render import send_pixel, send_refusal, send_verdict
from service.web.wire.answer import WHOLE_ANSWER, header_lines, headers_of

pytestmark = pytest.mark.anyio

REQUEST_ID = "0" * 31 + "7"
TRANSPARENT_PIXEL = (
    b"GIF89a"
    b"\1\0\1\0\x80\0\0"  # 1 by 1, a palette of two colours
    b"\0\0\0\xff\xff\xff"
    b"!\xf9\4\1\0\0\0\0"  # colour 0 is transparent
    b",\0\0\0\0\1\0\1\0\0"  # an image of 1 by 1
    b"\2\2D\1\0"  # which is colour 0
    b";"
)
STANDARD = {"x-postback-outcome", "content-type", "content-length"}


async def rendered(outcome: Outcome) -> tuple[int, dict[str, str], bytes]:
    return await sent(lambda send: send_verdict(send, Verdict(outcome, "the detail"), REQUEST_ID))


async def sent(answer: Callable[[Send], Awaitable[None]]) -> tuple[int, dict[str, str], bytes]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await answer(send)
    (whole,) = messages
    assert whole["type"] == WHOLE_ANSWER
    lines = headers_of(whole["head"])
    assert header_lines(lines) == whole["head"]
    headers = {name.decode(): value.decode() for name, value in lines}
    assert len(headers) == len(lines)
    return whole["status"], headers, whole["body"]


@pytest.mark.parametrize("outcome", Outcome)
async def test_every_outcome_is_sent_with_its_status_and_its_word(outcome: Outcome) -> None:
    status, headers, body = await rendered(outcome)
    assert status == outcome.status
    assert headers["x-postback-outcome"] == outcome.value
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.acknowledged])
async def test_acceptance_says_success_and_nothing_else(outcome: Outcome) -> None:
    _, headers, body = await rendered(outcome)
    assert body == b"Success"
    assert headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not outcome.acknowledged])
async def test_the_rest_is_a_problem_with_outcome_hint_and_request_id(outcome: Outcome) -> None:
    _, headers, body = await rendered(outcome)
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    expected = {"status": outcome.status, "outcome": outcome.value, "hint": outcome.hint, "request_id": REQUEST_ID}
    assert expected.items() <= problem.items()
    assert problem["title"]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not outcome.acknowledged])
async def test_a_sender_sees_the_detail_of_its_own_mistake_and_never_that_of_our_failure(outcome: Outcome) -> None:
    _, _, body = await rendered(outcome)
    shown = json.loads(body).get("detail")
    assert shown == ("the detail" if outcome.family is Family.REJECTED else None)
    assert (b"the detail" in body) is (outcome.family is Family.REJECTED)


@pytest.mark.parametrize("outcome", Outcome)
async def test_a_batch_refused_as_a_whole_is_a_problem_whatever_it_is_refused_for(outcome: Outcome) -> None:
    status, headers, body = await sent(lambda send: send_refusal(send, Verdict(outcome, "the detail"), REQUEST_ID))
    assert (status, json.loads(body)["status"]) == (outcome.whole_status, outcome.whole_status)
    assert headers["x-postback-outcome"] == json.loads(body)["outcome"] == outcome.value
    assert status >= 400


@pytest.mark.parametrize("outcome", Outcome)
async def test_only_the_statuses_that_need_a_header_of_their_own_have_one(outcome: Outcome) -> None:
    _, headers, _ = await rendered(outcome)
    needed = {429: {"retry-after"}, 503: {"retry-after"}, 401: {"www-authenticate"}}.get(outcome.status, set())
    assert set(headers) == STANDARD | needed


async def test_retry_after_is_a_number_of_seconds() -> None:
    for outcome in (Outcome.OVERLOADED, Outcome.STORAGE_UNAVAILABLE, Outcome.RATE_LIMITED):
        _, headers, _ = await rendered(outcome)
        assert int(headers["retry-after"]) >= 1


@pytest.mark.parametrize("outcome", Outcome)
async def test_a_pixel_is_the_image_and_200_whatever_the_outcome_and_only_the_header_tells(outcome: Outcome) -> None:
    status, headers, body = await sent(lambda send: send_pixel(send, outcome))
    assert status == 200
    assert headers == {
        "content-type": "image/gif",
        "content-length": str(len(body)),
        "x-postback-outcome": outcome.value,
    }
    assert body == TRANSPARENT_PIXEL
