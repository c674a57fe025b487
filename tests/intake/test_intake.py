"""The straight line: each postback gets one outcome, and counter, canonical line and kept row all carry that word."""

from pathlib import Path

import pytest

from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.outcome import Family, Mistake, Outcome
from service.core.postback import RawPostback
from service.core.unavailable import ErrorKind, StorageBroken, StorageError
from service.core.verdict import Verdict
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.fakes import FakeStore, samples, ticking
from tests.support.watched_intake import FULL, Watched, rows, watching

pytestmark = pytest.mark.anyio

REJECTED = {
    Outcome.MISSING_CLICK_ID: builders.raw("value=1"),
    Outcome.INVALID_CLICK_ID: builders.raw("c=a+b&value=1"),
    Outcome.UNEXPANDED_MACRO: builders.raw("c={click_id}&value=1"),
    Outcome.MISSING_VALUE: builders.raw("c=a"),
    Outcome.INVALID_VALUE: builders.raw("c=a&value=1,50"),
    Outcome.INVALID_CURRENCY: builders.raw("c=a&value=1&currency=us"),
    Outcome.INVALID_ENCODING: builders.raw("c=a%FF&value=1"),
    Outcome.REPEATED_PARAMETER: builders.raw("c=a&c=b&value=1"),
    Outcome.TOO_MANY_PARAMETERS: builders.raw("c=a&value=1" + "&x=1" * 255),
    Outcome.MALFORMED_BODY: builders.posted(b"{"),
    Outcome.UNSUPPORTED_MEDIA_TYPE: builders.posted(b"c=a&value=1", "text/html"),
    Outcome.TOO_LARGE: builders.raw(f"c=a&value=1&x={'x' * 8192}"),
    Outcome.UNAUTHENTICATED: builders.raw(host=b"example.com"),
}
BROKEN = StorageBroken("SQLITE_IOERR: disk I/O error", ErrorKind.SQLITE_IOERR)


async def test_an_accepted_postback_is_stored_counted_and_logged_under_one_word(watched: Watched, path: Path) -> None:
    raw = builders.raw("c=a&value=1")
    assert await watched.receive(raw) == Verdict(Outcome.STORED)
    assert watched.counted == {("postback", "stored"): 1.0}
    assert watched.only_line()["outcome"] == "stored"
    assert rows(path, "SELECT click_id, request_id FROM conversion") == [("a", raw.request_id)]


@pytest.mark.parametrize(("second", "outcome"), [("c=a&value=1.0", "duplicate"), ("c=a&value=2", "conflict")])
async def test_a_known_key_is_a_duplicate_or_a_conflict_and_the_first_value_stands(
    watched: Watched, path: Path, second: str, outcome: str
) -> None:
    await watched.receive(builders.raw("c=a&value=1"))
    assert (await watched.receive(builders.raw(second))).outcome == outcome
    assert watched.counted == {("postback", "stored"): 1.0, ("postback", outcome): 1.0}
    assert [line["outcome"] for line in watched.lines.events()] == ["stored", outcome]
    assert rows(path, "SELECT value FROM conversion") == [("1",)]


def test_every_rejection_of_this_version_is_walked() -> None:
    not_yet = {Outcome.FORBIDDEN, Outcome.RATE_LIMITED}
    not_alone = {Outcome.ILLEGAL_TRANSITION, Outcome.INVALID_STATUS}  # need an earlier postback: see below
    at_no_door = {Outcome.UNKNOWN_PATH}  # tests/web/test_paths.py
    rejected = {outcome for outcome in Outcome if outcome.family is Family.REJECTED}
    assert set(REJECTED) == rejected - not_yet - not_alone - at_no_door


@pytest.mark.parametrize(("outcome", "raw"), REJECTED.items(), ids=[outcome.value for outcome in REJECTED])
async def test_a_rejected_postback_is_kept_counted_and_logged_under_one_word_with_the_reason(
    watched: Watched, path: Path, outcome: Outcome, raw: RawPostback
) -> None:
    verdict = await watched.receive(raw)
    assert verdict.outcome is outcome
    assert watched.counted == {("postback", outcome.value): 1.0}
    line = watched.only_line()
    assert (line["outcome"], line["status"], line["detail"]) == (outcome.value, outcome.status, verdict.explanation)
    kept = rows(path, "SELECT outcome, detail, request_id, raw FROM rejected_postback")
    assert kept == [(outcome.value, verdict.explanation, raw.request_id, raw.as_sent())]
    assert rows(path, "SELECT * FROM conversion") == []


async def test_a_status_that_cannot_follow_is_no_failure_to_its_sender(watched: Watched, path: Path) -> None:
    await watched.receive(builders.raw("c=a&value=1&conversion_status=approved"))
    late = builders.raw("c=a&value=0&conversion_status=pending")
    verdict = await watched.receive(late)
    assert (verdict.outcome, verdict.outcome.status) == (Outcome.ILLEGAL_TRANSITION, 200)
    line = watched.lines.events()[-1]
    assert (line["outcome"], line["status"], line["level"]) == ("illegal_transition", 200, "warning")
    kept = rows(path, "SELECT outcome, detail, request_id, raw FROM rejected_postback")
    assert kept == [("illegal_transition", verdict.detail, late.request_id, late.as_sent())]
    families = samples(watched.metrics, "postback_sender_received_total")
    assert families == {("ezmob", "accepted"): 1.0, ("ezmob", "rejected"): 1.0}
    assert samples(watched.metrics, "postback_conservation_drift") == {}


async def test_a_status_word_of_unknown_meaning_is_stored_counted_and_logged(watched: Watched, path: Path) -> None:
    first = await watched.receive(builders.raw("c=a&value=1&conversion_status=signup"))
    assert first.outcome is Outcome.STORED
    assert "Send conversion_status in a word that is set up" in str(watched.only_line()["detail"])
    assert rows(path, "SELECT conversion_status, params FROM conversion") == [(None, '{"conversion_status":"signup"}')]
    refund = await watched.receive(builders.raw("c=a&value=1&conversion_status=refunde"))
    assert refund.outcome is Outcome.INVALID_STATUS
    assert refund.hint.startswith("Send conversion_status in a word that is set up (pending, approved, rejected,")
    assert rows(path, "SELECT outcome, detail FROM rejected_postback") == [("invalid_status", refund.explanation)]
    assert watched.metrics.mistakes == {Mistake.UNKNOWN_STATUS: 2}
    assert (await watched.receive(builders.raw("c=a&value=1&conversion_status=signup"))).outcome is Outcome.DUPLICATE
    assert samples(watched.metrics, "postback_conservation_drift") == {}


async def test_a_full_queue_is_overloaded_and_stores_nothing() -> None:
    store = FakeStore()
    async with watching(store, capacity=0) as watched:
        verdict = await watched.receive(builders.raw())
    assert verdict == Verdict(Outcome.OVERLOADED, "0 postbacks are waiting already")
    assert watched.counted == {("postback", "overloaded"): 1.0}
    assert watched.only_line()["detail"] == verdict.detail
    assert store.batches == []


@pytest.mark.parametrize("failure", [FULL, BROKEN])
@pytest.mark.parametrize("raw", [builders.raw(), builders.raw("c=a")], ids=["valid", "rejected"])
async def test_without_storage_no_postback_is_answered_as_if_it_were_kept(
    failure: StorageError, raw: RawPostback
) -> None:
    async with watching(FakeStore(failure)) as watched:
        verdict = await watched.receive(raw)
    assert verdict == Verdict(Outcome.STORAGE_UNAVAILABLE, str(failure))
    assert watched.counted == {("postback", "storage_unavailable"): 1.0}
    assert watched.only_line()["detail"] == str(failure)


@pytest.mark.parametrize("year", [1999, 2100])
async def test_while_the_clock_is_out_of_bounds_nothing_is_stored_and_senders_try_again(
    watched: Watched, path: Path, year: int
) -> None:
    now = builders.RECEIVED_AT.replace(year=year)
    for query in ("c=a&value=1", "c=a"):
        verdict = await watched.receive(builders.raw(query, received_at=now))
        assert verdict.outcome is Outcome.STORAGE_UNAVAILABLE
        assert f"clock says {year}" in verdict.detail
    body = builders.posted(b'{"c":"a","value":"1"}', "application/x-ndjson")._replace(received_at=now)
    whole = await watched.receive_batch(body)
    assert isinstance(whole, Verdict)
    assert whole.outcome is Outcome.STORAGE_UNAVAILABLE
    assert [rows(path, f"SELECT * FROM {table}") for table in ("conversion", "rejected_postback")] == [[], []]  # noqa: S608 - our own names


async def test_broken_storage_refuses_later_postbacks_under_the_same_word() -> None:
    async with watching(FakeStore(BROKEN)) as watched:
        for _ in range(3):
            assert (await watched.receive(builders.raw())).outcome is Outcome.STORAGE_UNAVAILABLE
    assert watched.counted == {("postback", "storage_unavailable"): 3.0}
    assert len(watched.lines.events()) == 3


async def test_an_unexpected_error_is_one_internal_error_and_its_traceback_has_a_line_of_its_own() -> None:
    raw = builders.raw()
    async with watching(FakeStore(RuntimeError("a bug in storage"))) as watched:
        assert (await watched.receive(raw)).outcome is Outcome.INTERNAL_ERROR
    assert watched.counted == {("postback", "internal_error"): 1.0}
    assert watched.only_line()["detail"] == "RuntimeError: a bug in storage"
    (unexpected,) = watched.lines.events("unexpected_error")
    assert (unexpected["level"], unexpected["request_id"]) == ("error", raw.request_id)
    assert str(unexpected["exception"]).startswith("Traceback (most recent call last):")
    assert "RuntimeError: a bug in storage" in str(unexpected["exception"])


async def test_an_unexpected_error_before_anything_is_understood_is_counted_and_logged_too() -> None:
    def authenticate(_raw: RawPostback) -> None:
        raise LookupError("a bug in authentication")

    async with watching(FakeStore(), authenticate) as watched:  # type: ignore[arg-type]  # it never returns
        assert (await watched.receive(builders.raw())).outcome is Outcome.INTERNAL_ERROR
    assert watched.counted == {("postback", "internal_error"): 1.0}
    assert (watched.only_line()["sender"], watched.only_line()["click_id"]) == ("unknown", None)
    assert len(watched.lines.events("unexpected_error")) == 1


async def test_a_traceback_tells_nothing_of_what_was_sent() -> None:
    async with watching(FakeStore(RuntimeError("a bug in storage"))) as watched:
        await watched.receive(builders.posted(b'{"c":"a","value":"1","token":"s3cr3t"}'))
    assert len(watched.lines.events("unexpected_error")) == 1
    assert "s3cr3t" not in str(watched.lines.kept)


async def test_an_error_tells_nothing_of_the_text_that_it_was_about() -> None:
    async def authenticate(raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> None:
        (raw.query.decode() + "\ud800").encode()  # the error's repr holds all of it

    async with watching(FakeStore(), authenticate) as watched:  # type: ignore[arg-type]  # it never returns
        await watched.receive(builders.raw("c=a&value=1&token=s3cr3t"))
    assert str(watched.only_line()["detail"]).startswith("UnicodeEncodeError: ")
    assert "s3cr3t" not in str(watched.lines.kept)


async def test_a_known_mistake_is_in_the_hint_the_line_the_row_and_the_count(watched: Watched, path: Path) -> None:
    verdict = await watched.receive(builders.raw("c=a&value=1,50"))
    assert verdict.diagnosis
    assert verdict.diagnosis.mistake is Mistake.DECIMAL_COMMA
    expected = f"'1,50' is not an amount. {verdict.diagnosis.advice}"
    assert watched.only_line()["detail"] == expected
    assert rows(path, "SELECT detail FROM rejected_postback") == [(expected,)]
    assert samples(watched.metrics, "postback_mistakes_total") == {("decimal_comma",): 1.0}


async def test_what_is_odd_is_accepted_and_in_the_line_and_the_count(watched: Watched, path: Path) -> None:
    assert await watched.receive(builders.raw("c=a&value=1&Currency=EUR")) == Verdict(Outcome.STORED)
    assert watched.only_line()["detail"] == "Write the parameter's name as currency: its case matters."
    assert samples(watched.metrics, "postback_mistakes_total") == {("wrong_case",): 1.0}
    assert rows(path, "SELECT params FROM conversion") == [('{"Currency":"EUR"}',)]


async def test_the_time_of_the_last_stored_conversion_moves_with_stored_ones_only(
    sqlite_ledger: SqliteLedger,
) -> None:
    async with watching(sqlite_ledger, clock=ticking(100.0, 200.0)) as watched:
        for query in ("c=a&value=1", "c=a&value=1", "c=a"):
            await watched.receive(builders.raw(query))
        assert samples(watched.metrics, "postback_last_stored_timestamp_seconds") == {(): 100.0}
        await watched.receive(builders.raw("c=b&value=1"))
        assert samples(watched.metrics, "postback_last_stored_timestamp_seconds") == {(): 200.0}
