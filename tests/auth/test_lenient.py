"""A stranger is taken for the one sender whose credentials are only reported, and that is told."""

from dataclasses import replace

import pytest

from service.auth.authenticator import (
    Caller,
    WouldReject,
)
from service.core.outcome import Outcome
from tests.support.authenticated import caller_of, refusal_of
from tests.support.registered import KEY, PUBLIC, SENDER, roster

pytestmark = pytest.mark.anyio


async def test_a_stranger_is_taken_for_the_one_lenient_sender_and_that_is_told() -> None:
    lenient = roster(sender=replace(SENDER, report_only=frozenset({"credentials"})))
    told = (WouldReject("credentials", Outcome.UNAUTHENTICATED),)
    assert await caller_of(lenient) == Caller(SENDER.sender, would_reject=told)
    assert await caller_of(lenient, "wrong") == Caller(SENDER.sender, would_reject=told)
    assert await caller_of(lenient, KEY) == Caller(SENDER.sender, key_id=PUBLIC)
    forbidden = (WouldReject("credentials", Outcome.FORBIDDEN),)
    accepted = Caller(SENDER.sender, would_reject=forbidden, key_id=PUBLIC)
    assert await caller_of(lenient, KEY, door="pixel") == accepted


async def test_a_disabled_sender_is_not_lenient() -> None:
    disabled = replace(SENDER, report_only=frozenset({"credentials"}), disabled=True)
    assert (await refusal_of(roster(sender=disabled)))[0] is Outcome.UNAUTHENTICATED
    assert (await refusal_of(roster(sender=disabled), KEY))[0] is Outcome.FORBIDDEN
