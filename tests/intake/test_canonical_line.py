"""The canonical line: the fields that the contract lists, the same for each outcome, and nothing that is unknown."""

import pytest

from service.core.outcome import Diagnosis, Mistake, Outcome
from service.core.parsing import parse
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from service.core.verdict import REPEATED, STORED, Verdict
from service.core.version import VERSION
from service.telemetry.metrics import Metrics
from service.telemetry.record import LiveRecord
from tests.support import builders
from tests.support.fakes import FakeStore, KeptLines, kept_log, samples, ticking
from tests.support.watched_intake import Watched, watching

pytestmark = pytest.mark.anyio

FIELDS = """
    timestamp level event request_id trace_id door method status outcome sender click_id value duration_ms commit_ms
    client_ip version
""".split()  # noqa: SIM905 - as the contract lists them


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("c=a&value=1,50", "1,50"),
        ("value=1.50", "1.50"),
        ("c=a&value=", None),
        ("c=a", None),
        (f"c=a&value={'x' * 500}", "x" * 80),
    ],
)
async def test_a_rejected_value_is_shown_as_it_was_sent(query: str, value: str | None) -> None:
    async with watching(FakeStore()) as watched:
        await watched.receive(builders.raw(query))
    assert watched.only_line()["value"] == value


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


def test_the_line_of_one_of_many_is_the_one_that_it_would_have_alone() -> None:
    lines, metrics = KeptLines(), Metrics()
    record = LiveRecord(metrics, kept_log(lines, metrics))
    raws = [builders.raw(f"c={text}&value=1&test={number}") for number, text in enumerate("a1b1")]
    told = [parse(raw, EZMOB) for raw in raws]
    told[3] = told[3]._replace(diagnosis=Diagnosis(Mistake.SWAPPED, "Look at it."))
    verdicts = [STORED, REPEATED, STORED, Verdict(Outcome.CONFLICT, "other")]

    def tell(places: slice) -> None:
        record.tell(
            record.arrive(raws[places], told[places]),
            raws[places],
            told[places],
            verdicts[places],
            seconds=1.0,
            commit_seconds=0.5,
            would_reject=[],
        )

    for number in range(len(raws)):
        tell(slice(number, number + 1))
    counted = samples(metrics, "postback_received_total")
    tell(slice(None))
    events = [{**line, "timestamp": "", "trace_id": ""} for line in lines.events()]
    assert [list(line.items()) for line in events[4:]] == [list(line.items()) for line in events[:4]]
    assert samples(metrics, "postback_received_total") == {kind: 2 * count for kind, count in counted.items()}


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
