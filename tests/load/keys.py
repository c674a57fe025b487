"""Owns the benchmark of keys: `python -m tests.load.keys [pairs]`: what a postback costs with a key, and open.

Two services of the same build on files of their own, one open, one with a registered key that comes in the query, in
turns (ABBA). The ratios are of each pair: of the rate, and of the processor time for each postback, which says more on
a machine that others use, too. Needs wrk. Timing is never judged.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.load.peers import REPOSITORY, Server, ours, running
from tests.load.wrk import put_load

SECONDS, CONNECTIONS, WARM_UP_SECONDS = 3, 64, 2


class Cost(NamedTuple):
    """Postbacks a second, and processor seconds for each."""

    rate: float
    cpu: float


def make_key(database: Path) -> str:
    """Make the first key of a database, as people do."""
    environment = {**os.environ, "POSTBACK_DATABASE_URL": f"sqlite:///{database}", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "service", "keys", "create", "ezmob", "--json"]
    made = subprocess.run(command, env=environment, cwd=database.parent, capture_output=True, check=True)
    return str(json.loads(made.stdout)["key"])


def cost(server: Server, more: str, seconds: int = SECONDS) -> Cost:
    """Put load on a server; all postbacks must be accepted."""
    before = server.cpu_seconds()
    load = put_load(server.peer.port, CONNECTIONS, seconds, more)
    assert not load.status_errors
    return Cost(load.rate, (server.cpu_seconds() - before) / load.accepted)


def main(pairs: int) -> int:
    """Print each pair, and the medians."""
    with tempfile.TemporaryDirectory(prefix="postback-bench-") as scratch:
        folder = Path(scratch)
        query = f"&key={make_key(folder / 'keys.db')}"
        with running(ours(folder, folder / "open.db")) as free, running(ours(folder, folder / "keys.db")) as keyed:
            arms = ((free, ""), (keyed, query))
            for server, more in arms:
                cost(server, more, WARM_UP_SECONDS)
            ratios = [_pair(arms if number % 2 == 0 else arms[::-1], query) for number in range(pairs)]
    for name, of in (("postbacks a second", [one.rate for one in ratios]), ("processor", [one.cpu for one in ratios])):
        print(f"{name}, with a key / open: {statistics.median(of):.3f} ({min(of):.3f} to {max(of):.3f})")  # noqa: T201
    return 0


def _pair(order: Sequence[tuple[Server, str]], query: str) -> Cost:
    costs = {more: cost(server, more) for server, more in order}
    free, keyed = costs[""], costs[query]
    print(  # noqa: T201
        f"  open {free.rate:,.0f}/s, {free.cpu * 1e6:.1f} µs; key {keyed.rate:,.0f}/s, {keyed.cpu * 1e6:.1f} µs"
    )
    return Cost(keyed.rate / free.rate, keyed.cpu / free.cpu)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 9))
