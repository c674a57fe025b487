"""Owns looking at what was not accepted: chosen rows listed, one shown whole with what came later."""

import base64
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.core.hints import kept_hint
from service.core.moment import utc
from service.core.outcome import Outcome, advice_in
from service.core.postback import answered, answered_status
from service.operations.errors import NotFound
from service.operations.files.row_shape import Cell, Types
from service.storage.database import Database
from service.storage.reads.history import Arrival
from service.storage.reads.quarantine import Chosen
from service.storage.schema.tables import RejectedPostback, Replay

COLUMNS: Types = {
    "id": int,
    "received_at": datetime,
    "outcome": str,
    "status": int | None,
    "sender": str | None,
    "click_id": str | None,
    "detail": str,
    "door": str,
    "request_id": str,
    "replayed_at": datetime | None,
    "replay_outcome": str | None,
    "raw": str,
    "raw_encoding": str,
    "answered": str,
    "drained_at": datetime | None,
    "key_id": str | None,
    "client_ip": str | None,
}
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest of the chosen rows, and how many there are in all, by outcome."""

    rows: Sequence[RejectedPostback]
    outcomes: Counter[str]

    @property
    def more(self) -> int:
        """How many more than these rows there are."""
        return max(0, self.outcomes.total() - len(self.rows))

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        rows = [members(row) for row in self.rows]
        return {"rejected": rows, "more": self.more, "outcomes": dict(self.outcomes.most_common())}


@dataclass(frozen=True, slots=True)
class Shown:
    """One row, the replay that it is a part of, and what came under its click id afterwards."""

    row: RejectedPostback
    replay: Replay | None
    later: Sequence[Arrival]

    @property
    def status(self) -> int | None:
        """The HTTP status that was answered; None if nobody was, or for an outcome of another version's."""
        return _status(self.row)

    @property
    def answered(self) -> str:
        """The outcome that the sender was told."""
        return _answered(self.row)

    @property
    def hint(self) -> str:
        """What the sender should do about it: as the detail says, or else as the outcome does."""
        word = self.row.outcome.upper()
        if advice := advice_in(self.row.detail):
            return advice
        return (
            kept_hint(Outcome[word], self.row.door) if word in Outcome.__members__ else "an outcome of another version"
        )

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        replay = self.replay and {**self.replay.model_dump(), "replayed_at": utc(self.replay.replayed_at)}
        return {**members(self.row), "hint": self.hint, "replay": replay, "later": [_arrived(it) for it in self.later]}


def newest(database: Database, chosen: Chosen, limit: int) -> Newest:
    """Return the chosen rows that came last, newest first. Raises StorageError."""
    quarantine = database.quarantine()
    return Newest(quarantine.newest(chosen, limit), quarantine.counts(chosen))


def show(database: Database, id_or_request_id: str) -> Shown:
    """Return everything about one row. Raises NotFound and StorageError."""
    quarantine = database.quarantine()
    row = quarantine.one(id_or_request_id)
    if row is None:
        raise NotFound(f"{id_or_request_id}: nothing is kept under that id or request_id")
    return Shown(row, quarantine.replay_of(row.request_id), _later(database, row))


def members(row: RejectedPostback) -> dict[str, Cell]:
    """Return a row as JSON and exports show it: `raw` as text where it is text, else in base64."""
    raw, encoding = _raw(row.raw)
    values: tuple[Cell, ...] = (
        row.id,
        utc(row.received_at),
        row.outcome,
        _status(row),
        row.sender,
        row.click_id,
        row.detail,
        row.door,
        row.request_id,
        utc(row.replayed_at) if row.replayed_at else None,
        row.replay_outcome,
        raw,
        encoding,
        _answered(row),
        utc(row.drained_at) if row.drained_at else None,
        row.key_id,
        row.client_ip,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _status(row: RejectedPostback) -> int | None:
    word = _answered(row).upper()
    return answered_status(row.door, Outcome[word], row.request_id, row.detail) if word in Outcome.__members__ else None


def _answered(row: RejectedPostback) -> str:
    """Return the word that the sender was told; one of another version is what it is."""
    word = row.outcome.upper()
    known = Outcome.__members__.get(word)
    return str(answered(known, row.detail, drained=row.drained_at is not None).value) if known else row.outcome


def _raw(raw: bytes) -> tuple[str, str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _NOT_TEXT.search(text):
        return base64.b64encode(raw).decode(), "base64"
    return text, "text"


def _later(database: Database, row: RejectedPostback) -> list[Arrival]:
    """Return what came under the same click id afterwards."""
    if row.click_id is None:
        return []
    arrivals = database.history().arrivals(row.click_id)
    return [one for one in arrivals if one.received_at >= row.received_at and one.request_id != row.request_id]


def _arrived(arrival: Arrival) -> dict[str, object]:
    return {
        "received_at": utc(arrival.received_at),
        "outcome": arrival.outcome.value,
        "door": arrival.door,
        "request_id": arrival.request_id,
        "detail": arrival.detail,
        "answered": arrival.answered.value,
        "drained_at": arrival.drained_at and utc(arrival.drained_at),
    }
