"""Owns traffic as it is: many kinds of postbacks at once, at a steady rate, to all replicas, as long as a test looks.

It runs beside the test, which may change `rate` and `mix` at any time.
"""

import asyncio
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Self

import uvloop

from tests.support.outside.load import IdleLines
from tests.support.outside.wire import Address, HungUp, request

_TICK_SECONDS = 0.02
_REMEMBERED = 500  # ids that may come again
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

NORMAL: Mapping[str, float] = {
    "stored": 84,
    "posted": 8,
    "duplicate": 4,
    "conflict": 0.3,
    "missing_value": 1,
    "invalid_value": 1,
    "unexpanded_macro": 1,
    "nowhere": 0.7,
}
"""The shares of a good day: nearly all is stored, some come twice, and some senders make mistakes."""
SPARSE: Mapping[str, float] = {"stored": 1}


class Traffic:
    """Sends `rate` postbacks a second while the context lasts, each to the next replica that answers."""

    def __init__(self, replicas: Sequence[Address], rate: float, mix: Mapping[str, float] = NORMAL) -> None:
        self.rate = rate
        self.mix = mix
        self.answers: Counter[str] = Counter()
        self._replicas = replicas
        self._idle = {replica: IdleLines(replica) for replica in replicas}
        self._random = random.Random(1)  # noqa: S311 - a repeatable mix, not a secret
        self._known: deque[str] = deque(maxlen=_REMEMBERED)
        self._number = count()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Begin."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, when what is under way has been answered."""
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._send_all())

    async def _send_all(self) -> None:
        owed, last = 1.0, time.monotonic()
        async with asyncio.TaskGroup() as senders:
            while not self._over.is_set():
                now = time.monotonic()
                owed, last = owed + (now - last) * self.rate, now
                for _ in range(int(owed)):
                    senders.create_task(self._deliver(self._next()))
                owed %= 1
                await asyncio.sleep(_TICK_SECONDS)
        for idle in self._idle.values():
            idle.close()
        await asyncio.sleep(0)  # closed connections are really closed only in the loop's next turn

    def _next(self) -> bytes:
        (kind,) = self._random.choices(list(self.mix), list(self.mix.values()))
        repeats = kind in ("duplicate", "conflict") and self._known
        click_id = self._random.choice(self._known) if repeats else f"click-{next(self._number)}"
        if kind == "stored":
            self._known.append(click_id)
        return _KINDS[kind](click_id)

    async def _deliver(self, message: bytes) -> None:
        """Send it to one replica, and to the next if that one is not there: as a load balancer does."""
        turn = next(self._number)
        for offset in range(len(self._replicas)):
            replica = self._replicas[(turn + offset) % len(self._replicas)]
            with suppress(HungUp, OSError):
                line = await self._idle[replica].connected()
                answer = await line.exchange(message)
                self._idle[replica].keep(line, answer)
                self.answers[answer.outcome or str(answer.status)] += 1
                return
        self.answers["nobody"] += 1


def _get(rest: str) -> Callable[[str], bytes]:
    return lambda click_id: request(rest.format(click_id))


_KINDS: Mapping[str, Callable[[str], bytes]] = {
    "stored": _get("/postback?c={}&value=1.50"),
    "posted": lambda click_id: request(
        "/conversion", method="POST", headers=_FORM, body=f"c={click_id}&value=2".encode()
    ),
    "duplicate": _get("/postback?c={}&value=1.50"),
    "conflict": _get("/postback?c={}&value=9.99"),
    "missing_value": _get("/postback?c={}"),
    "invalid_value": _get("/postback?c={}&value=free"),
    "unexpanded_macro": lambda _: request("/postback?c=%7Bclick_id%7D&value=1"),
    "nowhere": _get("/nowhere/{}"),
}
