"""Owns replay: rejected postbacks judged by today's rules, and sent on to the ledger where that makes a difference.

The raw input is parsed again, with the moment it first arrived. Who sent it is not asked again: what came with no
proof of its sender needs a person who vouches for it. What would end as it did before is left alone.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, cast

from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import INCOMPLETE, ConversionKey, Door, Postback, RawPostback
from service.core.sender import EZMOB, PRESETS, Sender
from service.core.verdict import Winner, judge
from service.storage.ledger import Ledger
from service.storage.reads.history import History
from service.storage.reads.quarantine import Chosen, Quarantine
from service.storage.replays import Replays
from service.storage.schema.tables import RejectedPostback, Replay

UNPROVEN = frozenset({Outcome.UNAUTHENTICATED.value, Outcome.FORBIDDEN.value})


class Attempt(NamedTuple):
    """A rejected postback and what becomes of it today; `postback` is None where replaying changes nothing.

    `outcome` is the word: of a row of a newer version's it may be one that this code does not know.
    """

    rejected: RejectedPostback
    outcome: str
    postback: Postback | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Who replays, and whether that person says that what came without proof is from `sender`, the configured one.

    `registered` are the senders that go before the presets of their names.
    """

    name: str
    vouches: bool = False
    sender: Sender = EZMOB
    registered: Mapping[str, Sender] = field(default_factory=dict)


class Rehearsal:
    """Foresees what a replay would do, without doing it. It remembers the keys it would store or change only."""

    def __init__(self, quarantine: Quarantine, history: History, author: Author) -> None:
        self._quarantine = quarantine
        self._history = history
        self._author = author
        self._taken: dict[ConversionKey, Winner] = {}

    def attempts(self, chosen: Chosen) -> Iterator[list[Attempt]]:
        """Yield pages of what would become of the chosen rows, oldest first: the first value of a key stands."""
        for page in self._quarantine.pages(chosen, oldest_first=True):
            understood = [_understand(rejected, self._author) for rejected in page]
            stored = self._history.winners([one for one in understood if isinstance(one, Postback)])
            known = {**stored, **self._taken}
            yield [self._attempt(*pair, known) for pair in zip(page, understood, strict=True)]

    def _attempt(
        self, rejected: RejectedPostback, found: Postback | str, known: dict[ConversionKey, Winner]
    ) -> Attempt:
        if not isinstance(found, Postback):
            return Attempt(rejected, found)
        outcome = judge(found, known if found.key in known else None).outcome.value
        if outcome == Outcome.STORED.value:
            amount = (found.value, found.value_micros, found.currency)
            known[found.key] = Winner(found.raw.request_id, *amount, found.conversion_status)
        if outcome in (Outcome.STORED.value, Outcome.UPDATED.value):
            self._taken[found.key] = known[found.key]
        return Attempt(rejected, outcome, found if outcome != rejected.outcome else None)


def carry_out(attempts: Sequence[Attempt], ledger: Ledger, book: Replays, author: Author) -> list[Attempt]:
    """Store what makes a difference, at most a batch, and return what became of it. Raises StorageError.

    Interrupted anywhere, it can be repeated: the new request_id follows from the old one, so the ledger recognises its
    own rows, and the book says what was begun.
    """
    chosen = [(rejected, postback) for rejected, _, postback in attempts if postback]
    if not chosen:
        return []
    now = datetime.now(UTC)
    book.begin(
        [
            Replay(
                rejected_request_id=rejected.request_id,
                request_id=postback.raw.request_id,
                replayed_by=author.name,
                replayed_at=now,
            )
            for rejected, postback in chosen
        ]
    )
    verdicts = ledger.commit([postback for _, postback in chosen]).verdicts
    done = [
        Attempt(rejected, verdict.outcome.value, postback)
        for (rejected, postback), verdict in zip(chosen, verdicts, strict=True)
    ]
    book.finish({attempt.rejected.request_id: attempt.outcome for attempt in done})
    return done


def new_request_id(rejected_request_id: str) -> str:
    """Return the request_id of a rejected postback's replay: always the same, so that it is stored once."""
    return hashlib.sha256(f"replay {rejected_request_id}".encode()).hexdigest()[:32]


def raw_again(rejected: RejectedPostback) -> RawPostback:
    """Read back what RawPostback.as_sent wrote, as it arrived then. Raises ValueError for bytes it did not write."""
    top, _, body = rejected.raw.partition(b"\r\n\r\n")
    line, *headers = top.split(b"\r\n")
    described = dict(header.split(b": ", 1) for header in headers)
    method, target = line.decode("utf-8", "surrogateescape").split(" ", 1)
    path, _, query = target.partition("?")
    request_id = new_request_id(rejected.request_id)
    return RawPostback(
        door=cast("Door", rejected.door),
        method=method,
        path=path,
        query=query.encode("utf-8", "surrogateescape"),
        content_type=described.get(b"content-type", b"").decode("latin-1"),
        content_encoding=described.get(b"content-encoding", b"").decode("latin-1"),
        body=body,
        complete=INCOMPLETE not in described,
        host=b"",
        forwarded=False,
        client_ip="",
        received_at=rejected.received_at,
        request_id=request_id,
        trace_id=request_id,
    )


def _understand(rejected: RejectedPostback, author: Author) -> Postback | str:
    """Return the postback, or the word for what it still deserves."""
    whole_batch = rejected.door == "batch" and "-" not in rejected.request_id  # many postbacks: a row has -N
    unproven = rejected.sender is None or rejected.outcome in UNPROVEN
    own = rejected.sender in (None, author.sender.name)
    sender = author.sender if own else {**PRESETS, **author.registered}.get(str(rejected.sender))
    if whole_batch or sender is None or (unproven and not author.vouches):
        return rejected.outcome
    try:
        postback = parse(raw_again(rejected), sender)  # as its door understood it then
    except Rejected as refused:
        return str(refused.outcome.value)
    except ValueError:  # not written by us: nobody can say what it was
        return rejected.outcome
    return postback._replace(raw=postback.raw._replace(door="replay"))
