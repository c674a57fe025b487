"""Owns the decision when a worker that died is started again. Pure."""

_SOUND_SECONDS = 10.0  # who lived that long did not fail to start
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
HOPELESS = 5  # failures in a row, of every worker: then nothing here can help, and whoever runs us must know


def failures_in_a_row(before: int, lived_seconds: float) -> int:
    """Return how many lives in a row were short, this one included; a long one starts the count anew."""
    return 0 if lived_seconds >= _SOUND_SECONDS else before + 1


def pause_seconds(failures: int) -> float:
    """Return how long to wait: not at all after a long life or a first short one, then longer and longer."""
    return 0.0 if failures <= 1 else min(_FIRST_PAUSE * 2 ** (failures - 2), _LONGEST_PAUSE)
