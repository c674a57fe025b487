"""Who sends it: named once it is known, refused or only reported, and asked for once."""

from typing import Any

import pytest

from service.auth.authenticator import Authenticate, Caller, RosterUnknown, WouldReject
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from service.core.verdict import Verdict
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.fakes import samples
from tests.support.watched_intake import Watched, batch_of, watching

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("raw", "sender"), [(builders.raw("c=a"), "ezmob"), (builders.raw(host=b"example.com"), "unknown")]
)
async def test_a_sender_is_named_once_it_is_known(watched: Watched, raw: RawPostback, sender: str) -> None:
    await watched.receive(raw)
    assert watched.only_line()["sender"] == sender
    assert samples(watched.metrics, "postback_sender_received_total") == {(sender, "rejected"): 1.0}


async def test_a_stranger_is_not_told_his_mistakes(watched: Watched) -> None:
    verdict = await watched.receive(builders.raw("c=a&value=1,50", host=b"example.com"))
    assert (verdict.outcome, verdict.diagnosis) == (Outcome.UNAUTHENTICATED, None)
    assert samples(watched.metrics, "postback_mistakes_total") == {}


def caller(**changes: Any) -> Authenticate:
    """Return an authentication that takes everybody for a sender, with what is to be said of them."""

    async def authenticate(_raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        return Caller(EZMOB, **changes)

    return authenticate


async def test_a_check_that_is_only_reported_is_in_the_line_and_the_count(sqlite_ledger: SqliteLedger) -> None:
    told = (WouldReject("credentials", Outcome.UNAUTHENTICATED), WouldReject("rate", Outcome.RATE_LIMITED))
    async with watching(sqlite_ledger, caller(would_reject=told)) as watched:
        watched.metrics.report_only = frozenset({"credentials", "rate"})
        assert (await watched.receive(builders.raw("c=a&value=1"))).outcome is Outcome.STORED
        assert watched.only_line()["would_reject"] == "unauthenticated rate_limited"
        await watched.receive_batch(batch_of('{"c":"b","value":1}', '{"c":"c"}', '{"c":"d","value":1,"test":1}'))
        assert [line["would_reject"] for line in watched.lines.events()] == ["unauthenticated rate_limited"] * 4
        reported = samples(watched.metrics, "postback_would_reject_total")
        assert reported == {("credentials",): 3.0, ("rate",): 3.0}  # a test is in no count


async def test_a_line_says_nothing_of_checks_that_did_not_fail(watched: Watched) -> None:
    await watched.receive(builders.raw("c=a&value=1"))
    assert "would_reject" not in watched.only_line()
    reported = samples(watched.metrics, "postback_would_reject_total", zeros=True)
    assert reported == {("credentials",): 0.0}
    watched.metrics.report_only = frozenset({"rate"})
    reported = samples(watched.metrics, "postback_would_reject_total", zeros=True)
    assert reported == {("credentials",): 0.0, ("rate",): 0.0}


@pytest.mark.parametrize("outcome", [Outcome.FORBIDDEN, Outcome.RATE_LIMITED])
async def test_a_known_sender_that_is_refused_is_named_and_its_rows_are_not_looked_at(
    sqlite_ledger: SqliteLedger, outcome: Outcome
) -> None:
    async with watching(sqlite_ledger, caller(refusal=Rejected(outcome, "not now"))) as watched:
        verdict = await watched.receive(builders.raw("c=a&value=1"))
        assert (verdict.outcome, verdict.detail) == (outcome, "not now")
        assert watched.only_line()["sender"] == "ezmob"
        whole = await watched.receive_batch(batch_of("{}", "{}"))
        assert isinstance(whole, Verdict)
        assert whole.outcome is outcome


async def test_while_nobody_can_tell_who_it_is_it_is_our_fault(sqlite_ledger: SqliteLedger) -> None:
    async def authenticate(_raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        raise RosterUnknown("the database is away")

    async with watching(sqlite_ledger, authenticate) as watched:
        assert (await watched.receive(builders.raw())).outcome is Outcome.STORAGE_UNAVAILABLE
        whole = await watched.receive_batch(batch_of("{}"))
        assert isinstance(whole, Verdict)
        assert whole.outcome is Outcome.STORAGE_UNAVAILABLE
        assert samples(watched.metrics, "postback_conservation_drift") == {}
