"""Owns what a commit would say, without making one: the writer of whoever only rehearses."""

from collections.abc import Callable, Mapping, Sequence

from service.core.outcome import Outcome
from service.core.postback import ConversionKey, Postback
from service.core.verdict import Entry, Verdict, Winner, judge
from service.storage.ledger import Manner
from service.telemetry.metrics.books import Teller
from service.writing.writer import Written

Winners = Callable[[Sequence[Postback]], Mapping[ConversionKey, Winner]]


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
            return Written([judge(entry, None) for entry in entries], 0.0)
        known = {**self._winners([one for one in entries if isinstance(one, Postback)]), **self._taken}
        return Written([self._foresee(entry, known) for entry in entries], 0.0)

    def _foresee(self, entry: Entry, known: dict[ConversionKey, Winner]) -> Verdict:
        if not isinstance(entry, Postback):
            return judge(entry, known)
        verdict = judge(entry, known if entry.key in known else None)
        if verdict.outcome is Outcome.STORED:
            amount = (entry.value, entry.value_micros, entry.currency)
            known[entry.key] = Winner(entry.raw.request_id, *amount, entry.conversion_status)
        if verdict.outcome in (Outcome.STORED, Outcome.UPDATED):
            self._taken[entry.key] = known[entry.key]
        return verdict
