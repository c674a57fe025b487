"""The canonical line: the fields that the contract lists, the same for each outcome, and nothing that is unknown."""

import pytest

from service.core.postback import RawPostback
from service.core.version import VERSION
from tests.support import builders
from tests.support.fakes import FakeStore, ticking
from tests.support.watched_intake import Watched, watching

pytestmark = pytest.mark.anyio

FIELDS = """
    timestamp level event request_id trace_id door method status outcome sender click_id value duration_ms commit_ms
    client_ip version
""".split()  # noqa: SIM905 - as the contract lists them


async def test_the_canonical_line_says_exactly_what_the_contract_lists() -> None:
    raw = builders.raw("c=click-1&value=1.50", trace_id="f" * 32, client_ip="192.0.2.7")
    async with watching(FakeStore(), stopwatch=ticking(1.0, 1.125, 1.375, 1.5)) as watched:
        await watched.receive(raw)
    line = watched.only_line()
    assert line.pop("timestamp")
    assert line.pop("detail") == "1.0"  # the fake store's verdict has one
    assert line == {
        "level": "info",
        "event": "postback",
        "request_id": raw.request_id,
        "trace_id": "f" * 32,
        "door": "postback",
        "method": "GET",
        "status": 200,
        "outcome": "stored",
        "sender": "ezmob",
        "click_id": "click-1",
        "value": "1.50",
        "duration_ms": 500.0,
        "commit_ms": 250.0,
        "client_ip": "192.0.2.7",
        "version": VERSION,
    }


async def test_the_line_has_the_same_fields_for_every_fate_and_a_detail_only_where_there_is_one(
    watched: Watched,
) -> None:
    for raw in (builders.raw(), builders.raw(), builders.raw("c=a"), builders.raw(host=b"example.com")):
        await watched.receive(raw)
    stored, duplicate, rejected, unauthenticated = watched.lines.events()
    assert list(stored) == list(duplicate) == FIELDS
    assert list(rejected) == list(unauthenticated) == [*FIELDS, "detail"]


async def test_the_line_of_a_postback_that_reached_no_commit_has_no_commit_time() -> None:
    async with watching(FakeStore(), capacity=0) as watched:
        await watched.receive(builders.raw())
    assert watched.only_line()["commit_ms"] is None
    assert list(watched.only_line()) == [*FIELDS, "detail"]


@pytest.mark.parametrize(
    "raw",
    [
        builders.raw("c=a&value=1&token=s3cr3t"),
        builders.raw("c=a&value=x&token=s3cr3t"),
        builders.raw("c=a&value=1&token=s3cr3t%"),
        builders.raw("c=a&value=1&token=s3cr3t" + "&x=s3cr3t" * 64),
        builders.raw("token=s3cr3t", host=b"example.com"),
        builders.posted(b'{"c":"a","value":"1","token":"s3cr3t"}'),
        builders.posted(b'{"c":"a","value":"1","token":["s3cr3t"]}'),
        builders.posted(b'{"c":"a","value":"1","token":"s3cr3t\n"}'),
        builders.posted(b"c=a&value=1&token=s3cr3t", "text/plain"),
    ],
)
async def test_what_we_do_not_know_never_reaches_the_log(watched: Watched, raw: RawPostback) -> None:
    await watched.receive(raw)
    assert watched.only_line()["request_id"] == raw.request_id
    assert "s3cr3t" not in str(watched.lines.kept)
