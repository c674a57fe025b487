"""The doors: what came over HTTP reaches the straight line whole, and the answer is a receipt."""

import json
from typing import NamedTuple

import pytest

from service.core.outcome import Outcome
from service.core.parameters import MAX_BODY_BYTES
from tests.support.served import Served, broken_off, drive, endless, pieces

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FORM = "application/x-www-form-urlencoded"


class Shape(NamedTuple):
    """One way to send the same conversion."""

    method: str
    query: str = ""
    content_type: str = ""
    body: str = ""

    def headers(self) -> dict[str, str]:
        """Return what goes with the body."""
        return {"content-type": self.content_type} if self.content_type else {}


SHAPES = {
    "a query": Shape("GET", "?c=a&value=1.50"),
    "a query of a POST": Shape("POST", "?c=a&value=1.50"),
    "a form": Shape("POST", "", FORM, "c=a&value=1.50"),
    "a JSON object": Shape("POST", "", "application/json", '{"c":"a","value":1.50}'),
    "a query and a form": Shape("POST", "?c=a", FORM, "value=1.50"),
    "a query and a JSON object": Shape("POST", "?value=1.50", "application/json; charset=utf-8", '{"c":"a"}'),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("path", ["/postback", "/conversion"])
async def test_a_conversion_is_stored_whatever_shape_it_comes_in(served: Served, path: str, shape: Shape) -> None:
    answer = await served.public.request(shape.method, path + shape.query, content=shape.body, headers=shape.headers())
    assert (answer.status_code, answer.text) == (200, "Success")
    assert answer.headers["x-postback-outcome"] == "stored"
    stored = served.rows("SELECT click_id, value, value_micros, request_id FROM conversion")
    assert stored == [("a", "1.50", 1_500_000, answer.headers["x-request-id"])]
    assert (served.only_line()["method"], served.only_line()["outcome"]) == (shape.method, "stored")


async def test_both_paths_are_the_same_door(served: Served) -> None:
    first = await served.public.get("/conversion?c=a&value=1")
    again = await served.public.get("/postback?c=a&value=1")
    outcomes = [answer.headers["x-postback-outcome"] for answer in (first, again)]
    assert outcomes == ["stored", "duplicate"]
    assert served.counted() == {("postback", "stored"): 1.0, ("postback", "duplicate"): 1.0}


async def test_the_body_of_a_get_is_not_read(served: Served) -> None:
    answer = await served.public.request("GET", "/postback?c=a&value=1", content=b"c=b&value=2")
    assert answer.headers["x-postback-outcome"] == "stored"
    assert served.rows("SELECT click_id FROM conversion") == [("a",)]


async def test_a_rejection_tells_the_sender_what_was_wrong_and_keeps_the_input(served: Served) -> None:
    answer = await served.public.get("/postback?c=a&value=1,50")
    problem = answer.json()
    assert (answer.status_code, problem["outcome"]) == (400, "invalid_value")
    assert problem["detail"] == "'1,50' is not an amount"
    kept = served.rows("SELECT outcome, raw, request_id FROM rejected_postback")
    assert kept == [("invalid_value", b"GET /postback?c=a&value=1,50", problem["request_id"])]


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"host": "localhost:8000"}, "stored"),
        ({"host": "example.com"}, "unauthenticated"),
        ({"forwarded": "for=192.0.2.1"}, "unauthenticated"),
        ({"x-forwarded-for": "192.0.2.1"}, "unauthenticated"),
        ({"X-Forwarded-Anything": ""}, "unauthenticated"),
        ({"x-forward": "not one of them"}, "stored"),
    ],
)
async def test_open_mode_judges_the_headers_of_the_request(
    served: Served, headers: dict[str, str], outcome: str
) -> None:
    answer = await served.public.get("/postback?c=a&value=1", headers=headers)
    assert answer.headers["x-postback-outcome"] == outcome


@pytest.mark.parametrize("hosts", [["evil.example", "localhost"], ["localhost", "evil.example"]])
async def test_two_hosts_are_no_loopback_name(served: Served, hosts: list[str]) -> None:
    answer = await served.public.get("/postback?c=a&value=1", headers=[("host", host) for host in hosts])
    assert answer.headers["x-postback-outcome"] == "unauthenticated"


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "text/html"}, {"content-type": FORM, "content-encoding": "GZIP"}],
    ids=["a media type", "an encoding"],
)
async def test_a_body_we_cannot_read_is_an_unsupported_media_type(served: Served, headers: dict[str, str]) -> None:
    answer = await served.public.post("/postback", content=b"c=a&value=1", headers=headers)
    assert answer.headers["x-postback-outcome"] == "unsupported_media_type"


async def test_a_body_in_many_pieces_is_read_as_one(served: Served) -> None:
    driven = await drive(served.application, pieces(b'{"c":', b'"a",', b"", b'"value":1}'))
    assert (driven.status, driven.received) == (200, 4)
    assert served.rows("SELECT click_id, value FROM conversion") == [("a", "1")]


async def test_the_largest_body_is_accepted(served: Served) -> None:
    frame = json.dumps({"c": "a", "value": "1", "x": ""})
    body = json.dumps({"c": "a", "value": "1", "x": "x" * (MAX_BODY_BYTES - len(frame))}).encode()
    assert len(body) == MAX_BODY_BYTES
    assert (await drive(served.application, pieces(body))).status == 200


async def test_one_byte_more_is_too_large_and_kept_up_to_the_limit(served: Served) -> None:
    driven = await drive(served.application, pieces(b"x" * (MAX_BODY_BYTES + 1)))
    assert driven.status == 413
    assert served.only_line()["outcome"] == "too_large"
    head = b"POST /postback\r\ncontent-type: application/json\r\nx-incomplete: true\r\n\r\n"
    assert served.rows("SELECT raw FROM rejected_postback") == [(head + b"x" * MAX_BODY_BYTES,)]


@pytest.mark.parametrize(("size", "asked"), [(16 * 1024, 5), (1024 * 1024, 1)])
async def test_an_endless_body_is_read_only_up_to_the_limit(served: Served, size: int, asked: int) -> None:
    driven = await drive(served.application, endless(b"x" * size))
    assert (driven.status, driven.received) == (413, asked)
    assert served.counted() == {("postback", "too_large"): 1.0}


@pytest.mark.parametrize("arrived", [[], [b'{"c":"a",'], [b'{"c":"a","value":1}']])
async def test_a_body_whose_sender_hung_up_is_kept_as_malformed(served: Served, arrived: list[bytes]) -> None:
    driven = await drive(served.application, broken_off(*arrived))
    assert driven.status == Outcome.MALFORMED_BODY.status
    assert served.counted() == {("postback", "malformed_body"): 1.0}
    size = len(b"".join(arrived))
    assert served.only_line()["detail"] == f"the sender hung up after {size} bytes of the body"
    assert served.rows("SELECT outcome FROM rejected_postback") == [("malformed_body",)]
    assert served.rows("SELECT * FROM conversion") == []


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_the_callers_trace_is_the_lines_trace(served: Served, flags: str) -> None:
    await served.public.get("/postback?c=a&value=1", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-{flags}"})
    line = served.only_line()
    assert line["trace_id"] == TRACE
    assert line["request_id"] != TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        TRACE,
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE[:-1]}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"xx-{TRACE}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f" 00-{TRACE}-00f067aa0ba902b7-01 x",
    ],
)
async def test_without_a_valid_traceparent_the_trace_is_the_request_id(served: Served, traceparent: str) -> None:
    answer = await served.public.get("/postback?c=a&value=1", headers={"traceparent": traceparent})
    line = served.only_line()
    assert line["trace_id"] == line["request_id"] == answer.headers["x-request-id"]
