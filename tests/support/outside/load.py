"""Owns load: new postbacks, sent as fast as they are answered, or at a fixed rate however slowly they are answered."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.support.outside.wire import Address, Answer, HungUp, Line, request

_TICK_SECONDS = 0.01
_REST_SECONDS = 3  # well below any server's keep-alive time-out


@dataclass(slots=True)
class Answers:
    """What came back: when, with which word; and what is wrong with it."""

    outcomes: Counter[str] = field(default_factory=Counter)
    accepted_at: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        """The seconds that the slowest answer took."""
        return max(self.seconds, default=0.0)

    def percentile(self, percent: float) -> float:
        """Return within how many seconds so many percent of the answers came."""
        return sorted(self.seconds)[int(len(self.seconds) * percent / 100)] if self.seconds else 0.0

    def note(self, answer: Answer, seconds: float) -> None:
        """Take one answer that came after so many seconds."""
        self.outcomes[answer.outcome or f"HTTP {answer.status}"] += 1
        self.seconds.append(seconds)
        if answer.status == 200:
            self.accepted_at.append(time.monotonic())
        elif answer.status == 503 and "retry-after" not in answer.headers:
            self.without_retry_after += 1

    def accepted_between(self, start: float, end: float) -> int:
        """Count the 200s of a stretch of time."""
        return sum(start <= at < end for at in self.accepted_at)


class IdleLines:
    """Lines to one address that rest until they are used again."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._resting: list[tuple[Line, float]] = []  # each with the moment since when

    async def connected(self) -> Line:
        """Return one that the service has no reason to close just now (it may, after a long rest), or a new one."""
        while self._resting:
            line, since = self._resting.pop()
            if line.open and time.monotonic() - since < _REST_SECONDS:
                return line
            line.close()
        return await Line.connect(self._address)

    def keep(self, line: Line, answer: Answer | None = None) -> None:
        """Let a line rest, unless its answer says that it was the last one."""
        if answer and answer.headers.get("connection") == "close":
            line.close()
        else:
            self._resting.append((line, time.monotonic()))

    def close(self) -> None:
        """Hang up all that rest."""
        for line, _ in self._resting:
            line.close()


class Load:
    """Sends new postbacks to one address, with a key and so many bytes of padding.

    A line that is still waiting is not used again: another one is opened.
    """

    def __init__(self, address: Address, prefix: str, *, key: str = "", padding: int = 0) -> None:
        self.answers = Answers()
        self.sent = 0
        self._address = address
        self._prefix = prefix
        self._rest = "&value=1" + (f"&key={key}" if key else "") + (f"&padding={'x' * padding}" if padding else "")
        self._idle = IdleLines(address)
        self._under_way: set[asyncio.Task[None]] = set()

    async def open_lines(self, count: int) -> None:
        """Connect before the load starts, so that the load is postbacks and nothing else."""
        for _ in range(0, count, 100):
            lines = await asyncio.gather(*(Line.connect(self._address) for _ in range(100)))
            for line in lines:
                self._idle.keep(line)

    async def press(self, lines: int, seconds: float) -> None:
        """Keep so many postbacks under way for so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._send(lines - len(self._under_way))
            await asyncio.sleep(_TICK_SECONDS)
        await self._settle()

    async def send(self, count: int, lines: int = 64) -> None:
        """Send so many postbacks, so many at a time, and hang up."""
        for _ in range(0, count, lines):
            self._send(lines)
            await self._settle()
        self.close()

    async def offer(self, rate: float, seconds: float) -> None:
        """Send `rate` postbacks a second for so many seconds; the schedule does not slip."""
        start, first = time.monotonic(), self.sent
        while (passed := time.monotonic() - start) < seconds:
            self._send(int(first + rate * passed) - self.sent)
            await asyncio.sleep(_TICK_SECONDS)
        await self._settle()

    def close(self) -> None:
        """Hang up all lines."""
        self._idle.close()

    async def _settle(self) -> None:
        await asyncio.gather(*self._under_way)

    def _send(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            task = asyncio.ensure_future(self._exchange(f"{self._prefix}-{self.sent}"))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _exchange(self, click_id: str) -> None:
        try:
            line = await self._idle.connected()
            started = time.monotonic()
            answer = await line.exchange(request(f"/postback?c={click_id}{self._rest}"))
        except (HungUp, OSError) as error:
            self.answers.errors[type(error).__name__] += 1
            return
        self.answers.note(answer, time.monotonic() - started)
        self._idle.keep(line, answer)
