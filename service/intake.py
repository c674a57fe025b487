"""Owns the straight line that every postback walks: authenticate, parse, store, record."""

import asyncio
import time

from service.auth.authenticator import Authenticate
from service.log import Log
from service.metrics import Metrics
from service.metrics.counts import ids
from service.outcome import Outcome, Rejected
from service.postback import Postback, RawPostback, Rejection, claimed_click_id, parse, sent_status
from service.sender import EZMOB, Sender
from service.storage.engine import StorageError
from service.storage.ledger import Verdict
from service.version import VERSION
from service.writer import Overloaded, Writes

Understood = Postback | Rejection


class Intake:
    """The one way in. Every door hands its input to `receive` and renders the verdict; nothing else decides."""

    def __init__(self, authenticate: Authenticate, writer: Writes, metrics: Metrics, log: Log) -> None:
        self._authenticate = authenticate
        self._writer = writer
        self._metrics = metrics
        self._log = log

    async def receive(self, raw: RawPostback, refusal: Rejected | None = None) -> Verdict:
        """Give one postback its one outcome: when this returns an accepted or kept one, it is durable.

        `refusal` is why its door could not make postbacks of it; whoever may not come in does not hear that.
        """
        started = time.perf_counter()
        understood: Understood | None = None
        commit_seconds: float | None = None
        self._metrics.arrived[raw.door] += 1
        self._metrics.in_progress += 1
        try:
            understood = self._understand(raw, refusal)
            verdict, commit_seconds = await self._writer.write(understood)
            self._metrics.unacknowledged -= 1
        except Overloaded as error:
            verdict = Verdict(Outcome.OVERLOADED, str(error))
        except StorageError as error:
            verdict = Verdict(Outcome.STORAGE_UNAVAILABLE, str(error))
        except Exception as error:
            self._log.logger.exception("unexpected_error", request_id=raw.request_id)
            verdict = Verdict(Outcome.INTERNAL_ERROR, f"{type(error).__name__}: {error}")  # its repr may hold input
        except asyncio.CancelledError:
            verdict = Verdict(Outcome.INTERNAL_ERROR, "given up by the stopping server")
            self._record(raw, understood, verdict, time.perf_counter() - started, None)
            raise
        finally:
            self._metrics.in_progress -= 1
        self._record(raw, understood, verdict, time.perf_counter() - started, commit_seconds)
        return verdict

    def _understand(self, raw: RawPostback, refusal: Rejected | None) -> Understood:
        """Authenticate and parse; the one place where a rejection is caught."""
        sender: Sender | None = None
        try:
            sender = self._authenticate(raw)
            if refusal:
                raise refusal
            return parse(raw, sender)
        except Rejected as rejected:
            click_id = claimed_click_id(raw, sender or EZMOB)
            return Rejection(raw, sender.name if sender else None, rejected.outcome, rejected.detail, click_id)

    def _record(
        self,
        raw: RawPostback,
        understood: Understood | None,
        verdict: Verdict,
        seconds: float,
        commit_seconds: float | None,
    ) -> None:
        """Write the postback's one counter and its one canonical line (law 2: the same word in both)."""
        outcome = verdict.outcome
        sender = (understood and understood.sender) or "unknown"
        noteworthy = outcome.level != "info"
        self._metrics.count_received(
            raw.door, outcome, sender, ids(raw.trace_id, raw.request_id) if noteworthy else None
        )
        if outcome is Outcome.STORED:
            self._metrics.last_stored_at = time.time()
        line: dict[str, object] = {
            "request_id": raw.request_id,
            "trace_id": raw.trace_id,
            "door": raw.door,
            "method": raw.method,
            "status": sent_status(raw.door, outcome),
            "outcome": outcome.value,
            "sender": sender,
            "click_id": understood and understood.click_id,
            "value": understood.value if type(understood) is Postback else None,
            "duration_ms": round(seconds * 1000, 3),
            "commit_ms": commit_seconds and round(commit_seconds * 1000, 3),
            "client_ip": raw.client_ip,
            "version": VERSION,
        }
        if verdict.detail:
            line["detail"] = verdict.detail
        self._log.line(outcome.level, "postback", line)
