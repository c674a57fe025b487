"""Owns what one step of the drain moves: entries of several journals in one order, and which of them go together."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from typing import NamedTuple

from service.core.postback import ConversionKey, Postback
from service.core.verdict import ERASED, Verdict
from service.spool.encoding import Kept
from service.spool.journal import Journal
from service.spool.journal_schema import Waiting
from service.spool.waiting import Came
from service.telemetry.metrics.books import ERASED_WORD


class Step(NamedTuple):
    """One entry on its way: the journal that it waits in, its row there, and what it says."""

    journal: Journal
    waiting: Waiting
    entry: Kept

    @property
    def key(self) -> ConversionKey | str:
        """Return what entries that must keep their order have in common."""
        return self.entry.key if isinstance(self.entry, Postback) else self.waiting.request_id

    @property
    def came(self) -> Came:
        """Return when it came."""
        return Came.of(self.waiting.appended_at, self.waiting.received_at, self.waiting.request_id)

    @property
    def follows(self) -> str | None:
        """Return the click id whose order it keeps; a rejection keeps none."""
        return self.entry.click_id if isinstance(self.entry, Postback) else None


class Moved(NamedTuple):
    """A step that the database has judged."""

    step: Step
    verdict: Verdict

    @property
    def became(self) -> str:
        """Return the word for what became of it: a rejection is what it was."""
        if self.verdict is ERASED:
            return ERASED_WORD
        return str(self.verdict.outcome.value) if isinstance(self.step.entry, Postback) else "rejected"


def in_order(journals: Iterable[Sequence[Step]]) -> list[Step]:
    """Return the steps of several journals: each journal's in its own order, and of their heads the earliest first.

    So the order has no circle in it, whatever the clock did.
    """
    return list(merge(*journals, key=lambda step: step.came))


def before(steps: Sequence[Step], elsewhere: Mapping[str, Came]) -> list[Step]:
    """Return the steps that came before what waits elsewhere of their click id; what follows one that did not waits.

    The oldest one is asked for each step by itself: what waits elsewhere may have come between two of these.
    """
    found, held_back = [], set[str]()
    for step in steps:
        click_id = step.follows or ""
        if click_id in held_back or (click_id in elsewhere and elsewhere[click_id] < step.came):
            held_back.add(click_id)
        else:
            found.append(step)
    return found


def in_one_batch(steps: Sequence[Step]) -> list[Step]:
    """Return the steps before the first that brings a key of theirs with another value or status.

    The writer may commit them in two batches, of which the first can fail: the later value must not be stored then.
    """
    said: dict[ConversionKey, tuple[object, ...]] = {}
    for place, step in enumerate(steps):
        if isinstance(step.entry, Postback):
            entry = step.entry
            word = entry.params[entry.status_parameter] if entry.status_parameter else None
            now = (entry.value_micros, entry.currency, entry.conversion_status, word)
            if said.setdefault(step.entry.key, now) != now:
                return list(steps[:place])
    return list(steps)
