"""Owns what is known of a batch on its way to PostgreSQL, and what earlier commits may have done of it."""

from collections.abc import Sequence

from service.core.judging import Manner, Part
from service.core.postback import ConversionKey, Postback
from service.core.verdict import Entry, Probe
from service.storage.ledger import in_doubt
from service.storage.postgres.wait_mode import WaitMode


class Batch:
    """A batch on its way: its postbacks sorted by key, so that two replicas lock their keys in the same order.

    `doubtful` are the entries that an earlier commit may have judged, `recognised` those of them that one has.
    """

    def __init__(self, entries: Sequence[Entry], parts: Sequence[Part], deadline: float, mode: WaitMode) -> None:
        self.entries = entries
        self.parts = parts
        self.deadline = deadline
        self.mode = mode
        self.postbacks = [entry for entry in entries if type(entry) is Postback]
        if len(self.postbacks) > 1:
            self.postbacks.sort(key=_key)  # stable: of two with the same key, the first arrival stays the first
        self.doubtful = in_doubt(entries, parts) if parts else []
        self._given_again = {entry.raw.request_id for entry in self.doubtful}
        self.drained = _drained(entries, parts) if parts else frozenset()
        self.recognised: set[str] | None = None
        self.tried = False
        self.sent = False  # what the server may have committed, whatever it answered

    @property
    def is_new(self) -> bool:
        """Say whether it may be conversions only, each with a key of its own."""
        alike = len(self.postbacks) == len(self.entries) and not self.parts and not self.tried
        return alike and (len(self.entries) == 1 or len({*map(_key, self.postbacks)}) == len(self.entries))

    def suspect_all(self) -> None:
        """Take note that a commit of it may have worked."""
        self.tried = True
        self.doubtful = [entry for entry in self.entries if not isinstance(entry, Probe)]

    @property
    def counted_before(self) -> set[str]:
        """Return the request ids of which an earlier commit may have counted the rows."""
        return self._given_again if self.recognised is None else self.recognised

    def recognise(self, found: set[str]) -> set[str]:
        """Return which were recorded before the first try that could ask; what later ones find, this commit wrote."""
        if self.recognised is None:
            self.recognised = found & self._given_again
        return self.recognised


def _drained(entries: Sequence[Entry], parts: Sequence[Part]) -> frozenset[str]:
    """Return the request ids of what waited in a spool."""
    some = (entries[first:end] for first, end, manner in parts if manner is Manner.DRAINED)
    return frozenset(entry.raw.request_id for drained in some for entry in drained if not isinstance(entry, Probe))


def _key(postback: Postback) -> ConversionKey:
    return postback.key
