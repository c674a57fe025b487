"""Owns what is recorded of the postbacks that the service received: for each one counter and one canonical log line."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import cast

from service.core.outcome import Outcome, explanation
from service.core.postback import Postback, RawPostback, Rejection, sent_status
from service.core.roster import Check
from service.core.unavailable import Overloaded, Unavailable
from service.core.verdict import REPEATED, STORED, Understood, Verdict
from service.core.version import VERSION
from service.telemetry.log import Log
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.books import UNKNOWN, Account, Together
from service.telemetry.metrics.counts import ids

_Kind = tuple[Outcome, str, bool]  # outcome, sender, and whether it is a test
_Line = dict[str, object]
_Told = tuple[RawPostback, Understood, Verdict]
_Plain = tuple[RawPostback, Postback, Verdict]


class LiveRecord:
    """The record of the running service. `clock` gives Unix seconds."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._books = metrics.books
        self._log = log
        self._clock = clock
        self._line: _Line = {**log.head("postback"), **_FIELDS}

    def arrive(self, raws: Sequence[RawPostback], entries: Sequence[Postback | Rejection]) -> Account:
        """Count what came in together; `entries` are those that could be understood."""
        return Account(self._books, raws[0].door, len(raws), _tests(entries))

    def arrive_as_one(self, raws: Sequence[RawPostback], entries: Sequence[Postback | Rejection]) -> Account:
        """Count what is all stored or not, once it is known which."""
        return Together(self._books, raws[0].door, len(raws), _tests(entries))

    def fail(self, raw: RawPostback, error: BaseException) -> Verdict:
        """Return the outcome of a failure of ours; what is unexpected is logged."""
        match error:
            case Overloaded():
                return Verdict(Outcome.OVERLOADED, str(error))
            case Unavailable():
                return Verdict(Outcome.STORAGE_UNAVAILABLE, str(error), advice=error.advice)
            case Exception():
                self._log.logger.error("unexpected_error", request_id=raw.request_id, exc_info=error)
                return Verdict(Outcome.INTERNAL_ERROR, f"{type(error).__name__}: {error}")  # its repr may hold input
            case _:
                return Verdict(Outcome.INTERNAL_ERROR, "given up by the stopping server")

    def tell(  # noqa: PLR0913 - all that a line tells; an object for it would cost a hundredth of a request
        self,
        arrival: Account,
        raws: Sequence[RawPostback],
        understood: Sequence[Understood],
        verdicts: Sequence[Verdict],
        *,
        seconds: float,
        commit_seconds: float | None,
        would_reject: Sequence[tuple[Check, Outcome]],
    ) -> None:
        """Write each postback's one counter and its one canonical line (law 2: the same word in both)."""
        common = self._common(raws[0], seconds, commit_seconds)
        if would_reject:
            common["would_reject"] = " ".join(outcome.word for _, outcome in would_reject)
        if len(raws) == 1:
            kind = self._write(common, (raws[0], understood[0], verdicts[0]))
            self._count(arrival, kind, 1, would_reject)
            return
        counted: Tally[_Kind] = Tally()
        for alike, run in groupby(zip(raws, understood, verdicts, strict=True), _kind_of_plain):
            if alike:
                counted[alike] += self._write_alike(common.copy(), [*run])
            else:
                counted.update(self._write(common.copy(), told) for told in run)
        for kind, count in counted.items():
            self._count(arrival, kind, count, would_reject)

    def _common(self, first: RawPostback, seconds: float, commit_seconds: float | None) -> _Line:
        """Return what the lines have in common, with all fields in their order. To copy a line is cheap."""
        line = self._line.copy()
        line["timestamp"] = datetime.now(UTC)
        line["trace_id"] = first.trace_id
        line["door"] = first.door
        line["method"] = first.method
        line["duration_ms"] = int(seconds * 1_000_000) / 1000
        line["commit_ms"] = commit_seconds and int(commit_seconds * 1_000_000) / 1000
        line["client_ip"] = first.client_ip
        return line

    def _write(self, line: _Line, told: _Told) -> _Kind:
        """Write the line of one postback; return of what kind it is."""
        raw, one, verdict = told
        kind = outcome, _, is_test = self._complete(line, raw, one, verdict)
        level = outcome.level
        if level != "info" and not is_test:  # the last one that is noteworthy
            self._metrics.exemplars[raw.door, outcome] = ids(raw.trace_id, raw.request_id)
        self._log.write(level, line)
        return kind

    def _write_alike(self, line: _Line, run: Sequence[_Told]) -> int:
        """Write the lines of postbacks that came one after the other and are of one kind, with nothing to explain."""
        outcome, _, _ = self._complete(line, *run[0])
        own = [(raw.request_id, one.click_id, one.value) for raw, one, _ in cast("list[_Plain]", run)]
        self._log.write_alike(outcome.level, line, ("request_id", "click_id", "value"), own)
        return len(run)

    def _count(self, arrival: Account, kind: _Kind, count: int, would_reject: Sequence[tuple[Check, Outcome]]) -> None:
        outcome, sender, is_test = kind
        arrival.tell(outcome, sender, count, is_test)
        if is_test:
            return
        if outcome is Outcome.STORED:
            self._metrics.last_stored_at = self._clock()
        for check, _ in would_reject:
            self._metrics.would_reject[check] += count

    def _complete(self, line: _Line, raw: RawPostback, one: Understood, verdict: Verdict) -> _Kind:
        """Write one postback's own fields into its line."""
        outcome, detail, diagnosis, _, _, _ = verdict
        line["request_id"] = raw.request_id
        line["status"] = sent_status(raw.door, outcome, raw.request_id, detail)
        line["outcome"] = outcome.word
        sender, is_test = UNKNOWN, False
        if not isinstance(one, Verdict):
            sender, is_test = one.sender or sender, one.is_test
            line["sender"] = sender
            line["click_id"] = one.click_id
            line["value"] = one.value
            if is_test:
                line["is_test"] = True
            if one.diagnosis:
                self._metrics.mistakes[one.diagnosis.mistake] += 1
                diagnosis = diagnosis or (None if detail else one.diagnosis)
        elif one.sender:
            sender = line["sender"] = one.sender
        if detail or diagnosis:
            line["detail"] = explanation(detail, diagnosis)
        return outcome, sender, is_test


def _kind_of_plain(told: _Told) -> _Kind | None:
    """Return the kind of a postback with nothing to explain; None: its line is like no other."""
    _, one, verdict = told
    if (verdict is STORED or verdict is REPEATED) and type(one) is Postback and not one.diagnosis:
        return verdict.outcome, one.sender, one.is_test
    return None


def _tests(entries: Sequence[Postback | Rejection]) -> int:
    tests = 0
    for one in entries:
        if one.is_test:
            tests += 1
    return tests


_FIELDS: _Line = {
    "request_id": "",
    "trace_id": "",
    "door": "",
    "method": "",
    "status": 0,
    "outcome": "",
    "sender": UNKNOWN,
    "click_id": None,
    "value": None,
    "duration_ms": 0.0,
    "commit_ms": None,
    "client_ip": "",
    "version": VERSION,
}
