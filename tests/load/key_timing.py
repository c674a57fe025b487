"""Owns the timing test of keys: `python -m tests.load.key_timing [samples]`: does time tell known ids.

Welch's t-test of two classes, an unknown public id and a known one with a wrong secret, in random order; |t| below 4.5
is the usual bound of leakage tests (TVLA). What took unusually long, the interpreter's and the machine's doing, is left
out of both by one bound. Not in the suite: a busy machine may fail it.
"""

import random
import statistics
import sys
import time
from contextlib import suppress

from service.auth.keys import digest, new_key, verified_key
from service.core.outcome import Rejected
from service.core.roster import KnownKey, Roster

BOUND = 4.5
SAMPLES = 100_000  # of each class
_KEPT_SHARE = 0.9


def main(samples: int) -> int:
    """Print the two means and t; say 1 if they can be told apart."""
    made = [new_key() for _ in range(2 * samples)]
    random.shuffle(made)  # where they lie in memory tells nothing of their class
    known, unknown = made[:samples], made[samples:]
    wrong = {one.id: KnownKey(one.id, "acme", digest(one.text)) for one in made}  # of both: memory is touched alike
    by_secret = Roster({}, {one.id: wrong[one.id] for one in known}).by_secret
    classes = {"unknown id": [one.text for one in unknown], "wrong secret": [one.text for one in known]}
    order = [(name, text) for name, texts in classes.items() for text in texts]  # each once: no place in memory counts
    random.shuffle(order)
    taken: dict[str, list[int]] = {name: [] for name in classes}
    for name, text in order:
        began = time.perf_counter_ns()
        with suppress(Rejected):
            verified_key(text, by_secret)
        ended = time.perf_counter_ns()
        taken[name].append(ended - began)
    bound = statistics.quantiles([one for some in taken.values() for one in some], n=100)[int(_KEPT_SHARE * 100) - 1]
    kept = [[one for one in some if one <= bound] for some in taken.values()]
    means, errors = [statistics.fmean(some) for some in kept], [statistics.variance(some) / len(some) for some in kept]
    t = (means[0] - means[1]) / sum(errors) ** 0.5
    for name, mean, some in zip(taken, means, kept, strict=True):
        print(f"{name}: {mean:,.1f} ns ({len(some):,} samples)")  # noqa: T201
    print(f"t = {t:.2f}, bound {BOUND}")  # noqa: T201
    return int(abs(t) >= BOUND)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else SAMPLES))
