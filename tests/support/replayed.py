"""Owns rejections that are replayed: what is foreseen of each, and what is done."""

import asyncio
from collections.abc import Sequence

from service.core.outcome import Outcome
from service.core.postback import RawPostback, Rejection
from service.operations.replay import Attempt, Rehearsal, carry_out
from service.operations.replay_author import Author
from service.storage.ledger import Ledger
from service.storage.reads.quarantine import Chosen
from tests.support import builders
from tests.support.engines import Engine

FORM = "application/x-www-form-urlencoded"
ME = Author("me")
WAITING = Chosen(not_replayed=True)


def refused(
    query: str, outcome: Outcome = Outcome.INVALID_VALUE, sender: str | None = "ezmob", raw: RawPostback | None = None
) -> Rejection:
    """Return a rejection by rules that are no longer today's."""
    return Rejection(raw or builders.raw(query), sender, outcome, "an older rule", None)


def foreseen(engine: Engine, author: Author = ME) -> list[Attempt]:
    """Rehearse the replay of everything that waits."""

    async def attempts() -> list[Attempt]:
        rehearsal = Rehearsal(engine.database, author)
        return [attempt async for page in rehearsal.attempts(WAITING) for attempt in page]

    return asyncio.run(attempts())


def carried_out(attempts: Sequence[Attempt], engine: Engine, ledger: Ledger, author: Author = ME) -> list[str]:
    """Replay these, and return what became of each."""
    done = asyncio.run(carry_out(attempts, ledger, engine.database.replays(), author))
    return [attempt.outcome for attempt in done]


def replayed(engine: Engine, ledger: Ledger, author: Author = ME) -> list[str]:
    """Replay everything that can be accepted, and return what became of each."""
    return carried_out(foreseen(engine, author), engine, ledger, author)


def outcomes(attempts: Sequence[Attempt]) -> list[tuple[str, bool]]:
    """Return what is foreseen of each, and whether it will be done."""
    return [(attempt.outcome, attempt.again is not None) for attempt in attempts]
