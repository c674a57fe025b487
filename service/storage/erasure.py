"""Owns erasure: everything that is stored of one click id is found and deleted, and the book keeps only its hash."""

import hashlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from sqlalchemy import ColumnElement, Connection, delete, or_, text
from sqlmodel import col, select

from service.core.unavailable import ErrorKind, StorageError
from service.storage.deletions.book import Gone, Occasion, Reason, note
from service.storage.deletions.clock import APART, clock_of
from service.storage.deletions.deleting import Erasable, delete_rows, deleting
from service.storage.pool import Pool
from service.storage.reads.history import SENDERS
from service.storage.reads.quarantine import Chosen, Quarantine
from service.storage.schema.registry import CONVERSION, OF_POSTBACKS, REPLAY, TABLES
from service.storage.schema.tables import Conversion, Deletion, Duplicate, RejectedPostback, Replay, StatusChange
from service.storage.turns import IMMEDIATE, Turns, take_turn

Clock = Callable[[Connection], datetime]
TELLING = 8  # letters of a click id: a shorter one may be anybody's value, so what claims another id is not searched
Item = TypeVar("Item")
Result = TypeVar("Result")

_SOME = 500  # ids in one statement
_LOCK = text(f"LOCK TABLE {', '.join(table.name for table in OF_POSTBACKS)} IN EXCLUSIVE MODE")
# Commits wait behind it, and they have 0.8 s. The last one outlasts deadlock_timeout: the server then ends an
# autovacuum that is in the way.
_LOCK_MS = (300, 300, 300, 1_500)
_BETWEEN_SECONDS = 0.2
_LATE = APART + timedelta(minutes=1)  # what came so long before it was asked for may not have been there to be found


class Held(NamedTuple):
    """One row that will go. `id` is that of a rejected postback that goes because its raw input names the click id.

    For a replay, `request_id` is the new row's and `received_at` when it was replayed.
    """

    table: str
    request_id: str
    received_at: datetime
    outcome: str
    id: int | None = None


class Erasure:
    """Finds and erases. Every method may block and raises StorageError; on SQLite only beside this process's ledger.

    `erase` is done at its turn among the commits. `overwrite` is called after the rows have gone, and leaves nothing of
    them in the database's files. `clock` says when they went: one for all hosts, so that their clocks count only once.
    """

    def __init__(
        self,
        reads: Pool,
        writes: Pool,
        overwrite: Callable[[], None],
        turns: Turns = IMMEDIATE,
        clock: Clock = clock_of,
    ) -> None:
        self._clock = clock
        self._reads = reads
        self._writes = writes
        self._overwrite = overwrite
        self._turns = turns

    def find(self, click_id: str) -> list[Held]:
        """Return all that is stored of a click id. Reads the raw input of every rejected postback."""
        found = [*self._under(click_id), *self._naming(click_id)]
        ids = [held.request_id for held in found]
        with self._reads.session() as session:
            replays = [replay for some in _in_some(ids) for replay in session.exec(select(Replay).where(_part(some)))]
        known = {replay.rejected_request_id: replay for replay in replays}  # both its rows may be among them
        return found + [Held("replay", one.request_id, one.replayed_at, one.outcome or "") for one in known.values()]

    def noted(self, click_id: str) -> bool:
        """Say whether the book knows an erasure of it."""
        known = select(Deletion.run).where(Deletion.click_id_sha256 == sha256(click_id)).limit(1)
        with self._reads.session() as session:
            return session.exec(known).first() is not None

    def erase(self, click_id: str, found: Sequence[Held], by: str, asked_at: datetime) -> dict[str, int]:
        """Delete what was found, and what came since, in one transaction; return rows by table.

        Raises StorageError, also if the tables could not be locked: then nothing is deleted.
        """
        since = self._naming(click_id, asked_at - _LATE)
        naming = sorted({held.id for held in (*found, *since) if held.id is not None})
        work = partial(self._erase, click_id, naming, by)
        return take_turn(self._turns, partial(_patiently, work))

    def _erase(self, click_id: str, naming: Sequence[int], by: str, lock_ms: int) -> dict[str, int]:
        """Erase in one transaction, and note the moment at which nobody could write.

        What came before that moment and is not here yet, the ledger refuses.
        """
        digest = sha256(click_id)
        run = f"{Reason.ERASE.value} {secrets.token_hex(8)}"
        deleted: Counter[str] = Counter(dict.fromkeys((table.name for table in TABLES if table.erased), 0))
        with deleting(self._writes, lock_ms) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_LOCK)
            at = self._clock(connection)
            for table, gone in _delete(connection, click_id, naming):
                note(connection, Occasion(run, table, Reason.ERASE, by, at, digest), gone)
                deleted[table] += sum(some.rows for some in gone)
            if not deleted.total():  # what is on its way must be refused all the same
                note(
                    connection, Occasion(run, CONVERSION.name, Reason.ERASE, by, at, digest), [Gone("", "", 0, at, at)]
                )
        self._overwrite()
        return dict(deleted)

    def _under(self, click_id: str) -> Iterator[Held]:
        with self._reads.session() as session:
            for kept in session.exec(select(Conversion).where(*_of(session.connection(), Conversion, click_id))):
                yield Held("conversion", kept.request_id, kept.received_at, "stored")
            for change in session.exec(select(StatusChange).where(*_of(session.connection(), StatusChange, click_id))):
                yield Held("status_change", change.request_id, change.received_at, "updated")
            for repeat in session.exec(select(Duplicate).where(Duplicate.click_id == click_id)):
                yield Held("duplicate", repeat.request_id, repeat.received_at, "duplicate")

    def _naming(self, click_id: str, since: datetime | None = None) -> Iterator[Held]:
        word = _word(click_id)
        for page in Quarantine(self._reads).pages(Chosen(since=since), oldest_first=True):
            for row in page:
                if row.click_id == click_id:
                    yield Held("rejected_postback", row.request_id, row.received_at, row.outcome)
                elif (row.click_id is None or len(click_id) >= TELLING) and _names(row.raw, word):
                    yield Held("rejected_postback", row.request_id, row.received_at, row.outcome, row.id)


def _patiently(work: Callable[[int], Result]) -> Result:
    """Do work that needs a lock, given how many milliseconds it may wait for it; what was not had is tried again."""
    for lock_ms in _LOCK_MS:
        try:
            return work(lock_ms)
        except StorageError as error:
            if error.kind not in (ErrorKind.PG_TIMEOUT, ErrorKind.PG_DEADLOCK):
                raise
            failure = error
        time.sleep(_BETWEEN_SECONDS)
    raise StorageError(f"nothing is erased, because others hold the tables: try again ({failure})", failure.kind)


def sha256(click_id: str) -> str:
    """Return by what the book knows an erased click id: who has the click id can find it, and nobody reads it."""
    return hashlib.sha256(click_id.encode("utf-8", "surrogateescape")).hexdigest()


def names(raw: bytes, click_id: str) -> bool:
    """Say whether raw input holds a click id as a whole word: as it is, or as URLs, forms and JSON write it."""
    return _names(raw, _word(click_id))


def _word(click_id: str) -> re.Pattern[bytes]:
    edge = rb"[\w.~-]"
    return re.compile(rb"(?<!%b)%b(?!%b)" % (edge, re.escape(click_id.encode("utf-8", "surrogateescape")), edge))


def _names(raw: bytes, word: re.Pattern[bytes]) -> bool:
    texts = (raw, unquote_to_bytes(raw), unquote_to_bytes(raw.replace(b"+", b" ")), _out_of_json(raw))
    return any(word.search(text) for text in texts)


def _out_of_json(raw: bytes) -> bytes:
    """Return the text with JSON's escapes resolved, wherever they stand."""
    if b"\\" not in raw:
        return raw
    text = raw.decode("utf-8", "surrogateescape")
    text = re.sub(r"(?:\\u[0-9a-fA-F]{4})+", lambda found: str(json.loads(f'"{found[0]}"')), text)
    return re.sub(r'\\(["\\/])', r"\1", text).encode("utf-8", "surrogatepass")


def _of(connection: Connection, row: type[Conversion] | type[StatusChange], click_id: str) -> list[ColumnElement[bool]]:
    """Return what holds for the rows of a click id: one jump in the primary key for each sender."""
    senders = connection.execute(SENDERS).scalars().all()
    return [col(row.sender).in_(senders), col(row.is_test).in_([False, True]), col(row.click_id) == click_id]


def _delete(connection: Connection, click_id: str, naming: Sequence[int]) -> Iterator[tuple[str, list[Gone]]]:
    wanted: list[tuple[Erasable, list[ColumnElement[bool]]]]
    wanted = [(RejectedPostback, [col(RejectedPostback.id).in_(some)]) for some in _in_some(naming)]
    wanted += [
        (StatusChange, _of(connection, StatusChange, click_id)),
        (Conversion, _of(connection, Conversion, click_id)),
        (Duplicate, [col(Duplicate.click_id) == click_id]),
        (RejectedPostback, [col(RejectedPostback.click_id) == click_id]),
    ]
    ids: list[str] = []
    for table, conditions in wanted:
        ids += connection.execute(select(col(table.request_id)).where(*conditions)).scalars()
        yield str(table.__tablename__), delete_rows(connection, table, conditions)
    for some in _in_some(ids):
        gone = connection.execute(
            delete(Replay).where(_part(some)).returning(col(Replay.outcome), col(Replay.replayed_at))
        )
        yield REPLAY.name, [Gone(outcome or "", "", 1, at, at) for outcome, at in gone]


def _part(request_ids: Sequence[str]) -> ColumnElement[bool]:
    return or_(col(Replay.rejected_request_id).in_(request_ids), col(Replay.request_id).in_(request_ids))


def _in_some(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + _SOME] for first in range(0, len(items), _SOME))
