"""What is kept of strangers: whatever comes now and then, a sample of a flood, and never the body of a 429."""

from dataclasses import replace
from itertools import count

from service.auth.strangers import Strangers
from service.core.outcome import Outcome
from service.core.postback import Rejection
from tests.support import builders

ROOM = 16 * 1000 * 1024  # an address may fill a thousand KiB of it at once


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def refused(address: str = "192.0.2.1", size: int = 524, outcome: Outcome = Outcome.UNAUTHENTICATED) -> Rejection:
    raw = builders.posted(b"x" * size, client_ip=address)
    return Rejection(raw, None, outcome, "no API key was sent", "click-1")


def kept(strangers: Strangers, number: int, address: str = "192.0.2.1") -> int:
    return sum(not strangers.sampled(refused(address)).sampled_out for _ in range(number))


def test_an_address_may_send_much_at_once_and_then_a_sample_is_kept() -> None:
    time = Time()
    strangers = Strangers(ROOM, time)
    assert kept(strangers, 3000) == 1000
    time.now = 360.0
    assert kept(strangers, 3000) == 100


def test_one_address_takes_nothing_from_another() -> None:
    strangers = Strangers(ROOM, Time())
    assert kept(strangers, 3000) == 1000
    assert kept(strangers, 10, "192.0.2.2") == 10


def test_many_addresses_together_fill_half_of_the_room_and_no_more() -> None:
    strangers = Strangers(ROOM, Time())
    numbers = count()
    found = [strangers.sampled(refused(f"10.0.{next(numbers) % 250}.{n % 250}")) for n in range(20_000)]
    assert sum(not one.sampled_out for one in found) == 8000


def test_of_a_429_no_body_is_kept_and_it_does_not_look_whole() -> None:
    one = refused(outcome=Outcome.RATE_LIMITED)
    left = Strangers(ROOM, Time()).sampled(one)
    assert (left.raw.body, left.raw.complete, left.click_id, left.sampled_out) == (b"", False, "click-1", False)
    bare = replace(one, raw=builders.raw())
    assert Strangers(ROOM, Time()).sampled(bare) is bare


def test_what_is_only_counted_leaves_nothing_of_its_input() -> None:
    strangers = Strangers(1, Time())
    strangers.sampled(refused())
    left = strangers.sampled(refused())
    assert left.sampled_out
    assert (left.raw.query, left.raw.body) == (b"", b"")


def test_without_a_bound_everything_is_kept() -> None:
    assert kept(Strangers(clock=Time()), 3000) == 3000
