"""Owns how what known senders sent is parsed for the straight line: one, or many in turns with everybody else."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from service.auth.authenticator import Caller
from service.core.chunk import next_chunk
from service.core.decoding import Pairs
from service.core.mistakes import rejection_of
from service.core.never_keep import dropped
from service.core.oddities import diagnose_accepted
from service.core.outcome import Rejected
from service.core.parameters import decode_together, parameters_of
from service.core.parsing import parse
from service.core.postback import RawPostback
from service.core.verdict import Understood, Verdict
from service.intake_contract import Record

_ROWS_AT_ONCE, _BYTES_AT_ONCE = 128, 64 * 1024  # decoded together before others have their turn
_ROWS_BETWEEN = 4  # two looks at the clock
_TURN_SECONDS = 0.001  # for rows that take longer than others: 128 ordinary ones take a third of it


class Rows(NamedTuple):
    """Rows that are stored in one commit, and who is known to have sent each."""

    raws: Sequence[RawPostback]
    callers: Iterable[Caller]

    def kept(self) -> "Rows":
        """Return them without the values that their senders want nobody to keep."""
        callers = [*islice(self.callers, len(self.raws))]
        names = [caller.sender.never_keep for caller in callers]
        return Rows([*map(dropped, self.raws, names)] if any(names) else self.raws, callers)


class Parsing:
    """What becomes of what was sent, before it is stored. `clock` gives seconds; what we fail on is recorded."""

    def __init__(self, record: Record, clock: Callable[[], float]) -> None:
        self._record = record
        self._clock = clock

    async def of_all(self, rows: Rows) -> list[Understood]:
        """Parse many, and let others have their turns."""
        understood: list[Understood] = []
        raws, callers = iter(rows.raws), iter(rows.callers)
        while some := next_chunk(raws, _ROWS_AT_ONCE, lambda raw: len(raw.body), _BYTES_AT_ONCE)[0]:
            began = self._clock()
            parsing = map(self.of_one, some, callers, decode_together(some))
            while few := [*islice(parsing, _ROWS_BETWEEN)]:
                understood += few
                if self._clock() - began > _TURN_SECONDS:
                    await asyncio.sleep(0)
                    began = self._clock()
            await asyncio.sleep(0)
        return understood

    def of_one(self, raw: RawPostback, caller: Caller, pairs: Pairs | None = None) -> Understood:
        """Parse what a known sender sent, unless it may not send it."""
        sender = caller.sender
        if caller.refusal:
            return replace(rejection_of(raw, sender, caller.refusal), key_id=caller.key_id)
        try:
            pairs = parameters_of(raw, sender) if pairs is None else pairs
            postback = parse(raw, sender, pairs)
            odd = diagnose_accepted(postback, sender, pairs)
            return postback._replace(diagnosis=odd) if odd else postback
        except Rejected as rejected:
            return rejection_of(raw, sender, rejected, pairs)
        except Exception as error:  # noqa: BLE001 - a fault of ours
            return self.fail(raw, error, caller)

    def fail(self, raw: RawPostback, error: Exception, caller: Caller) -> Verdict:
        """Return what becomes of a known sender's postback that we failed on."""
        return self._record.fail(raw, error)._replace(sender=caller.sender.name)
