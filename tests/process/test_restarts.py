"""When a worker that died is started again: at once the first time, then ever later, and anew after a long life."""

from service.process.restarts import HOPELESS, failures_in_a_row, pause_seconds


def pauses(lives: list[float]) -> list[float]:
    """Return the pause after each life of so many seconds."""
    failures, found = 0, []
    for lived in lives:
        failures = failures_in_a_row(failures, lived)
        found.append(pause_seconds(failures))
    return found


def test_the_first_death_costs_no_pause_whether_early_or_late() -> None:
    assert pauses([0.1]) == pauses([86_400.0]) == [0.0]


def test_who_dies_again_and_again_waits_longer_and_longer_up_to_a_bound() -> None:
    assert pauses([0.1] * 8) == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_long_life_starts_the_count_anew() -> None:
    assert pauses([0.1, 0.1, 0.1, 60.0, 0.1]) == [0.0, 0.5, 1.0, 0.0, 0.0]


def test_hopeless_comes_after_several_tries_within_seconds() -> None:
    assert HOPELESS >= 3
    assert sum(pauses([0.1] * (HOPELESS - 1))) < 10
