"""Owns the turns of clients that send requests ahead: a few of them go on in each round of the event loop.

Each round also accepts a newcomer and reads from everybody else, so it must stay short, however many send ahead.
"""

import asyncio
from collections import deque
from collections.abc import Callable

_AT_ONCE = 4  # requests: as long as one that is stored takes


class Turns:
    """Those whose next request is here already, in the order in which they get their turns."""

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        self._waiting: deque[Callable[[], None]] = deque()
        self._coming = False  # a round that gives turns

    def await_turn(self, go_on: Callable[[], None]) -> None:
        """Call it when it is its turn, in a later round of the event loop."""
        self._waiting.append(go_on)
        if not self._coming:
            self._come()

    def _come(self) -> None:
        self._coming = True
        asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        try:
            for _ in range(min(self._at_once, len(self._waiting))):
                self._waiting.popleft()()
        finally:
            self._coming = False
            if self._waiting:
                self._come()
