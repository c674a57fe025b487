"""Owns what is recorded of the postbacks that the service received: for each one counter and one canonical log line."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby

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


class LiveRecord:
    """The record of the running service. `clock` gives Unix seconds."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float] = time.time) -> None:
        self._metrics = metrics
        self._books = metrics.books
        self._log = log
        self._clock = clock

    def arrive(self, raws: Sequence[RawPostback], entries: Sequence[Postback | Rejection]) -> Account:
        """Count what came in together; `entries` are those that could be understood."""
        return Account(self._books, raws[0].door, len(raws), [one.is_test for one in entries].count(True))

    def arrive_as_one(self, raws: Sequence[RawPostback], entries: Sequence[Postback | Rejection]) -> Account:
        """Count what is all stored or not, once it is known which."""
        return Together(self._books, raws[0].door, len(raws), [one.is_test for one in entries].count(True))

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
            common["would_reject"] = " ".join(outcome.value for _, outcome in would_reject)
        counted: dict[_Kind, int] = {}
        noteworthy: dict[Outcome, RawPostback] = {}
        if len(raws) == 1:
            self._write(common, (raws[0], understood[0], verdicts[0]), counted, noteworthy)
        else:
            for alike, run in groupby(zip(raws, understood, verdicts, strict=True), _what_makes_alike):
                if alike:
                    self._write_alike(common, [*run], counted, noteworthy)
                else:
                    for told in run:
                        self._write(common.copy(), told, counted, noteworthy)
        self._count(arrival, counted, noteworthy)
        for check, _ in would_reject:
            self._metrics.would_reject[check] += sum(count for (*_, is_test), count in counted.items() if not is_test)

    def _common(self, first: RawPostback, seconds: float, commit_seconds: float | None) -> _Line:
        """Return what the lines have in common, with all fields in their order."""
        return {
            **self._log.head("postback"),
            "request_id": "",
            "trace_id": first.trace_id,
            "door": first.door,
            "method": first.method,
            "status": 0,
            "outcome": "",
            "sender": UNKNOWN,
            "click_id": None,
            "value": None,
            "duration_ms": round(seconds * 1000, 3),
            "commit_ms": commit_seconds and round(commit_seconds * 1000, 3),
            "client_ip": first.client_ip,
            "version": VERSION,
        }

    def _write(
        self, line: _Line, told: _Told, counted: dict[_Kind, int], noteworthy: dict[Outcome, RawPostback]
    ) -> None:
        """Write the line of one postback."""
        kind = outcome, _, is_test = self._complete(line, *told)
        counted[kind] = counted.get(kind, 0) + 1
        if outcome.level != "info" and not is_test:
            noteworthy[outcome] = told[0]
        self._log.write(outcome.level, line)

    def _write_alike(
        self, common: _Line, told: Sequence[_Told], counted: dict[_Kind, int], noteworthy: dict[Outcome, RawPostback]
    ) -> None:
        """Write the lines of postbacks that came one after the other and of which the same became."""
        line = common.copy()
        kind = outcome, _, is_test = self._complete(line, *told[0])
        counted[kind] = counted.get(kind, 0) + len(told)
        if outcome.level != "info" and not is_test:
            noteworthy[outcome] = told[-1][0]
        own = [(raw.request_id, one.click_id, one.value) for raw, one, _ in told if type(one) is Postback]
        self._log.write_alike(outcome.level, line, ("request_id", "click_id", "value"), own)

    def _complete(self, line: _Line, raw: RawPostback, one: Understood, verdict: Verdict) -> _Kind:
        """Write one postback's own fields into its line."""
        outcome, detail, diagnosis, _, _ = verdict
        line["request_id"] = raw.request_id
        line["status"] = sent_status(raw.door, outcome)
        line["outcome"] = outcome.value
        sender, is_test = UNKNOWN, False
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
        return outcome, sender, is_test

    def _count(self, arrival: Account, counted: dict[_Kind, int], noteworthy: dict[Outcome, RawPostback]) -> None:
        """Count what became of postbacks, by sender and whether they are tests; one of the noteworthy is remembered."""
        for (outcome, sender, is_test), count in counted.items():
            arrival.tell(outcome, sender, count, is_test=is_test)
            if outcome is Outcome.STORED and not is_test:
                self._metrics.last_stored_at = self._clock()
        for outcome, raw in noteworthy.items():
            self._metrics.exemplars[raw.door, outcome] = ids(raw.trace_id, raw.request_id)


def _what_makes_alike(told: _Told) -> tuple[Verdict, str, bool] | None:
    """Return what two lines must have in common to differ in nothing but ids and value; None: no line is like this."""
    _, one, verdict = told
    if type(one) is Postback and (verdict is STORED or verdict is REPEATED) and not one.diagnosis:
        return verdict, one.sender, one.is_test
    return None
