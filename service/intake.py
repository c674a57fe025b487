"""Owns the straight line that every postback walks: authenticate, parse, store, record."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from typing import cast

from service.auth.authenticator import Authenticate, Caller, WouldReject
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.auth.keys import id_shown
from service.core.batch import Batch, as_kept, split_batch
from service.core.judging import AllRefused, Manner, refused_whole
from service.core.mistakes import rejection_of
from service.core.moment import clock_refusal
from service.core.never_keep import dropped
from service.core.outcome import Outcome, Rejected
from service.core.postback import BATCH_PATH, HEALTH_PATH, Postback, RawPostback, Rejection, door_path, missed_door
from service.core.redaction import id_redacted
from service.core.unavailable import Overloaded, Unavailable
from service.core.verdict import Understood, Verdict
from service.intake_contract import IncomingBatch, Record
from service.intake_parsing import Parsing, Rows
from service.writing.writer import Writes

GROUP_ROWS = 512  # of a batch, in one commit: more would keep those waiting that come one by one
_GROUP_BYTES = 256 * 1024  # for the same reason: so many ordinary rows have less
_BATCHES_AT_ONCE = 2  # a group of each is under way, so who comes one by one finds places in the queue

Known = Callable[[RawPostback, Credentials], Caller | None]  # who that is, where nobody has to be asked


class Intake:
    """The one way in. Every door hands its input to it and shows the verdict; nothing else decides.

    `clock` gives seconds. `manner` is how what comes in is written. `nobodys` names what is not kept of strangers;
    `sampled` says what is kept of a refused one's.
    """

    def __init__(  # noqa: PLR0913 - its parts, and what is asked of it
        self,
        authenticate: Authenticate,
        writer: Writes,
        record: Record,
        clock: Callable[[], float] = time.perf_counter,
        *,
        known: Known = lambda _raw, _credentials: None,
        nobodys: Callable[[], frozenset[str]] = frozenset,
        manner: Manner = Manner.NEW,
        sampled: Callable[[Rejection], Rejection] = lambda refused: refused,
    ) -> None:
        self._authenticate = authenticate
        self._known = known
        self._nobodys = nobodys
        self._writer = writer
        self._record = record
        self._clock = clock
        self._manner = manner
        self._parsing = Parsing(record, clock)
        self._understand = self._parsing.of_one
        self._sampled = sampled
        self._turns = asyncio.Semaphore(_BATCHES_AT_ONCE)
        self._alone = asyncio.Lock()  # batches of all or none, so that who comes one by one waits for one of them

    async def receive(self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS) -> Verdict:
        """Give one postback its one outcome: when this returns an accepted or kept one, it is durable."""
        started = self._clock()
        caller: Caller | Understood | None = None
        if not clock_refusal(raw.received_at):
            caller = self._known(raw, credentials)
        if caller is None:
            caller = await self._who(raw, credentials)
        if not isinstance(caller, Caller):
            return (await self._settle([raw], [caller], started))[0]
        if caller.is_test or caller.sender.never_keep:
            raw = _of(caller, raw)
        return (await self._settle([raw], [self._understand(raw, caller)], started, caller.would_reject))[0]

    def may_know(self, raw: RawPostback, credentials: Credentials) -> bool:
        """Say whether it can be known who sent what came to no door, before its body is read."""
        return credentials.shown or self._known(raw, credentials) is not None

    async def receive_stray(self, raw: RawPostback, credentials: Credentials) -> Verdict | None:
        """Keep what came by a path or method that is no door's, as if it had missed /postback.

        None: it shows nobody's good credentials, or names no click. Where health is asked for, a key says nothing.
        """
        started = self._clock()
        caller = await self._who(raw, credentials)
        raw = raw._replace(door="postback")
        if not isinstance(caller, Caller):
            return None if isinstance(caller, Rejection) else await self._settle_whole(raw, caller, started)
        wrong = caller.refusal or Rejected(Outcome.UNKNOWN_PATH, missed_door(raw.method, raw.path) or "")
        stray = rejection_of(_of(caller, raw), caller.sender, wrong)
        stray = replace(stray, key_id=caller.key_id) if caller.refusal else stray
        if not caller.refusal and raw.body and door_path(raw.path) == BATCH_PATH:
            stray = replace(stray, hint="Send the batch again to /postbacks, as POST: it is not replayed as it is.")
        if stray.click_id is None and (raw.path == HEALTH_PATH or not credentials.shown):
            return None
        return await self._settle_whole(stray.raw, stray, started, caller.would_reject)

    async def receive_batch(self, incoming: IncomingBatch) -> Verdict | list[Verdict]:
        """Give each row of a batch its outcome, in order; or the whole one outcome, when it cannot be taken apart.

        Who may send it is judged first, and the body of any other batch is not waited for.
        """
        started, head = self._clock(), incoming.head
        caller = await self._who(head, incoming.credentials, incoming.so_far)
        if not isinstance(caller, Caller):
            return await self._settle_whole(head, caller, started)
        if caller.refusal:
            kept = _of(caller, as_kept(incoming.so_far()))
            refused = replace(rejection_of(kept, caller.sender, caller.refusal), key_id=caller.key_id)
            return await self._settle_whole(refused.raw, refused, started, caller.would_reject)
        try:
            raw = await incoming.whole(caller.sender.name)
        except Overloaded as error:
            return await self._settle_whole(head, self._parsing.fail(head, error, caller), started)
        async with self._turns:
            return await self._receive_whole(raw, caller)

    async def _receive_whole(self, raw: RawPostback, caller: Caller) -> Verdict | list[Verdict]:
        """Give each row of a batch of a known sender its outcome, now that all of it is here."""
        started = self._clock()
        try:
            batch = await asyncio.to_thread(split_batch, raw)
        except Exception as error:  # noqa: BLE001 - it is told, as a rejection or as a fault of ours
            return await self._settle_unsplit(await _whole(raw, caller), error, caller, started)
        batch = replace(batch, raw=_of(caller, batch.raw))
        caller.charge(len(batch.rows) - 1)
        if batch.atomic:
            return await self._settle_atomically(await _whole(raw, caller), batch, caller, started)
        groups = (Rows(raws, repeat(caller)) for raws in batch.groups(GROUP_ROWS, _GROUP_BYTES))
        verdicts: list[Verdict] = []
        await self.receive_rows(groups, told=verdicts.extend, would_reject=caller.would_reject)
        return verdicts

    async def receive_rows(
        self,
        groups: Iterable[Rows],
        *,
        amend: Callable[[Understood], Understood] | None = None,
        told: Callable[[Sequence[Verdict]], object] = bool,
        would_reject: Sequence[WouldReject] = (),
        ahead: int = 1,
    ) -> None:
        """Give each row of known callers its outcome, in order: `ahead` groups are stored while the next is parsed.

        `amend` may change what was understood before it is stored; `told` hears of each group. Raises what the record
        raises of a failure.
        """
        storing: deque[asyncio.Task[Sequence[Verdict]]] = deque()
        try:
            for rows in map(Rows.kept, groups):
                started = self._clock()
                understood = await self._parsing.of_all(rows)
                if amend:
                    understood = [*map(amend, understood)]
                if len(storing) == ahead:
                    told(await storing.popleft())
                storing.append(asyncio.create_task(self._settle(rows.raws, understood, started, would_reject)))
            while storing:
                told(await storing.popleft())
        finally:
            for task in storing:
                task.cancel()
            await asyncio.gather(*storing, return_exceptions=True)

    async def _who(
        self, raw: RawPostback, credentials: Credentials, so_far: Callable[[], RawPostback] | None = None
    ) -> Caller | Understood:
        """Say who sent it, or what becomes of it (of a batch: of what came `so_far`) because that is not known."""
        if refusal := clock_refusal(raw.received_at):
            return self._record.fail(raw, Unavailable(refusal))
        try:
            return await self._authenticate(raw, credentials)
        except Rejected as rejected:
            refused = rejection_of(dropped(as_kept(so_far()) if so_far else raw, self._nobodys()), None, rejected)
            return self._sampled(replace(refused, key_id=id_shown(credentials.keys) or id_redacted(raw.query)))
        except Exception as error:  # noqa: BLE001 - a fault of ours
            return self._record.fail(raw, error)

    async def _settle_unsplit(self, whole: RawPostback, error: Exception, caller: Caller, started: float) -> Verdict:
        """Say what becomes of a batch whose rows cannot be had."""
        if isinstance(error, Rejected):
            became = rejection_of(whole, caller.sender, error)
            return await self._settle_whole(whole, became, started, caller.would_reject)
        return await self._settle_whole(whole, self._parsing.fail(whole, error, caller), started)

    async def _settle_atomically(
        self, raw: RawPostback, batch: Batch, caller: Caller, started: float
    ) -> Verdict | list[Verdict]:
        """Store all rows in one commit; the first that cannot be accepted is the outcome of the whole."""
        rows = Rows(batch.postbacks(), repeat(caller)).kept()
        understood = await self._parsing.of_all(rows)
        for number, one in enumerate(understood, 1):
            if not isinstance(one, Postback):
                why = f"row {number}, so none of them was stored: {one.detail}"
                whole = replace(one, raw=raw, detail=why) if isinstance(one, Rejection) else one._replace(detail=why)
                return await self._settle_whole(raw, whole, started, caller.would_reject)
        async with self._alone:
            try:
                return [*await self._settle(rows.raws, understood, started, caller.would_reject, as_one=True)]
            except AllRefused as refused:
                whole = refused_whole(raw, understood, refused.refusal)
        return await self._settle_whole(raw, whole, started, caller.would_reject)

    async def _settle_whole(
        self, raw: RawPostback, became: Understood, started: float, would_reject: Sequence[WouldReject] = ()
    ) -> Verdict:
        (verdict,) = await self._settle([raw], [became], started, would_reject)
        return verdict

    async def _settle(
        self,
        raws: Sequence[RawPostback],
        understood: Sequence[Understood],
        started: float,
        would_reject: Sequence[WouldReject] = (),
        *,
        as_one: bool = False,
    ) -> Sequence[Verdict]:
        """Store postbacks of one door in one commit, and record what became of each.

        `as_one`: all of them are stored, or AllRefused is raised and nothing recorded.
        """
        entries = cast("Sequence[Postback | Rejection]", understood)
        if Verdict in map(type, understood):
            entries = [one for one in understood if not isinstance(one, Verdict)]
        arrival = self._record.arrive_as_one(raws, entries) if as_one else self._record.arrive(raws, entries)
        manner = Manner.ATOMIC if as_one else self._manner
        verdicts, commit_seconds, ending = _NONE_STORED
        try:
            try:
                if entries:
                    verdicts, commit_seconds = await self._writer.write(arrival, *entries, manner=manner)
            except AllRefused:
                raise
            except BaseException as error:  # noqa: BLE001 - a fault of ours, or the server ends: raised again below
                verdicts = [self._record.fail(raws[0], error)] * len(entries)
                ending = None if isinstance(error, Exception) else error
            if len(entries) < len(understood):
                stored = iter(verdicts)
                verdicts = [one if isinstance(one, Verdict) else next(stored) for one in understood]
            self._record.tell(
                arrival,
                raws,
                understood,
                verdicts,
                seconds=self._clock() - started,
                commit_seconds=commit_seconds,
                would_reject=would_reject,
            )
        finally:
            arrival.end()
        if ending:
            raise ending
        return verdicts


def _of(caller: Caller, raw: RawPostback) -> RawPostback:
    """Return the input as its sender and its key want it: that of a test key is a test, whatever it holds."""
    return dropped(raw._replace(is_test=True) if caller.is_test else raw, caller.sender.never_keep)


async def _whole(raw: RawPostback, caller: Caller) -> RawPostback:
    """Return a batch as it is kept when nothing of it is stored. To take secrets out may take long."""
    return _of(caller, await asyncio.to_thread(as_kept, raw))


_NONE_STORED: tuple[Sequence[Verdict], float | None, BaseException | None] = ((), None, None)
