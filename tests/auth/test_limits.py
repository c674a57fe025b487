"""Rate limits: never more than a burst and the rate, nobody forgotten too early, and memory that is bounded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.limits import MAX_BUCKETS, Limit, RateLimits, bucket_of, limit_of, retry_after

NEWCOMERS = limit_of(5)
SLACK = 1e-5  # of a clock in floating point


@pytest.mark.parametrize(
    ("rate", "burst"), [(0.1, 10), (1, 10), (5, 10), (5.5, 11), (100, 200), (10_000, 20_000), (1e-9, 10)]
)
def test_two_seconds_worth_may_come_at_once_and_never_less_than_ten(rate: float, burst: float) -> None:
    assert limit_of(rate) == (rate, burst)


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="a rate is a positive number"):
        limit_of(rate)


def test_a_burst_passes_and_then_the_rate() -> None:
    limits, limit = RateLimits(NEWCOMERS), Limit(rate=5, burst=10)
    assert [limits.take("a", limit, 100.0) for _ in range(11)] == [0.0] * 10 + [pytest.approx(0.2)]
    assert limits.take("a", limit, 100.1) == pytest.approx(0.1)
    assert limits.take("a", limit, 100.2) == 0.0
    assert limits.take("a", limit, 100.2) == pytest.approx(0.2)


def test_what_is_refused_costs_nothing() -> None:
    limits, limit = RateLimits(NEWCOMERS), Limit(rate=1, burst=10)
    assert limits.take("a", limit, 0.0, 10) == 0.0
    assert {limits.take("a", limit, 0.0) for _ in range(1000)} == {1.0}
    assert limits.take("a", limit, 1.0) == 0.0


def test_keys_have_buckets_of_their_own() -> None:
    limits, limit = RateLimits(NEWCOMERS), Limit(rate=1, burst=10)
    assert limits.take("a", limit, 0.0, 10) == 0.0
    assert limits.take("b", limit, 0.0, 10) == 0.0
    assert limits.take("a", limit, 0.0) > 0


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    limits, limit = RateLimits(NEWCOMERS), Limit(rate=1, burst=10)
    assert limits.take("a", limit, 0.0) == 0.0
    assert [limits.take("a", limit, 1e6) for _ in range(11)] == [0.0] * 10 + [pytest.approx(1)]


def test_a_batch_takes_a_token_for_each_row() -> None:
    limits, limit = RateLimits(NEWCOMERS), Limit(rate=10, burst=20)
    assert limits.take("a", limit, 0.0, 15) == 0.0
    assert limits.take("a", limit, 0.0, 15) == pytest.approx(1.0)
    assert limits.take("a", limit, 0.0, 5) == 0.0


def test_a_batch_larger_than_a_burst_needs_a_full_bucket_and_is_paid_off_before_anything_else_passes() -> None:
    limits, limit = RateLimits(NEWCOMERS), Limit(rate=10, burst=20)
    assert limits.take("a", limit, 0.0) == 0.0
    assert limits.take("a", limit, 0.0, 1000) == pytest.approx(0.1)
    assert limits.take("a", limit, 0.1, 1000) == 0.0
    assert limits.take("a", limit, 0.1) == pytest.approx(98.1)
    assert limits.take("a", limit, 98.2 + SLACK) == 0.0


def test_another_rate_counts_from_the_next_postback_on() -> None:
    limits = RateLimits(NEWCOMERS)
    assert limits.take("a", limit_of(1), 0.0, 10) == 0.0
    assert limits.take("a", limit_of(1), 0.0) == pytest.approx(1.0)
    assert limits.take("a", limit_of(1000), 0.0) == pytest.approx(8.001)  # what was taken is paid off at the old rate
    assert [limits.take("a", limit_of(1000), 10.0) for _ in range(2001)].count(0.0) == 2000


@pytest.mark.parametrize(("wait", "seconds"), [(1e-9, 1), (0.2, 1), (1.0, 1), (1.000001, 2), (98.1, 99)])
def test_retry_after_is_rounded_up_to_whole_seconds(wait: float, seconds: int) -> None:
    assert retry_after(wait) == seconds


CALLS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 30)), max_size=60)
RATES = st.floats(0.5, 1000)


@given(RATES, st.floats(0, 1e7), CALLS)
def test_never_more_passes_than_a_burst_and_the_rate(rate: float, start: float, calls: list[tuple[float, int]]) -> None:
    limits, limit, now = RateLimits(NEWCOMERS), limit_of(rate), start
    passed: list[tuple[float, int]] = []
    for pause, tokens in calls:
        now += pause
        if limits.take("a", limit, now, tokens) == 0.0:
            passed.append((now, tokens))
    for first in range(len(passed)):  # in every stretch of time, not only since the start
        for last in range(first, len(passed)):
            counted = sum(tokens for _, tokens in passed[first : last + 1])
            seconds = passed[last][0] - passed[first][0]
            owed = max(0.0, passed[last][1] - limit.burst)  # a batch larger than a burst comes last in a stretch
            assert counted <= limit.burst + limit.rate * (seconds + SLACK) + owed


@given(RATES, st.floats(0, 1e7), CALLS)
def test_who_waits_as_long_as_told_is_let_pass(rate: float, start: float, calls: list[tuple[float, int]]) -> None:
    limits, limit, now = RateLimits(NEWCOMERS), limit_of(rate), start
    for pause, tokens in calls:
        now += pause
        wait = limits.take("a", limit, now, tokens)
        assert wait >= 0.0
        if wait:
            now += wait
            assert limits.take("a", limit, now, tokens) == 0.0


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 2)), max_size=200), st.integers(1, 8))
def test_memory_is_bounded_and_no_key_gets_more_than_its_limit(calls: list[tuple[int, float]], most: int) -> None:
    """A bucket that was dropped before it was full would give its key a second burst."""
    only_one, limit, now = Limit(1e-9, 1), Limit(1, 3), 0.0  # of all newcomers for whom there is no room
    limits = RateLimits(only_one, most)
    passed: dict[int, list[float]] = {}
    for key, pause in calls:
        now += pause
        if limits.take(str(key), limit, now) == 0.0:
            passed.setdefault(key, []).append(now)
        assert len(limits) <= most
    for times in passed.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                seconds = times[last] - times[first]
                assert last - first + 1 <= limit.burst + limit.rate * (seconds + SLACK) + only_one.burst


def test_who_changes_addresses_pushes_nobody_out_and_shares_one_bucket() -> None:
    limits, limit = RateLimits(NEWCOMERS), limit_of(5)
    assert limits.take("victim of a limit", limit, 0.0, 10) == 0.0
    let_pass = sum(limits.take(f"address {number}", limit, 0.0) == 0.0 for number in range(100_000))
    assert let_pass == MAX_BUCKETS - 1 + NEWCOMERS.burst
    assert len(limits) == MAX_BUCKETS
    assert limits.take("victim of a limit", limit, 0.0) > 0
    assert limits.take("address 100001", limit, 0.0) > 0
    assert limits.take("address 1", limit, 0.0) == 0.0, "who has a bucket keeps it"


def test_newcomers_are_let_in_again_when_buckets_have_filled() -> None:
    limits, limit = RateLimits(NEWCOMERS), limit_of(5)
    for number in range(100_000):
        limits.take(f"address {number}", limit, 0.0)
    later = [limits.take(f"later {number}", limit, 60.0) for number in range(MAX_BUCKETS * 2)]
    assert later.count(0.0) == MAX_BUCKETS + NEWCOMERS.burst
    assert len(limits) == MAX_BUCKETS


def test_buckets_of_those_who_stay_away_are_forgotten_two_for_each_newcomer() -> None:
    limits, limit = RateLimits(NEWCOMERS), limit_of(5)
    for number in range(1000):
        limits.take(f"address {number}", limit, 0.0)
    for number in range(1000):
        limits.take("the same", limit, 60.0 + number)
    assert len(limits) == 999
    for number in range(100):
        limits.take(f"later {number}", limit, 5000.0)
    assert len(limits) == 999 - 100


def test_one_who_is_always_there_does_not_keep_those_who_went_from_being_forgotten() -> None:
    limits, limit = RateLimits(NEWCOMERS, most=3), limit_of(5)
    for key in ("always there", "went", "went as well"):
        limits.take(key, limit, 0.0)
    limits.take("always there", limit, 60.0)
    assert [limits.take(f"later {number}", limit, 60.0, 10) for number in range(2)] == [0.0, 0.0]
    assert limits.take("later 2", limit, 60.0, 10) == 0.0, "the newcomers' bucket"
    assert limits.take("later 3", limit, 60.0, 10) > 0
    assert len(limits) == 3


SAME_BUCKET = {
    "IPv4 as IPv6": ("192.0.2.1", "::ffff:192.0.2.1"),
    "IPv6 in one /64": ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"),
    "IPv6 in another form": ("2001:db8:0:1::1", "2001:0DB8:0:1:0:0:0:1"),
    "no address": ("", "unknown"),
    "an address with a port is none": ("192.0.2.1:80", "_hidden"),
    "nor is one with a zone": ("fe80::1%eth0", "fe80::1%eth1"),
}
OTHER_BUCKET = {
    "IPv4": ("192.0.2.1", "192.0.2.2"),
    "IPv6 in two /64": ("2001:db8:0:1::1", "2001:db8:0:2::1"),
    "the two versions": ("192.0.2.1", "::c000:201"),
    "an address and none": ("192.0.2.1", ""),
    "IPv6's first /64 and none": ("::1", ""),
}


@pytest.mark.parametrize(("one", "other"), SAME_BUCKET.values(), ids=SAME_BUCKET)
def test_one_caller_is_one_key_however_it_is_written(one: str, other: str) -> None:
    assert bucket_of(one) == bucket_of(other)


@pytest.mark.parametrize(("one", "other"), OTHER_BUCKET.values(), ids=OTHER_BUCKET)
def test_two_callers_are_two_keys(one: str, other: str) -> None:
    assert bucket_of(one) != bucket_of(other)
