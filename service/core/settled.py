"""Owns what became of postbacks that were stored together: all that can be recorded of them."""

from collections.abc import Sequence
from typing import NamedTuple

from service.core.outcome import Outcome
from service.core.postback import Postback, RawPostback, Rejection
from service.core.roster import Check
from service.core.verdict import Verdict

Understood = Postback | Rejection | Verdict  # a verdict: it could not be understood, by our fault


class Settled(NamedTuple):
    """Postbacks of one door, each at the same place in the first three.

    `seconds` is how long it took, `commit_seconds` the commit's part (None: there was none); `would_reject` are the
    checks that only report and that failed.
    """

    raws: Sequence[RawPostback]
    understood: Sequence[Understood]
    verdicts: Sequence[Verdict]
    seconds: float
    commit_seconds: float | None
    would_reject: Sequence[tuple[Check, Outcome]]
