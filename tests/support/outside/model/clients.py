"""Owns the clients: senders that post through all doors at once, and note when each postback was sent and answered."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.support.outside.model import doors
from tests.support.outside.model.history import History, Operation
from tests.support.outside.model.hosts import Host
from tests.support.outside.model.mix import SENDERS, Mix, Postback
from tests.support.outside.model.rules import FAILED
from tests.support.outside.wire import Answer, HungUp, Line
from tests.support.outside.workers import hung_up

_PATIENCE_SECONDS = 4.0
_REST_SECONDS = 0.05  # after a connection that failed


def operation(one: Postback, door: str, host: str, *, group: str = "", place: int = 0) -> Operation:
    """Return what is known of a postback that is sent now."""
    return Operation(
        *(one.tag, one.key, one.said, door, time.time()),
        host=host,
        group=group,
        place=place,
        rejected=one.rejected,
        unset=one.unset,
    )


class Clients:
    """Connections, each to a host that is up."""

    def __init__(self, hosts: Sequence[Host], keys: Mapping[str, str], mix: Mix, history: History) -> None:
        self.answers: Counter[str] = Counter()
        self._hosts = hosts
        self._keys = keys
        self._mix = mix
        self._history = history
        self._enough = False

    async def press(self, connections: int, rate: float) -> None:
        """Send so many requests a second in all, until `end`."""
        self._enough = False
        async with asyncio.TaskGroup() as group:
            for number in range(connections):
                group.create_task(self._send(self._hosts[number % len(self._hosts)], connections / rate))

    def end(self) -> None:
        """Send nothing more; `press` returns when what is under way has been answered."""
        self._enough = True

    async def _send(self, host: Host, pause: float) -> None:
        line: Line | None = None
        while not self._enough:
            await asyncio.sleep(self._mix.chance.expovariate(1 / pause))
            try:
                if line is None or not line.open or self._mix.chance.random() < 0.1:
                    line = await self._new_line(host, line)
                await asyncio.wait_for(self._one(line, host.name), _PATIENCE_SECONDS)
            except (HungUp, OSError, TimeoutError) as failure:
                self.answers[type(failure).__name__] += 1
                await asyncio.sleep(_REST_SECONDS)
                line = hung_up(line)
        hung_up(line)

    async def _new_line(self, host: Host, old: Line | None) -> Line:
        hung_up(old)
        if host.public is None:
            raise ConnectionRefusedError
        return await asyncio.wait_for(Line.connect(host.public), _PATIENCE_SECONDS)

    async def _one(self, line: Line, host: str) -> None:
        kind = self._mix.chance.random()
        if kind < 0.75:
            await self._single(line, host)
        elif kind < 0.9:
            await self._batch(line, host, self._mix.chance.randint(2, 8))
        else:
            await self._atomic(line, host)

    async def _single(self, line: Line, host: str) -> None:
        one = self._mix.next()
        way = self._mix.chance.choice(list(doors.SINGLE))
        door, asked = doors.SINGLE[way]
        message = asked(one.parameters, self._keys[one.sender.name])
        sent = operation(one, door, host)
        self._history.operations.append(sent)
        answer = await line.exchange(message)
        self._note(sent, answer.outcome or f"HTTP {answer.status}", answer.request_id)

    async def _batch(self, line: Line, host: str, size: int) -> None:
        sender = self._mix.chance.choice(SENDERS)
        rows = [self._mix.next(sender) for _ in range(size)]
        rows += [self._again(rows[0])] if self._mix.chance.random() < 0.3 else []
        await self._post(line, host, rows, atomic=False)

    def _again(self, one: Postback) -> Postback:
        """Return the same postback once more, in the same request."""
        other = self._mix.next(one.sender, flawless=True)
        parameters = {**one.parameters, "op": other.tag}
        key = one.key._replace(transaction_id=other.tag) if one.key.transaction_id == one.tag else one.key
        return Postback(other.tag, one.sender, key, one.said, parameters, one.rejected, one.unset)

    async def _atomic(self, line: Line, host: str) -> None:
        """Send a batch of all or none; each key is in it once, so that no row hangs on another."""
        sender = self._mix.chance.choice(SENDERS)
        flawless = self._mix.chance.random() < 0.8
        rows = [self._mix.next(sender, flawless=flawless) for _ in range(self._mix.chance.randint(2, 6))]
        await self._post(line, host, list({one.key: one for one in rows}.values()), atomic=True)

    async def _post(self, line: Line, host: str, rows: Sequence[Postback], *, atomic: bool) -> None:
        group = f"batch-{rows[0].tag}"
        sent = [operation(one, "batch", host, group=group, place=place) for place, one in enumerate(rows, 1)]
        if atomic:
            click_ids = frozenset(one.key.click_id for one in rows)
            for one in sent:
                one.atomic, one.mentioned = True, click_ids
        form = self._mix.chance.choice(list(doors.BATCH))
        message = doors.batch(form, rows, self._keys[rows[0].sender.name], atomic=atomic)
        self._history.operations.extend(sent)
        self._note_rows(sent, await line.exchange(message))

    def _note_rows(self, sent: Sequence[Operation], answer: Answer) -> None:
        """Note what each row of a batch was told, or what all of them were told together."""
        if answer.outcome is None:
            for line in answer.body.splitlines():
                told = json.loads(line)
                self._note(sent[int(told["row"]) - 1], told["outcome"], told["request_id"])
            return
        problem = json.loads(answer.body)
        place = re.match(r"row (\d+)", problem.get("detail", ""))
        failed = answer.outcome in FAILED | {"overloaded"} or place is None
        for one in sent:
            mine = failed or (place and one.place == int(place[1]))
            self._note(one, answer.outcome if mine else "refused", answer.request_id if mine and not failed else "")

    def _note(self, one: Operation, outcome: str, request_id: str) -> None:
        one.answered, one.answer, one.request_id = time.time(), outcome, request_id
        self.answers[outcome] += 1
