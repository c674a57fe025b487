"""What one step of the drain moves: several journals in one order, and no two values of one key together."""

from datetime import timedelta
from pathlib import Path

from service.core.postback import Postback
from service.spool.journal import Journal
from service.spool.journal_schema import Waiting
from service.spool.pace import Pace
from service.spool.steps import Step, in_one_batch, in_order
from tests.support import builders

JOURNAL = Journal(Path("worker-0") / "spool.db")


def step(postback: Postback) -> Step:
    """Return the step of a postback."""
    raw = postback.raw
    return Step(JOURNAL, Waiting(1, 1, "spooled", raw.request_id, raw.received_at.isoformat(), ""), postback)


def steps(*queries: str) -> list[Step]:
    """Return steps of these postbacks."""
    return [step(builders.postback(query)) for query in queries]


def came(seconds: float) -> Step:
    """Return the step of a postback that came so many seconds after the first."""
    return step(builders.postback("c=a&value=1", received_at=builders.RECEIVED_AT + timedelta(seconds=seconds)))


def test_two_values_of_one_key_are_never_committed_in_one_step() -> None:
    mixed = steps("c=a&value=1", "c=b&value=2", "c=a&value=1.00", "c=a&value=1&goal=g", "c=a&value=2", "c=c&value=1")
    assert in_one_batch(mixed) == mixed[:4]
    assert in_one_batch(mixed[4:]) == mixed[4:]
    currencies = steps("c=a&value=1&currency=EUR", "c=a&value=1&currency=USD")
    assert in_one_batch(currencies) == currencies[:1]
    words = steps(*(f"c=a&value=1&conversion_status={word}" for word in ("reg", "reg", "ftd")))
    assert in_one_batch(words) == words[:2]


def test_entries_of_several_journals_go_in_the_order_in_which_they_came() -> None:
    first, second, third, fourth = (came(seconds) for seconds in (0, 0.5, 1, 1.000001))
    assert in_order([[first, third], [second, fourth], []]) == [first, second, third, fourth]


def test_a_clock_that_stepped_back_changes_no_journals_own_order() -> None:
    before, after = came(9), came(1)  # in one journal
    other = came(5)
    assert in_order([[before, after], [other]]) == [other, before, after]


def test_pauses_grow_to_a_bound_and_no_two_are_alike() -> None:
    pace = Pace(first_delay=0.1, longest_delay=2.0)
    assert 0.05 <= pace.delay(0) <= 0.1
    assert 0.1 <= pace.delay(1) <= 0.2
    assert all(1.0 <= pace.delay(failures) <= 2.0 for failures in (5, 20, 10**6))
    assert len({pace.delay(3) for _ in range(10)}) > 5
