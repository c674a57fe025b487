"""How people write a moment, and how we do."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.decoding import decode_moment
from service.core.moment import clock_refusal, coming_moment, past_moment, utc

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NO_MOMENT = ("", "d", "7 d", "-7d", "2026-13-01", "999999999w", "5000w", "0001-01-01", "1999-12-31", "2100-01-01")


def test_times_are_read_in_utc_and_spans_backwards() -> None:
    assert past_moment("2026-01-31", NOW) == datetime(2026, 1, 31, tzinfo=UTC)
    assert past_moment("2026-01-31T08:30", NOW) == datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    assert past_moment("2026-01-31T08:30+02:00", NOW) == datetime(2026, 1, 31, 6, 30, tzinfo=UTC)
    assert past_moment("7d", NOW) == datetime(2026, 1, 24, 12, tzinfo=UTC)
    assert past_moment("90m", NOW) == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert [past_moment(text, NOW) for text in NO_MOMENT] == [None] * len(NO_MOMENT)


def test_spans_of_what_is_to_come_are_read_forwards() -> None:
    assert coming_moment("2026-12-31", NOW) == datetime(2026, 12, 31, tzinfo=UTC)
    assert coming_moment("36h", NOW) == datetime(2026, 2, 2, tzinfo=UTC)
    assert coming_moment("0s", NOW) == NOW
    assert [coming_moment(text, NOW) for text in NO_MOMENT] == [None] * len(NO_MOMENT)


def test_a_moment_is_written_to_the_microsecond_with_a_z() -> None:
    assert utc(NOW) == "2026-01-31T12:00:00.000000Z"


@pytest.mark.parametrize("text", ["2000-01-01", "2000-01-01T02:00+02:00", "2099-12-31T23:59:59.999999"])
def test_the_bounds_are_moments_in_utc(text: str) -> None:
    assert decode_moment(text)


@pytest.mark.parametrize("text", ["2000-01-01T00:59+01:00", "2099-12-31T23:00-01:00", "0001-01-01", "9999-12-31"])
def test_what_is_out_of_bounds_is_told_with_them(text: str) -> None:
    with pytest.raises(ValueError, match="not between 2000-01-01 and 2100-01-01 UTC: '"):
        decode_moment(text)


def test_a_clock_that_is_not_between_2000_and_2100_is_refused() -> None:
    first, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    assert [clock_refusal(now) for now in (first, NOW, end - timedelta(microseconds=1))] == [None] * 3
    assert (
        clock_refusal(end)
        == "this machine's clock says 2100-01-01 00:00 UTC, which is not between 2000 and 2100: set it"
    )
    assert clock_refusal(first - timedelta(microseconds=1))
