"""Owns the way from a verdict to an HTTP response: `Success`, problem+json (RFC 9457), the pixel, a batch's rows."""

import asyncio
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

import orjson
from starlette.types import Send

from service.core.harmless import csv_head, csv_rows
from service.core.outcome import Family, Outcome
from service.core.postback import sent_status
from service.core.verdict import Verdict
from service.web.wire.answer import WHOLE_ANSWER, header_lines

Headers = list[tuple[bytes, bytes]]

PROBLEM_JSON = "application/problem+json"
_SUCCESS = b"Success"  # the body EZmob's guide asks for
_PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")  # 1x1, transparent
_RETRY_AFTER_SECONDS = b"1"  # of our faults: a moment


def send_verdict(send: Send, verdict: Verdict, request_id: str) -> Awaitable[None]:
    """Answer one postback."""
    outcome = verdict.outcome
    if outcome.acknowledged:
        return send({"type": WHOLE_ANSWER, "status": outcome.status, "head": _SUCCESSES[outcome], "body": _SUCCESS})
    return send_refusal(send, verdict, request_id)


def send_refusal(send: Send, verdict: Verdict, request_id: str) -> Awaitable[None]:
    """Answer what is not acknowledged: one postback, or a batch as a whole."""
    return _send_problem(send, verdict, request_id, verdict.outcome.whole_status)


def _send_problem(
    send: Send, verdict: Verdict, request_id: str, status: int, more: Sequence[tuple[bytes, bytes]] = ()
) -> Awaitable[None]:
    body = problem_body(status, request_id, _row_members(verdict))
    content = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body))]
    head = header_lines([*content, *_outcome_headers(verdict.outcome, verdict.retry_after), *more])
    return send({"type": WHOLE_ANSWER, "status": status, "head": head, "body": body})


def send_stray(send: Send, verdict: Verdict, request_id: str, methods: Iterable[str]) -> Awaitable[None]:
    """Answer a postback that came to no door; `methods` are those that its path takes, if there is such a path."""
    if verdict.outcome is not Outcome.UNKNOWN_PATH:
        return send_verdict(send, verdict, request_id)
    status = sent_status("postback", verdict.outcome, detail=verdict.detail)
    more = [(b"allow", ", ".join(methods).encode())] if status == HTTPStatus.METHOD_NOT_ALLOWED else []
    return _send_problem(send, verdict, request_id, status, more)


def send_pixel(send: Send, outcome: Outcome) -> Awaitable[None]:
    """Answer a browser with the image; the header alone says what became of the postback."""
    head = _PIXELS[outcome]
    return send({"type": WHOLE_ANSWER, "status": sent_status("pixel", outcome), "head": head, "body": _PIXEL})


def problem_body(status: int, request_id: str, members: dict[str, str]) -> bytes:
    """Return a problem+json body; `title` is the status's phrase, as RFC 9457 asks where `type` is absent."""
    return orjson.dumps({"title": HTTPStatus(status).phrase, "status": status, **members, "request_id": request_id})


def _outcome_headers(outcome: Outcome, retry_after: int = 1) -> Headers:
    headers = [(b"x-postback-outcome", outcome.value.encode())]
    if outcome.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers.append((b"retry-after", b"%d" % retry_after))
    if outcome.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110 15.5.2
    return headers


_SUCCESSES = {
    outcome: header_lines(
        [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_SUCCESS)),
            *_outcome_headers(outcome),
        ]
    )
    for outcome in Outcome
    if outcome.acknowledged
}
_PIXELS = {
    outcome: header_lines(
        [
            (b"content-type", b"image/gif"),
            (b"content-length", b"%d" % len(_PIXEL)),
            (b"x-postback-outcome", outcome.value.encode()),
        ]
    )
    for outcome in Outcome
}


async def send_rows(send: Send, media_type: str, request_id: str, verdicts: Sequence[Verdict]) -> None:
    """Answer a batch with a verdict for each row, in their order, in pieces.

    The status is for those who read nothing else: 200 when no row is to be mended, 207 when some are, 422 when all are,
    503 when a row failed by our fault. Then the whole batch may be sent again: what is stored will be `duplicate`.
    """
    counted = Counter(verdict.outcome for verdict in verdicts)
    status = _status_of_all(counted)
    sums = " ".join(f"{outcome.value}={number}" for outcome, number in counted.items())
    headers = [(b"content-type", media_type.encode()), (b"x-postback-outcomes", sums.encode())]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", _RETRY_AFTER_SECONDS))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for first in range(0, len(verdicts), _ROWS_IN_A_PIECE):
        some = verdicts[first : first + _ROWS_IN_A_PIECE]
        piece = _ROWS_AS[media_type](some, request_id, first, len(verdicts))
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)  # others have their turns, also while the sender takes all of it at once
    await send({"type": "http.response.body", "body": b""})


_ROWS_IN_A_PIECE = 250  # a hint and a detail of each its own take 20 µs a row


def _status_of_all(outcomes: Collection[Outcome]) -> HTTPStatus:
    if any(outcome.our_fault for outcome in outcomes):
        return HTTPStatus.SERVICE_UNAVAILABLE
    acknowledged = {outcome.acknowledged for outcome in outcomes}
    if acknowledged == {True}:
        return HTTPStatus.OK
    return HTTPStatus.MULTI_STATUS if True in acknowledged else HTTPStatus.UNPROCESSABLE_ENTITY


def _row_members(verdict: Verdict) -> dict[str, str]:
    """Return what an answer says of one postback. A rejection's detail is the sender's to see; a failure's is ours."""
    outcome = verdict.outcome
    detail = {"detail": verdict.detail} if outcome.family is Family.REJECTED else {}
    return {"outcome": outcome.value, "hint": verdict.hint, **detail}


def _rows(verdicts: Sequence[Verdict], first: int, form_of: Callable[[Mapping[str, str]], bytes]) -> Iterator[bytes]:
    """Yield rows; those of which the same became have one form, with two places for their number."""
    forms: dict[Verdict, bytes] = {}
    for number, verdict in enumerate(verdicts, first + 1):
        form = forms.get(verdict)
        if form is None:
            form = forms[verdict] = form_of(_row_members(verdict))
        yield form % (number, number)


def _json_rows(verdicts: Sequence[Verdict], request_id: str, first: int) -> Iterator[bytes]:
    def form_of(members: Mapping[str, str]) -> bytes:
        inner = orjson.dumps(members).replace(b"%", b"%%")
        return b'{"row":%%d,%b,"request_id":"%b-%%d"}' % (inner[1:-1], request_id.encode())

    return _rows(verdicts, first, form_of)


def _json_piece(verdicts: Sequence[Verdict], request_id: str, first: int, of: int) -> bytes:
    inner = b",".join(_json_rows(verdicts, request_id, first))
    return (b"," if first else b"[") + inner + (b"]" if first + len(verdicts) == of else b"")


def _ndjson_piece(verdicts: Sequence[Verdict], request_id: str, first: int, _of: int) -> bytes:
    return b"\n".join([*_json_rows(verdicts, request_id, first), b""])


def _csv_piece(verdicts: Sequence[Verdict], request_id: str, first: int, _of: int) -> bytes:
    def form_of(members: Mapping[str, str]) -> bytes:
        cells = csv_rows([(members["outcome"], members["hint"], members.get("detail"))])
        return b'%%d,%b,"%b-%%d"\r\n' % (cells.removesuffix(b"\r\n").replace(b"%", b"%%"), request_id.encode())

    return b"".join((b"" if first else csv_head(_CSV_COLUMNS), *_rows(verdicts, first, form_of)))


_CSV_COLUMNS = ("row", "outcome", "hint", "detail", "request_id")
_ROWS_AS: dict[str, Callable[[Sequence[Verdict], str, int, int], bytes]] = {
    "application/json": _json_piece,
    "application/x-ndjson": _ndjson_piece,
    "text/csv": _csv_piece,
}
