"""Owns the sender's side of the story: what was sent, what was acknowledged, and whether storage agrees."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import uvloop

from tests.support.outside.harness import Service
from tests.support.outside.wire import Address, Answer, HungUp, Line, request

Result = TypeVar("Result")

_REPEATED = 0.3  # of all postbacks: an id that was sent before, acknowledged or not


class Ledger:
    """Every id that may have reached the service, with its one value, and those for which a receipt came back."""

    def __init__(self, prefix: str, seed: int) -> None:
        self.sent: dict[str, str] = {}
        self.acknowledged: set[str] = set()
        self.stored_answers: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self._prefix = prefix
        self._random = random.Random(seed)  # noqa: S311 - a repeatable mix, not a secret
        self._order: list[str] = []

    @property
    def unknown(self) -> list[str]:
        """What was sent and never acknowledged: stored or not, nobody can know."""
        return [click_id for click_id in self._order if click_id not in self.acknowledged]

    def next_id(self) -> str:
        """Return a new id, or one that was sent before: a sender retries what was answered, too."""
        if self._order and self._random.random() < _REPEATED:
            return self._random.choice(self._order)
        click_id = f"{self._prefix}-{len(self._order)}"
        self._order.append(click_id)
        self.sent[click_id] = f"{self._random.randrange(-(10**12), 10**12)}.{self._random.randrange(10**6):06}"
        return click_id

    async def deliver(self, line: Line, click_id: str) -> Answer:
        """Send one id with its value and note the answer. Raises HungUp."""
        answer = await line.exchange(request(f"/postback?c={click_id}&value={self.sent[click_id]}"))
        self.answers[answer.outcome or str(answer.status)] += 1
        if answer.status == 200:
            self.acknowledged.add(click_id)
            self.stored_answers[click_id] += answer.outcome == "stored"
        return answer

    async def press(self, address: Address, connections: int) -> None:
        """Send as fast as answers come, over so many connections, until the service hangs up or refuses them all."""
        async with asyncio.TaskGroup() as senders:
            for _ in range(connections):
                senders.create_task(self._send_until_hung_up(address))

    async def press_in_turn(self, address: Address, count: int) -> None:
        """Send so many new ids or repetitions, one after the other: each is answered before the next."""
        line = await Line.connect(address)
        for _ in range(count):
            await self.deliver(line, self.next_id())
        line.close()

    async def retry_unknown(self, address: Address) -> None:
        """Send everything unacknowledged again, until it is acknowledged."""
        line = await Line.connect(address)
        for click_id in self.unknown:
            await self.deliver(line, click_id)
        line.close()

    async def _send_until_hung_up(self, address: Address) -> None:
        with suppress(HungUp, ConnectionRefusedError, ConnectionResetError):
            line = await Line.connect(address)
            try:
                while True:
                    await self.deliver(line, self.next_id())
            finally:
                line.close()

    def check_against(self, service: Service) -> dict[str, str]:
        """Assert what must hold at any time, and return what is stored, by id."""
        return self.check_rows(service.sql("SELECT click_id, value FROM conversion"))

    def check_rows(self, rows: Sequence[tuple[object, ...]]) -> dict[str, str]:
        """Do the same with rows of click id and value."""
        stored = {str(click_id): str(value) for click_id, value in rows}
        assert len(stored) == len(rows), "a key is stored twice"
        assert self.acknowledged <= stored.keys(), f"lost: {sorted(self.acknowledged - stored.keys())[:10]}"
        assert {click_id: self.sent[click_id] for click_id in stored} == stored
        assert max(self.stored_answers.values(), default=0) <= 1, "'stored' was answered twice for one conversion"
        assert self.answers["conflict"] == 0
        return stored


def run_until(work: Awaitable[Result], after: float, action: Callable[[], None]) -> Result:
    """Run `work` to its end on an event loop of its own; `after` seconds into it, perform `action`."""

    async def timed() -> Result:
        asyncio.get_running_loop().call_later(after, action)
        return await work

    return run(timed())


def run(work: Awaitable[Result]) -> Result:
    """Run `work` to its end on an event loop of its own."""

    async def finished() -> Result:
        result = await work
        await asyncio.sleep(0)  # closed connections are really closed only in the loop's next turn
        return result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(finished())
