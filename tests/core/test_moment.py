"""How people write a moment, and how we do."""

from datetime import UTC, datetime

from service.core.moment import coming_moment, past_moment, utc

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NO_MOMENT = ("", "d", "7 d", "-7d", "2026-13-01", "999999999w")


def test_times_are_read_in_utc_and_spans_backwards() -> None:
    assert past_moment("2026-01-31", NOW) == datetime(2026, 1, 31, tzinfo=UTC)
    assert past_moment("2026-01-31T08:30", NOW) == datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    assert past_moment("2026-01-31T08:30+02:00", NOW) == datetime(2026, 1, 31, 6, 30, tzinfo=UTC)
    assert past_moment("7d", NOW) == datetime(2026, 1, 24, 12, tzinfo=UTC)
    assert past_moment("90m", NOW) == datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
    assert [past_moment(text, NOW) for text in NO_MOMENT] == [None] * 6


def test_spans_of_what_is_to_come_are_read_forwards() -> None:
    assert coming_moment("2026-12-31", NOW) == datetime(2026, 12, 31, tzinfo=UTC)
    assert coming_moment("36h", NOW) == datetime(2026, 2, 2, tzinfo=UTC)
    assert coming_moment("0s", NOW) == NOW
    assert [coming_moment(text, NOW) for text in NO_MOMENT] == [None] * 6


def test_a_moment_is_written_to_the_microsecond_with_a_z() -> None:
    assert utc(NOW) == "2026-01-31T12:00:00.000000Z"
