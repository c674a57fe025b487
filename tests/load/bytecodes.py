"""Owns the profile of a postback: `python -m tests.load.bytecodes [--key]`: bytecodes by function, the dearest first.

callgrind sees C functions, not Python's. A bytecode takes some 100 instructions, and its count depends on no machine:
compare two lists, before and after a change. What runs in C (httptools, orjson, SQLite) is not in it. With --key, the
postback carries a key in its query.
"""

import json
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.load.counting import REQUESTS, drive
from tests.load.keys import make_key
from tests.load.peers import running, traced

_SHOWN, _WARM_UP = 40, 160


def main(*, keyed: bool) -> int:
    """Print the functions that a GET postback goes through, with the bytecodes of each."""
    with tempfile.TemporaryDirectory(prefix="postback-bytecodes-") as scratch:
        written = Path(scratch) / "counts.json"
        database = Path(scratch) / "traced.db"
        more = f"&key={make_key(database)}" if keyed else ""
        peer = traced(Path(scratch), database)
        peer = replace(peer, environment={**peer.environment, "TRACED_COUNTS": str(written)})
        with running(peer) as server:
            drive(peer.port, more, _WARM_UP)
            server.process.send_signal(signal.SIGUSR1)
            drive(peer.port, more, REQUESTS)
        counts = Counter(json.loads(written.read_text(encoding="utf-8")))
    lines = [f"{count / REQUESTS:7.1f}  {name}" for name, count in counts.most_common(_SHOWN)]
    print(f"{counts.total() / REQUESTS:7.1f}  bytecodes a postback; the dearest {_SHOWN} functions:", *lines, sep="\n")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(keyed="--key" in sys.argv[1:]))
