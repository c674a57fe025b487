"""Owns what a commit would say, without making one: the writer of whoever only rehearses."""

from collections.abc import Callable, Mapping, Sequence

from service.core.judging import Known, Manner, judge_all
from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback
from service.core.verdict import Entry, Winner
from service.telemetry.metrics.books import Teller
from service.writing.writer import Written

Winners = Callable[[Sequence[Postback]], Mapping[ConversionKey, Winner]]
_CHANGED = (Outcome.STORED, Outcome.UPDATED)


class Foresight:
    """Stores nothing. It remembers the keys that it would store or change only.

    `winners` says what is stored under the keys of postbacks, which may block and raise StorageError. Without it every
    key counts as free, and none is remembered: then this says only what parsing says.
    """

    def __init__(self, winners: Winners | None) -> None:
        self._winners = winners
        self._taken: dict[ConversionKey, Winner] = {}

    async def write(self, _teller: Teller, /, *entries: Entry, manner: Manner = Manner.NEW) -> Written:  # noqa: ARG002 - nothing is stored
        """Return the verdict that each entry would get now, if all before it were stored."""
        if self._winners is None:
            return Written(judge_all(entries, Known(None)).verdicts, 0.0)
        postbacks = [one for one in entries if isinstance(one, Postback)]
        known = {**self._winners(postbacks), **self._taken}
        judged = judge_all(entries, Known(known))
        for entry, verdict in zip(entries, judged.verdicts, strict=True):
            if isinstance(entry, Postback) and verdict.outcome in _CHANGED:
                self._taken[entry.key] = known[entry.key]
        return Written(judged.verdicts, 0.0)
