"""Owns the straight line outside the running service: intake over a writer of its own, and a record of its own.

No series and no log line: what became of each row is told to whoever runs the line.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import NoReturn

from service.auth.authenticator import Authenticate, Caller
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.judging import Manner
from service.core.outcome import Outcome
from service.core.postback import Postback, RawPostback, Rejection
from service.core.verdict import Entry, Understood, Verdict
from service.intake import Intake
from service.storage.ledger import Ledger
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import UNKNOWN, Account, Books, Teller
from service.writing.committing import OnThread
from service.writing.foresight import Foresight, Winners
from service.writing.writer import Writer, Writes, Written

_PATIENCE_SECONDS = 24 * 3600.0  # nobody waits for an answer here

_OUTCOME: Callable[[Verdict], Outcome] = itemgetter(0)  # of millions of rows
AHEAD = 2  # groups: one is being committed, one waits for the disk, and the next is parsed
Told = Callable[[Sequence[RawPostback], Sequence[Understood], Sequence[Verdict]], object]


class OwnRecord:
    """Hands what became of postbacks to `told`, in their order. Nobody is answered, so a failure of ours is raised."""

    def __init__(self, told: Told, books: Books | None = None) -> None:
        self._told = told
        self._books = books or Books()
        self._failed = False

    def arrive(self, raws: Sequence[RawPostback], _entries: Sequence[Postback | Rejection]) -> Account:
        """Count what came in together."""
        return Account(self._books, raws[0].door, len(raws))

    arrive_as_one = arrive

    def fail(self, _raw: RawPostback, error: BaseException) -> NoReturn:
        """Raise it: what was not told can be given again."""
        self._failed = True
        raise error

    def tell(
        self,
        arrival: Account,
        raws: Sequence[RawPostback],
        understood: Sequence[Understood],
        verdicts: Sequence[Verdict],
        **_seconds_and_checks: object,
    ) -> None:
        """Hand over what became of each."""
        for outcome, count in Counter(map(_OUTCOME, verdicts)).items():
            arrival.tell(outcome, UNKNOWN, count)
        if not self._failed:  # else what follows would be told in the place of what failed
            self._told(raws, understood, verdicts)


def vouched(caller: Caller) -> Authenticate:
    """Return an authentication that takes everything for this caller's, because a person says so."""

    async def authenticate(_raw: RawPostback, _credentials: Credentials = NO_CREDENTIALS) -> Caller:
        return caller

    return authenticate


class _InOneManner:
    """A writer to which the line says nothing of the manner, because it is the same for all."""

    def __init__(self, writer: Writes, manner: Manner) -> None:
        self._writer = writer
        self._manner = manner

    def write(self, teller: Teller, /, *entries: Entry, manner: Manner = Manner.NEW) -> Awaitable[Written]:  # noqa: ARG002 - the line's, which knows of none
        return self._writer.write(teller, *entries, manner=self._manner)


@asynccontextmanager
async def storing(ledger: Ledger, caller: Caller, told: Told, manner: Manner) -> AsyncIterator[Intake]:
    """Give a line that stores in this manner through an open ledger, which nobody else uses meanwhile."""
    metrics = Metrics()
    patient = _PATIENCE_SECONDS
    writer = Writer(OnThread(ledger), metrics, deadline=patient, quick_seconds=patient)  # each group is a full commit
    writer.start()
    try:
        yield Intake(vouched(caller), _InOneManner(writer, manner), OwnRecord(told, metrics.books))
    finally:
        await writer.close()


def rehearsing(winners: Winners | None, authenticate: Authenticate, told: Told) -> Intake:
    """Return a line that stops before it stores, and says what storing would say (see Foresight)."""
    return Intake(authenticate, Foresight(winners), OwnRecord(told))
