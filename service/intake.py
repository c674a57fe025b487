"""Owns the straight line that every postback walks: authenticate, parse, store, record."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from service.auth.authenticator import Authenticate, Caller, WouldReject
from service.auth.credentials import NO_CREDENTIALS, Credentials
from service.core.batch import Batch, as_kept, split_batch
from service.core.mistakes import diagnose_accepted, rejection_of
from service.core.outcome import Outcome, Rejected, explanation
from service.core.parsing import parse
from service.core.postback import Door, Postback, RawPostback, Rejection, as_test, sent_status
from service.core.unavailable import StorageError, Unavailable
from service.core.verdict import Verdict
from service.core.version import VERSION
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.counts import ids
from service.writing.writer import Overloaded, Writes

GROUP_ROWS = 512  # of a batch, in one commit: more would keep those waiting that come one by one
_Counted = dict[tuple[Outcome, str, bool], int]  # how many of each outcome, sender, and whether they are tests
_ROWS_AT_ONCE = 128  # parsed before others have their turn: a third of a millisecond


class Intake:
    """The one way in. Every door hands its input to `receive` and renders the verdict; nothing else decides."""

    def __init__(self, authenticate: Authenticate, writer: Writes, metrics: Metrics, log: Log) -> None:
        self._authenticate = authenticate
        self._writer = writer
        self._metrics = metrics
        self._log = log
        self._alone = asyncio.Lock()  # batches of all or none, so that who comes one by one waits for one of them

    async def receive(self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS) -> Verdict:
        """Give one postback its one outcome: when this returns an accepted or kept one, it is durable."""
        started = time.perf_counter()
        caller = await self._who(raw, credentials)
        if isinstance(caller, Caller):
            raw = as_test(raw) if caller.is_test else raw
            (verdict,) = await self._settle([raw], [self._understand(raw, caller)], started, caller.would_reject)
        else:
            (verdict,) = await self._settle([raw], [caller], started)
        return verdict

    async def turn_away(self, raw: RawPostback, why: str) -> Verdict:
        """Give what there is no room for its one outcome, unread."""
        (verdict,) = await self._settle([raw], [Verdict(Outcome.OVERLOADED, why)], time.perf_counter())
        return verdict

    async def receive_batch(
        self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS
    ) -> Verdict | list[Verdict]:
        """Give each row of a batch its outcome, in order; or the whole one outcome, when it cannot be taken apart.

        A group of rows is stored while the next is being parsed.
        """
        started = time.perf_counter()
        whole = as_kept(raw)
        caller = await self._who(raw, credentials, whole)
        if not isinstance(caller, Caller):
            (verdict,) = await self._settle([whole], [caller], started)
            return verdict
        whole = as_test(whole) if caller.is_test else whole
        try:
            batch = await asyncio.to_thread(split_batch, _admitted(raw, caller))
        except Rejected as rejected:
            refused = rejection_of(whole, caller.sender, rejected)
            (verdict,) = await self._settle([whole], [refused], started, caller.would_reject)
            return verdict
        except Exception as error:  # noqa: BLE001 - a fault of ours
            (verdict,) = await self._settle([whole], [self._fault(whole, error)], started)
            return verdict
        batch = replace(batch, raw=as_test(batch.raw)) if caller.is_test else batch
        caller.charge(len(batch.rows) - 1)
        if batch.atomic:
            return await self._settle_atomically(whole, batch, caller, started)
        settling: list[asyncio.Task[Sequence[Verdict]]] = []
        async with asyncio.TaskGroup() as tasks:
            for first in range(0, len(batch.rows), GROUP_ROWS):
                started = time.perf_counter()
                rows = batch.postbacks(first, GROUP_ROWS)
                understood = await self._understand_all(rows, caller)
                if settling:
                    await settling[-1]
                settling.append(tasks.create_task(self._settle(rows, understood, started, caller.would_reject)))
        return [verdict for task in settling for verdict in task.result()]

    async def _settle_atomically(
        self, raw: RawPostback, batch: Batch, caller: Caller, started: float
    ) -> Verdict | list[Verdict]:
        """Store all rows in one commit; the first that cannot be accepted is the outcome of the whole."""
        rows = batch.postbacks(0, len(batch.rows))
        understood = await self._understand_all(rows, caller)
        for number, one in enumerate(understood, 1):
            if not isinstance(one, Postback):
                why = f"row {number}, so none of them was stored: {one.detail}"
                whole = replace(one, raw=raw, detail=why) if isinstance(one, Rejection) else one._replace(detail=why)
                (verdict,) = await self._settle([raw], [whole], started, caller.would_reject)
                return verdict
        async with self._alone:
            return [*await self._settle(rows, understood, started, caller.would_reject)]

    async def _who(
        self, raw: RawPostback, credentials: Credentials, kept: RawPostback | None = None
    ) -> "Caller | _Understood":
        """Say who sent it, or what becomes of it (or of what is `kept` of it) because that is not known."""
        try:
            return await self._authenticate(raw, credentials)
        except Rejected as rejected:
            return rejection_of(kept or raw, None, rejected)
        except Unavailable as error:
            return Verdict(Outcome.STORAGE_UNAVAILABLE, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours
            return self._fault(raw, error)

    async def _understand_all(self, rows: Sequence[RawPostback], caller: Caller) -> "list[_Understood]":
        """Parse many, and let others have their turns."""
        understood: list[_Understood] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            understood += [self._understand(row, caller) for row in rows[first : first + _ROWS_AT_ONCE]]
            await asyncio.sleep(0)
        return understood

    def _understand(self, raw: RawPostback, caller: Caller) -> "_Understood":
        """Parse what a known sender sent, unless it may not send it."""
        sender = caller.sender
        try:
            postback = parse(_admitted(raw, caller) if caller.refusal else raw, sender)
            if caller.is_test and not postback.is_test:  # the body says otherwise
                postback = postback._replace(is_test=True)
            odd = diagnose_accepted(postback, sender)
            return postback._replace(diagnosis=odd) if odd else postback
        except Rejected as rejected:
            return rejection_of(raw, sender, rejected)
        except Exception as error:  # noqa: BLE001 - a fault of ours
            return self._fault(raw, error)

    def _fault(self, raw: RawPostback, error: Exception) -> Verdict:
        self._log.logger.error("unexpected_error", request_id=raw.request_id, exc_info=error)
        return Verdict(Outcome.INTERNAL_ERROR, f"{type(error).__name__}: {error}")  # its repr may hold input

    async def _settle(
        self,
        raws: Sequence[RawPostback],
        understood: Sequence["_Understood"],
        started: float,
        would_reject: Sequence[WouldReject] = (),
    ) -> Sequence[Verdict]:
        """Store postbacks of one door in one commit, and record what became of each."""
        entries = [one for one in understood if not isinstance(one, Verdict)]
        commit_seconds: float | None = None
        tests = [one.is_test for one in entries].count(True)
        self._metrics.arrived[raws[0].door] += len(raws) - tests
        self._metrics.tests_arrived += tests
        self._metrics.in_progress += len(raws)
        try:
            verdicts: Sequence[Verdict] = []
            if entries:
                verdicts, commit_seconds = await self._writer.write(*entries)
                self._metrics.unacknowledged -= len(entries)
        except Overloaded as error:
            verdicts = [Verdict(Outcome.OVERLOADED, str(error))] * len(entries)
        except StorageError as error:
            verdicts = [Verdict(Outcome.STORAGE_UNAVAILABLE, str(error))] * len(entries)
        except Exception as error:  # noqa: BLE001 - a fault of ours
            verdicts = [self._fault(raws[0], error)] * len(entries)
        except BaseException:
            verdicts = [Verdict(Outcome.INTERNAL_ERROR, "given up by the stopping server")] * len(entries)
            raise
        finally:
            self._metrics.in_progress -= len(raws)
            if len(entries) < len(understood):
                stored = iter(verdicts)
                verdicts = [one if isinstance(one, Verdict) else next(stored) for one in understood]
            seconds = time.perf_counter() - started
            self._record(raws, understood, verdicts, seconds, commit_seconds=commit_seconds, would_reject=would_reject)
        return verdicts

    def _record(  # noqa: PLR0913 - all that a line tells
        self,
        raws: Sequence[RawPostback],
        understood: Sequence["_Understood"],
        verdicts: Sequence[Verdict],
        seconds: float,
        *,
        commit_seconds: float | None,
        would_reject: Sequence[WouldReject],
    ) -> None:
        """Write each postback's one counter and its one canonical line (law 2: the same word in both)."""
        common: dict[str, object] = {
            **self._log.head("postback"),
            "request_id": "",
            "trace_id": raws[0].trace_id,
            "door": raws[0].door,
            "method": raws[0].method,
            "status": 0,
            "outcome": "",
            "sender": "unknown",
            "click_id": None,
            "value": None,
            "duration_ms": round(seconds * 1000, 3),
            "commit_ms": commit_seconds and round(commit_seconds * 1000, 3),
            "client_ip": raws[0].client_ip,
            "version": VERSION,
        }
        if would_reject:
            common["would_reject"] = " ".join(outcome.value for _, outcome in would_reject)
        heads: dict[Outcome, dict[str, object]] = {}
        counted: _Counted = {}
        noteworthy: dict[Outcome, RawPostback] = {}
        for raw, one, verdict in zip(raws, understood, verdicts, strict=True):
            outcome, detail, diagnosis, _ = verdict
            head = heads.get(outcome)
            if head is None:
                head = heads[outcome] = common.copy() if heads else common
                head["status"] = sent_status(raw.door, outcome)
                head["outcome"] = outcome.value
            line = head.copy()
            line["request_id"] = raw.request_id
            sender, is_test = "unknown", False
            if not isinstance(one, Verdict):
                line["sender"] = sender = one.sender or sender
                line["click_id"] = one.click_id
                line["value"] = one.value if type(one) is Postback else None
                if is_test := one.is_test:
                    line["is_test"] = True
                if one.diagnosis:
                    self._metrics.mistakes[one.diagnosis.mistake] += 1
                    diagnosis = diagnosis or (None if detail else one.diagnosis)
            if detail or diagnosis:
                line["detail"] = explanation(detail, diagnosis)
            if outcome.level != "info" and not is_test:
                noteworthy[outcome] = raw
            kind = (outcome, sender, is_test)
            counted[kind] = counted.get(kind, 0) + 1
            self._log.write(outcome.level, line)
        self._count(raws[0].door, counted, noteworthy)
        for check, _ in would_reject:
            self._metrics.would_reject[check] += sum(count for (*_, is_test), count in counted.items() if not is_test)

    def _count(self, door: Door, counted: _Counted, noteworthy: dict[Outcome, RawPostback]) -> None:
        """Count what became of postbacks, by sender and whether they are tests; one of the noteworthy is remembered."""
        for (outcome, sender, is_test), count in counted.items():
            if is_test:
                self._metrics.tests[outcome] += count
                continue
            last = noteworthy.get(outcome)
            exemplar = ids(last.trace_id, last.request_id) if last else None
            self._metrics.count_received(door, outcome, sender, count, exemplar)
            if outcome is Outcome.STORED:
                self._metrics.last_stored_at = time.time()


def _admitted(raw: RawPostback, caller: Caller) -> RawPostback:
    """Return what was sent. Raises `Rejected` when its sender may not send it."""
    if caller.refusal:
        raise caller.refusal.with_traceback(None)
    return raw


_Understood = Postback | Rejection | Verdict  # a verdict: it could not be understood, by our fault
