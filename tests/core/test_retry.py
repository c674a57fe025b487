from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.retry import Answered, Decision, Delivered, NoRetry, Response, Retry, RetryPolicy, Unanswered, decide

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
POLICY = RetryPolicy(max_attempts=5, base=1.0, cap=60.0, factor=2.0)


def decision(
    response: Response, *, attempt: int = 1, policy: RetryPolicy = POLICY, now: datetime = NOW, jitter: float = 1.0
) -> Decision:
    """Decide on a first attempt at noon with the longest jitter, unless the test says otherwise."""
    return decide(attempt, response, policy=policy, now=now, jitter=jitter)


def seconds(response: Response, *, attempt: int = 1, policy: RetryPolicy = POLICY, jitter: float = 1.0) -> float:
    """Return the wait of a decision that must be to retry."""
    decided = decision(response, attempt=attempt, policy=policy, jitter=jitter)
    assert isinstance(decided, Retry)
    return decided.delay.total_seconds()


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_delivered_on_whatever_attempt(status: int) -> None:
    assert Delivered() == decision(Answered(status))
    assert Delivered() == decision(Answered(status, retry_after="5"), attempt=POLICY.max_attempts)


@pytest.mark.parametrize(
    "response", [Answered(500), Answered(501), Answered(503), Answered(599), Unanswered("timeout")]
)
def test_5xx_and_silence_are_tried_again(response: Response) -> None:
    assert isinstance(decision(response), Retry)


@pytest.mark.parametrize("status", [100, 300, 301, 302, 304, 308, 400, 401, 403, 404, 408, 429, 499, 600])
def test_every_other_status_is_final_at_once(status: int) -> None:
    assert NoRetry(f"status {status} is final") == decision(Answered(status))


def test_429_is_tried_again_only_when_it_says_when() -> None:
    assert Retry(timedelta(seconds=8)) == decision(Answered(429, retry_after="7"))
    assert NoRetry("status 429 is final") == decision(Answered(429, retry_after="soon"))


@pytest.mark.parametrize("status", [302, 404])
def test_retry_after_makes_no_other_status_worth_retrying(status: int) -> None:
    assert NoRetry(f"status {status} is final") == decision(Answered(status, retry_after="7"))


@pytest.mark.parametrize(
    ("response", "reason"),
    [(Answered(503), "status 503 on attempt 5 of 5"), (Unanswered("timeout"), "timeout on attempt 5 of 5")],
)
def test_the_last_attempt_is_not_followed_by_another(response: Response, reason: str) -> None:
    assert isinstance(decision(response, attempt=4), Retry)
    assert NoRetry(reason) == decision(response, attempt=5)
    assert isinstance(decision(response, attempt=6), NoRetry)


def test_the_longest_wait_doubles_with_each_attempt_up_to_the_cap() -> None:
    policy = replace(POLICY, max_attempts=10_000, cap=10.0)
    expected = {1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0, 5: 10.0, 6: 10.0, 9_999: 10.0}
    assert expected == {attempt: seconds(Answered(503), attempt=attempt, policy=policy) for attempt in expected}


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 0.0), (0.25, 1.0), (0.5, 2.0), (1.0, 4.0)])
def test_the_jitter_is_full_it_spreads_the_wait_from_zero_up(jitter: float, expected: float) -> None:
    assert expected == seconds(Answered(503), attempt=3, jitter=jitter)


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("60", 60.0),
        ("61", 60.0),  # the cap
        ("9" * 5_000, 60.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),  # the three forms of RFC 9110, 5.6.7
        ("Monday, 23-Nov-26 12:00:30 GMT", 30.0),
        ("Mon Nov 23 12:00:30 2026", 30.0),
        ("Mon, 23 Nov 2026 11:59:00 GMT", 0.0),  # gone by
        ("Tue, 24 Nov 2026 12:00:00 GMT", 60.0),
        ("-7", 0.0),  # unreadable ones count as absent
        ("1.5", 0.0),
        ("١", 0.0),  # noqa: RUF001 - an Arabic digit, which int() would take
        ("soon", 0.0),
        ("Mon, 23 Nov 2026 12:00:99999999999 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_the_shortest_wait_up_to_the_cap(retry_after: str, expected: float) -> None:
    assert expected == seconds(Answered(503, retry_after), jitter=0.0)


def test_jitter_comes_on_top_of_retry_after_so_that_not_all_are_back_at_once() -> None:
    expected = {0.0: 7.0, 0.5: 7.5, 1.0: 8.0}
    assert expected == {jitter: seconds(Answered(503, "7"), jitter=jitter) for jitter in expected}


@settings(deadline=None)  # a busy machine is no defect
@given(
    attempt=st.integers(1, 10**6),
    status=st.sampled_from([200, 302, 404, 429, 500, 503]),
    retry_after=st.none()
    | st.text()
    | st.integers().map(str)
    | st.datetimes().map(lambda date: f"{date:%a, %d %b %Y %H:%M:%S} GMT"),
    jitter=st.floats(0, 1),
    base=st.floats(0, 1e7),
    factor=st.floats(1, 1e300),
)
def test_any_answer_gets_a_decision_and_any_wait_is_within_the_cap(  # noqa: PLR0913 - one for each thing that varies
    *, attempt: int, status: int, retry_after: str | None, jitter: float, base: float, factor: float
) -> None:
    policy = RetryPolicy(max_attempts=10**6 + 1, base=base, cap=3_600, factor=factor)
    decided = decision(Answered(status, retry_after), attempt=attempt, policy=policy, jitter=jitter)
    assert not isinstance(decided, Retry) or timedelta(0) <= decided.delay <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("field", "number"),
    [("max_attempts", 0), ("base", -1.0), ("base", float("nan")), ("cap", float("inf")), ("factor", 0.5)],
)
def test_a_policy_that_would_wait_forever_or_backwards_is_refused(field: str, number: float) -> None:
    with pytest.raises(ValueError, match=field):
        RetryPolicy(**{field: number})  # type: ignore[arg-type]  # the field differs from case to case
