"""The bound on floods of equal lines: a burst whole, then a steady rate, and every line that is left out is counted."""

import pytest

from service.telemetry.log import Log
from service.telemetry.log.rate_limit import BURST, RATE, LogRateLimit
from service.telemetry.metrics import Metrics
from tests.support.fakes import KeptLines, samples

FLOOD = 5_000


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Flooded:
    """A log on a clock that stands still, so that what is admitted does not depend on the machine."""

    def __init__(self) -> None:
        self.clock, self.metrics, self.lines = Clock(), Metrics(), KeptLines()
        bound = LogRateLimit(self.metrics.count_log_rate_limited, self.clock)
        self.log = Log(self.lines, "json", "info", self.metrics.count_log_lines, bound)

    def postbacks(self, level: str = "warning", outcome: str = "missing_value", count: int = FLOOD) -> None:
        """Write canonical lines that are all alike."""
        for number in range(count):
            self.log.write(level, {**self.log.head("postback"), "request_id": str(number), "outcome": outcome})

    def total(self, name: str) -> float:
        """Sum up a metric."""
        return sum(samples(self.metrics, name).values())


@pytest.fixture
def flooded() -> Flooded:
    return Flooded()


def test_a_burst_is_written_whole_and_then_a_steady_rate() -> None:
    clock, left_out = Clock(), list[tuple[str, str]]()
    bound = LogRateLimit(lambda *kind: left_out.append(kind), clock)
    assert sum(bound.admits("postback", "conflict") for _ in range(FLOOD)) == BURST
    clock.now += 2
    assert sum(bound.admits("postback", "conflict") for _ in range(FLOOD)) == 2 * RATE
    assert left_out == [("postback", "conflict")] * int(2 * FLOOD - BURST - 2 * RATE)


def test_a_quiet_time_saves_up_one_burst_and_no_more() -> None:
    clock = Clock()
    bound = LogRateLimit(lambda *_: None, clock)
    assert bound.admits("postback", "conflict")
    clock.now += 86_400
    assert sum(bound.admits("postback", "conflict") for _ in range(FLOOD)) == BURST


def test_a_flood_of_one_kind_takes_nothing_from_another() -> None:
    bound = LogRateLimit(lambda *_: None, Clock())
    assert sum(bound.admits("postback", "conflict") for _ in range(FLOOD)) < FLOOD
    assert bound.admits("postback", "missing_value")
    assert bound.admits("unexpected_error", "conflict")


def test_lines_written_and_lines_dropped_are_the_lines_made(flooded: Flooded) -> None:
    flooded.postbacks()
    assert len(flooded.lines.events()) == BURST
    assert flooded.total("postback_log_dropped_total") == FLOOD - BURST
    assert samples(flooded.metrics, "postback_log_lines_total") == {("warning",): FLOOD}
    limited = samples(flooded.metrics, "postback_log_rate_limited_total")
    assert limited == {("postback", "missing_value"): FLOOD - BURST}


def test_good_news_are_never_left_out(flooded: Flooded) -> None:
    flooded.postbacks("info", "stored")
    assert len(flooded.lines.events()) == FLOOD
    assert flooded.total("postback_log_dropped_total") == 0


def test_what_was_left_out_is_told_once_and_by_kind(flooded: Flooded) -> None:
    flooded.postbacks(outcome="conflict", count=int(BURST) + 7)
    flooded.postbacks("error", "storage_unavailable", count=int(BURST) + 1)
    flooded.log.report_rate_limited()
    flooded.log.report_rate_limited()
    told = [(line["of_event"], line["outcome"], line["lines"]) for line in flooded.lines.events("log_rate_limited")]
    assert told == [("postback", "conflict", 7), ("postback", "storage_unavailable", 1)]


def test_what_a_library_says_is_one_kind_whatever_it_says(flooded: Flooded) -> None:
    for event in map(str, range(FLOOD)):
        flooded.log.logger.warning(event, logger="uvicorn.error")
    assert len(flooded.lines.kept) == BURST
    assert samples(flooded.metrics, "postback_log_rate_limited_total") == {("library", ""): FLOOD - BURST}
