"""Owns what the straight line asks of those at its two ends: a batch on its way in, and the record of what became."""

from collections.abc import Sequence
from typing import Protocol

from service.auth.authenticator import WouldReject
from service.auth.credentials import Credentials
from service.core.postback import Postback, RawPostback, Rejection
from service.core.verdict import Understood, Verdict
from service.telemetry.metrics.books import Account


class Record(Protocol):
    """What is recorded of postbacks: in the running service by counters and the log, in a command by its report."""

    def arrive(self, raws: Sequence[RawPostback], entries: Sequence[Postback | Rejection], /) -> Account:
        """Count what came in together; `entries` are those of it that could be understood."""

    def arrive_as_one(self, raws: Sequence[RawPostback], entries: Sequence[Postback | Rejection], /) -> Account:
        """Count what came in, of which all is stored or none, once it is known which."""

    def fail(self, raw: RawPostback, error: BaseException, /) -> Verdict:
        """Return what becomes of postbacks that we failed on. Where nobody is answered, raise the error."""

    def tell(  # noqa: PLR0913 - all that a line tells
        self,
        arrival: Account,
        raws: Sequence[RawPostback],
        understood: Sequence[Understood],
        verdicts: Sequence[Verdict],
        *,
        seconds: float,
        commit_seconds: float | None,
        would_reject: Sequence[WouldReject],
    ) -> None:
        """Record what became of each: the same place in the three sequences is the same postback.

        `seconds` is how long it took, `commit_seconds` the commit's part (None: there was none); `would_reject` are
        the checks that only report and that failed.
        """


class IncomingBatch(Protocol):
    """A batch on its way in. `head` is its request without the body."""

    head: RawPostback

    @property
    def credentials(self) -> Credentials:
        """Return what the request shows of its sender."""

    async def whole(self, sender: str) -> RawPostback:
        """Return the request with its body, once that has come. Raises Overloaded."""

    def so_far(self) -> RawPostback:
        """Return the request with what has come of its body, without waiting."""
