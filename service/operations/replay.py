"""Owns replay: rejected postbacks sent down the straight line again, where today's rules make a difference.

The raw input is parsed again, with the moment it first arrived. Who sent it is not asked again: what came with no
proof of its sender needs a person who vouches for it, or says whose it is. What would end as it did before is left
alone. What was begun is gone on with by the rules of then, so that whoever interrupts a replay makes no second outcome.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from service.auth.authenticator import Caller
from service.core.judging import Manner
from service.core.outcome import Family
from service.core.postback import Postback, RawPostback, is_whole_batch
from service.core.sender import Sender
from service.core.verdict import Understood, Verdict
from service.intake_parsing import Rows
from service.operations.importing.dating import Dating, column_refused
from service.operations.kept_input import raw_again
from service.operations.own_line import rehearsing, storing, vouched
from service.operations.replay_author import Author, is_unproven
from service.operations.sole_writer import sole_writer
from service.storage.database import Database
from service.storage.ledger import Ledger
from service.storage.reads.quarantine import Chosen
from service.storage.replays import Replays
from service.storage.schema.tables import RejectedPostback, Replay


class Attempt(NamedTuple):
    """A rejected postback and what becomes of it today; `again` is None where replaying changes nothing.

    `outcome` is the word: of a row of a newer version's it may be one that this code does not know. `why` says what is
    wrong with it by today's rules, where it was judged by them.
    """

    rejected: RejectedPostback
    outcome: str
    again: "Again | None" = None
    why: str = ""


class Step(NamedTuple):
    """Rejected postbacks that go from one outcome to another; `changes` says whether that stores anything.

    Of what nothing proved the sender, it also says who it may be: as whose it was kept, and which key it showed from
    where, and whose key that is (`key_sender`), as far as that is known.
    """

    before: str
    after: str
    changes: bool
    sender: str | None = None
    key_id: str | None = None
    client_ip: str | None = None
    key_sender: str | None = None


class Example(NamedTuple):
    """The first postback of a step that stays: its request_id, and what is wrong with it by today's rules."""

    request_id: str
    why: str


class Again(NamedTuple):
    """The input of a rejected postback as it arrived then, with the request_id of its replay, and whose it is.

    `moment_column` is what an import asked for its moment; `begun` says that its replay was begun before.
    """

    raw: RawPostback
    caller: Caller
    moment_column: str | None = None
    begun: bool = False


@dataclass(slots=True)
class ReplayReport:
    """What a replay does, or what it did once it is `done`: how many rejected postbacks went which step.

    `examples` say why the postbacks of a step stay.
    """

    steps: Counter[Step] = field(default_factory=Counter)
    examples: dict[Step, Example] = field(default_factory=dict)
    done: bool = False

    def add(self, attempts: Iterable[Attempt], author: Author) -> None:
        """Count what became of some rejected postbacks."""
        for attempt in attempts:
            step = _step(attempt, author)
            self.steps[step] += 1
            if attempt.why and not step.changes:
                self.examples.setdefault(step, Example(attempt.rejected.request_id, attempt.why))

    @property
    def changed(self) -> int:
        """How many postbacks are stored by it."""
        return sum(number for step, number in self.steps.items() if step.changes)

    def in_order(self) -> list[tuple[Step, int]]:
        """Return the steps, what changes first, and of these the most frequent first."""
        return sorted(self.steps.items(), key=lambda counted: (not counted[0].changes, -counted[1], str(counted[0])))

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {"done": self.done, "steps": [self._members(step, number) for step, number in self.in_order()]}

    def _members(self, step: Step, number: int) -> dict[str, object]:
        example = self.examples.get(step)
        return {**step._asdict(), "count": number, "example": example and example._asdict()}


async def rehearse(database: Database, chosen: Chosen, author: Author) -> ReplayReport:
    """Count what a replay of the chosen rows would do. Raises StorageError."""
    report = ReplayReport()
    async for page in Rehearsal(database, author).attempts(chosen):
        report.add(page, author)
    return report


async def replay(
    database: Database, chosen: Chosen, author: Author, agree: Callable[[ReplayReport], object]
) -> ReplayReport:
    """Do it, a page at a time; count what was done, and what was left as it is.

    `agree` is told what would be done before anything is, and raises to stop it; on SQLite nobody writes between.
    Raises BeingServed and StorageError.
    """
    database.quarantine()  # where there is no file, none is made
    with sole_writer(database, "replay") as ledger:
        foreseen = await rehearse(database, chosen, author)
        if not foreseen.changed:
            return replace(foreseen, done=True)
        agree(foreseen)
        book = database.replays()
        report = ReplayReport(done=True)
        async for page in Rehearsal(database, author).attempts(chosen):
            report.add(await carry_out(page, ledger, book, author), author)
            report.add((attempt for attempt in page if attempt.again is None), author)
    return report


def left_out(database: Database, chosen: Chosen) -> int:
    """Return how many rows are from after now, because a clock was wrong when they came. Raises StorageError."""
    return database.quarantine().count(replace(chosen, since=datetime.now(UTC), until=None))


def _step(attempt: Attempt, author: Author) -> Step:
    rejected, after, again, _ = attempt
    step = Step(rejected.outcome, after, again is not None)
    if not is_unproven(rejected) and (again is None or again.caller.sender.name == rejected.sender):
        return step
    owner = author.key_owners.get(rejected.key_id or "")
    return step._replace(sender=rejected.sender, key_id=rejected.key_id, client_ip=rejected.client_ip, key_sender=owner)


class Rehearsal:
    """Foresees what a replay would do, without doing it. It remembers the keys it would store or change only."""

    def __init__(self, database: Database, author: Author) -> None:
        self._quarantine = database.quarantine()
        self._imports = database.imports()
        self._author = author
        self._line = rehearsing(database.history().winners, vouched(Caller(author.sender)), self._hear)
        self._foreseen: dict[str, tuple[Understood, Verdict]] = {}

    async def attempts(self, chosen: Chosen) -> AsyncIterator[list[Attempt]]:
        """Yield pages of what would become of the chosen rows, oldest first: the first value of a key stands."""
        for page in self._quarantine.pages(chosen, oldest_first=True):
            agains = self._agains(page)
            self._foreseen.clear()
            if rows := [again for again in agains if again]:
                await self._line.receive_rows([_rows(rows)], amend=_amending(rows))
            yield [self._attempt(*pair) for pair in zip(page, agains, strict=True)]

    def _agains(self, page: Sequence[RejectedPostback]) -> list[Again | None]:
        """Return the input of each, and by whose rules it is judged: those by which its replay was begun, if it was."""
        begun = self._quarantine.replays_of([rejected.request_id for rejected in page])
        imports = {_request(rejected) for rejected in page if rejected.door == "import"}
        columns = {file.request_id: file.rules["moment_column"] for file in self._imports.begun(imports)}
        agains: list[Again | None] = []
        for rejected in page:
            again = _again(rejected, self._author)
            if again and rejected.door == "import":
                column = columns.get(_request(rejected), column_refused(rejected.detail))
                again = again._replace(moment_column=column)
            agains.append(again and _as_begun(again, begun.get(rejected.request_id)))
        return agains

    def _hear(self, raws: Sequence[RawPostback], understood: Sequence[Understood], verdicts: Sequence[Verdict]) -> None:
        told = zip(understood, verdicts, strict=True)
        self._foreseen.update(zip((raw.request_id for raw in raws), told, strict=True))

    def _attempt(self, rejected: RejectedPostback, again: Again | None) -> Attempt:
        if again is None:
            return Attempt(rejected, rejected.outcome)
        one, verdict = self._foreseen[again.raw.request_id]
        outcome = str(verdict.outcome.value)
        changes = isinstance(one, Postback) and (again.begun or outcome != rejected.outcome)
        return Attempt(rejected, outcome, again if changes else None, verdict.explanation)


async def carry_out(attempts: Sequence[Attempt], ledger: Ledger, book: Replays, author: Author) -> list[Attempt]:
    """Store what makes a difference, at most a batch, and return what became of it. Raises StorageError.

    Interrupted anywhere, it can be repeated: the new request_id follows from the old one, so the ledger recognises its
    own rows, and the book says what was begun, and by which rules: whoever was first decides.
    """
    wanted = [(attempt.rejected, attempt.again) for attempt in attempts if attempt.again]
    if not wanted:
        return []
    begun = await asyncio.to_thread(book.begin, [_to_begin(*one, author) for one in wanted])
    chosen = [(rejected, _as_begun(again, begun.get(rejected.request_id))) for rejected, again in wanted]
    stored = await asyncio.to_thread(_stored_unnoted, book, begun)
    done = [
        Attempt(one, stored[again.raw.request_id], again) for one, again in chosen if again.raw.request_id in stored
    ]
    chosen = [(one, again) for one, again in chosen if again.raw.request_id not in stored]

    def told(_raws: object, _understood: object, verdicts: Sequence[Verdict]) -> None:
        for (rejected, again), verdict in zip(chosen, verdicts, strict=True):
            failed = verdict.outcome.family is Family.FAILED  # nothing of it is stored: its click id was erased
            outcome = rejected.outcome if failed else str(verdict.outcome.value)
            done.append(Attempt(rejected, outcome, None if failed else again))

    rows = [again for _, again in chosen]
    async with storing(ledger, Caller(author.sender), told, Manner.AGAIN) as intake:
        await intake.receive_rows([_rows(rows)] if rows else [], amend=_amending(rows))
    await asyncio.to_thread(book.finish, {one.rejected.request_id: one.outcome for one in done if one.again})
    return done


def _stored_unnoted(book: Replays, begun: Mapping[str, Replay]) -> dict[str, str]:
    """Return what became, by new request_id, of replays that a version before migration 0007 stored and did not finish.

    It noted no rules, and by today's their keys may be others.
    """
    unnoted = [one.request_id for one in begun.values() if one.rules is None and one.outcome is None]
    return book.stored(unnoted) if unnoted else {}


def _to_begin(rejected: RejectedPostback, again: Again, author: Author) -> Replay:
    return Replay(
        rejected_request_id=rejected.request_id,
        request_id=again.raw.request_id,
        replayed_by=author.name,
        replayed_at=datetime.now(UTC),
        rules=again.caller.sender.rules(),
    )


def _as_begun(again: Again, replay: Replay | None) -> Again:
    """Return what is replayed as its replay was begun; versions before migration 0007 noted no rules."""
    if replay is None or replay.rules is None:
        return again._replace(begun=replay is not None)
    return again._replace(caller=Caller(Sender.by(replay.rules, again.caller.sender.never_keep)), begun=True)


def _rows(rows: Sequence[Again]) -> Rows:
    return Rows([again.raw for again in rows], [again.caller for again in rows])


def _amending(rows: Sequence[Again]) -> Callable[[Understood], Understood]:
    """Return what makes a replay of what was understood as its door understood it then."""
    columns = {again.raw.request_id: (again.moment_column, again.caller.sender) for again in rows}

    def amend(one: Understood) -> Understood:
        if isinstance(one, Verdict):
            return one
        column, sender = columns[one.raw.request_id]
        dated = one if column is None else Dating(column, sender)(one)
        return dated._replace(raw=dated.raw._replace(door="replay")) if isinstance(dated, Postback) else dated

    return amend


def _request(rejected: RejectedPostback) -> str:
    """Return the request_id of the batch or file whose row it is."""
    return rejected.request_id.rpartition("-")[0]


def _again(rejected: RejectedPostback, author: Author) -> Again | None:
    """Return the input and whose it is; None for what is left alone without looking at it."""
    sender = author.whose(rejected)
    if is_whole_batch(rejected.door, rejected.request_id) or sender is None:
        return None
    try:
        return Again(raw_again(rejected), Caller(sender))
    except ValueError:  # not written by us: nobody can say what it was
        return None
