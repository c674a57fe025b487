"""Owns the way from a verdict to an HTTP response: `Success`, problem+json (RFC 9457) with the hint, or the pixel."""

from base64 import b64decode
from http import HTTPStatus

import orjson
from starlette.types import Send

from service.outcome import Family, Outcome
from service.postback import sent_status
from service.storage.ledger import Verdict

Headers = list[tuple[bytes, bytes]]

PROBLEM_JSON = "application/problem+json"
_SUCCESS = b"Success"  # the body EZmob's guide asks for
_PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")  # 1x1, transparent
_RETRY_AFTER_SECONDS = b"1"


async def send_verdict(send: Send, verdict: Verdict, request_id: str) -> None:
    """Answer one postback. A rejection's detail is the sender's to see; a failure's stays in our log."""
    outcome = verdict.outcome
    if outcome.family is Family.ACCEPTED:
        await _send(send, outcome.status, _ACCEPTED[outcome], _SUCCESS)
        return
    members = {"outcome": outcome.value, "hint": outcome.hint}
    if outcome.family is Family.REJECTED:
        members["detail"] = verdict.detail
    body = problem_body(outcome.status, request_id, members)
    content = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    await _send(send, outcome.status, content + _outcome_headers(outcome), body)


async def send_pixel(send: Send, outcome: Outcome) -> None:
    """Answer a browser with the image; the header alone says what became of the postback."""
    headers = [
        (b"content-type", b"image/gif"),
        (b"content-length", b"%d" % len(_PIXEL)),
        (b"x-postback-outcome", outcome.value.encode()),
    ]
    await _send(send, sent_status("pixel", outcome), headers, _PIXEL)


def problem_body(status: int, request_id: str, members: dict[str, str]) -> bytes:
    """Return a problem+json body; `title` is the status's phrase, as RFC 9457 asks where `type` is absent."""
    return orjson.dumps({"title": HTTPStatus(status).phrase, "status": status, **members, "request_id": request_id})


def _outcome_headers(outcome: Outcome) -> Headers:
    headers = [(b"x-postback-outcome", outcome.value.encode())]
    if outcome.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers.append((b"retry-after", _RETRY_AFTER_SECONDS))
    if outcome.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110 15.5.2
    return headers


_ACCEPTED: dict[Outcome, Headers] = {
    outcome: [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(_SUCCESS)),
        *_outcome_headers(outcome),
    ]
    for outcome in Outcome
    if outcome.family is Family.ACCEPTED
}


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
