"""Owns erasure: all that is stored of a click id, or of a text that tells of a person, goes; the book keeps a hash."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, func, or_, text
from sqlmodel import col, select

from service.core.mentions import Texts
from service.core.unavailable import ErrorKind, StorageError
from service.storage.deletions.book import Gone, Occasion, Reason, note
from service.storage.deletions.clock import APART, clock_of
from service.storage.deletions.deleting import Erasable, delete_corrections, delete_rows, deleting
from service.storage.erased_hashes import sha256, sha256_in_part, sha256_of_text
from service.storage.pool import Pool
from service.storage.reads.history import SENDERS
from service.storage.reads.search import Advance, Naming, Search
from service.storage.schema.registry import CONVERSION, CORRECTION, OF_POSTBACKS, REPLAY, TABLES
from service.storage.schema.tables import (
    Conversion,
    Correction,
    Deletion,
    Duplicate,
    RejectedPostback,
    Replay,
    StatusChange,
)
from service.storage.shared_input import forget_unused
from service.storage.turns import IMMEDIATE, Turns, take_turn

Clock = Callable[[Connection], datetime]
Item = TypeVar("Item")
Result = TypeVar("Result")

_SOME = 500  # ids in one statement
_LOCK = text(f"LOCK TABLE {', '.join(table.name for table in OF_POSTBACKS)} IN EXCLUSIVE MODE")
# Commits wait behind it, and they have 0.8 s. The last one outlasts deadlock_timeout: the server then ends an
# autovacuum that is in the way.
_LOCK_MS = (300, 300, 300, 1_500)
_BETWEEN_SECONDS = 0.2
_LATE = APART + timedelta(minutes=1)  # what came so long before it was asked for may not have been there to be found


class Whose(NamedTuple):
    """What is erased: everything of some click ids, and of a person's text whatever names it.

    What is stored and names the text belongs to one of the click ids, which `Erasure.of_text` finds.
    """

    click_ids: tuple[str, ...]
    text: str | None = None

    @property
    def sha256(self) -> str:
        """By what the book knows it."""
        return sha256(self.click_ids[0]) if self.text is None else sha256_of_text(self.text)

    def sought(self) -> Iterator[Texts]:
        """Yield what is looked for in raw input."""
        if self.click_ids:
            yield Texts(self.click_ids)
        if self.text is not None:
            yield Texts([self.text], personal=True)


class Held(NamedTuple):
    """One row that will go. `id` is that of a rejected postback that goes because its raw input names what is erased.

    For a replay, `request_id` is the new row's and `received_at` when it was replayed; a correction has none, and when
    it was made. `click_id` is what a row is kept under, and `parameter` the one that names what is erased, where one
    could be read.
    """

    table: str
    request_id: str
    received_at: datetime
    outcome: str
    id: int | None = None
    click_id: str | None = None
    parameter: str = ""


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
        self._search = Search(reads)

    def of_text(self, text: str, advance: Advance) -> Whose:
        """Return whose everything is that names a text. Reads everything that is stored."""
        found = chain.from_iterable(self._search.stored(Texts([text], personal=True), advance))
        return Whose(tuple(dict.fromkeys(str(one.click_id) for one in found)), text)

    def find(self, whose: Whose, advance: Advance) -> list[Held]:
        """Return all that would go. Reads the raw input of every rejected postback."""
        under = (held for click_id in whose.click_ids for held in self._under(click_id))
        found = [*under, *self._naming(whose, advance)]
        ids = [held.request_id for held in found]
        with self._reads.session() as session:
            replays = [replay for some in _in_some(ids) for replay in session.exec(select(Replay).where(_part(some)))]
        known = {replay.rejected_request_id: replay for replay in replays}  # both its rows may be among them
        return found + [Held("replay", one.request_id, one.replayed_at, one.outcome or "") for one in known.values()]

    def noted(self, whose: Whose) -> bool:
        """Say whether the book knows an erasure of it."""
        known = select(Deletion.run).where(Deletion.click_id_sha256 == whose.sha256).limit(1)
        with self._reads.session() as session:
            return session.exec(known).first() is not None

    def moments(self, click_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when some of the click ids were erased last: by themselves, as a person's text, or with one."""
        named = {one: (sha256(one), sha256_of_text(one), sha256_in_part(one)) for one in click_ids}
        known, noted = col(Deletion.click_id_sha256), dict[str | None, datetime]()
        erased = select(known, func.max(col(Deletion.deleted_at))).group_by(known)
        with self._reads.session() as session:
            for some in _in_some([*chain.from_iterable(named.values())]):
                noted.update(session.exec(erased.where(known.in_(some))).all())
        moments = {one: [noted[digest] for digest in digests if digest in noted] for one, digests in named.items()}
        return {one: max(found) for one, found in moments.items() if found}

    def erase(self, whose: Whose, found: Sequence[Held], by: str, asked_at: datetime) -> dict[str, int]:
        """Delete what was found, and what came since, in one transaction; return rows by table.

        Raises StorageError, also if the tables could not be locked: then nothing is deleted.
        """
        since = self._naming(whose, lambda _: None, asked_at - _LATE)
        naming = {held.id: held.click_id for held in (*found, *since) if held.id is not None}
        return take_turn(self._turns, partial(_patiently, partial(self._erase, whose, naming, by)))

    def _erase(self, whose: Whose, named: Mapping[int, str | None], by: str, lock_ms: int) -> dict[str, int]:
        """Erase in one transaction, and note the moment at which nobody could write.

        What came before that moment and is not here yet, the ledger refuses: each click id's, and the text's. Of other
        click ids, under which something was `named` that goes, only this is noted.
        """
        naming = sorted(named)
        deleted: Counter[str] = Counter(dict.fromkeys((table.name for table in TABLES if table.erased), 0))
        with deleting(self._writes, lock_ms) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_LOCK)
            at = self._clock(connection)
            for click_id in whose.click_ids:
                ids = naming if whose.text is None else ()
                corrections = delete_corrections(connection, _of(connection, Correction, click_id))
                gone = chain([(CORRECTION.name, corrections)], _delete(connection, _all_of(connection, click_id, ids)))
                deleted.update(_note(connection, gone, by, at, sha256(click_id)))
            if whose.text is not None:
                deleted.update(_note(connection, _delete(connection, _by_id(naming)), by, at, whose.sha256))
            for click_id in sorted({one for one in named.values() if one is not None}):
                _note(connection, iter(()), by, at, sha256_in_part(click_id))
            forget_unused(connection)
        self._overwrite()
        return dict(deleted)

    def _under(self, click_id: str) -> Iterator[Held]:
        with self._reads.session() as session:
            for kept in session.exec(select(Conversion).where(*_of(session.connection(), Conversion, click_id))):
                yield Held("conversion", kept.request_id, kept.received_at, "stored", None, click_id)
            for change in session.exec(select(StatusChange).where(*_of(session.connection(), StatusChange, click_id))):
                yield Held("status_change", change.request_id, change.received_at, "updated", None, click_id)
            for one in session.exec(select(Correction).where(*_of(session.connection(), Correction, click_id))):
                yield Held(CORRECTION.name, "", one.corrected_at, "", None, click_id)
            for repeat in session.exec(select(Duplicate).where(Duplicate.click_id == click_id)):
                yield Held("duplicate", repeat.request_id, repeat.received_at, "duplicate", None, click_id)

    def _naming(self, whose: Whose, advance: Advance, since: datetime | None = None) -> Iterator[Held]:
        seen: set[int | None] = set()
        for texts in whose.sought():
            for one in chain.from_iterable(self._search.rejected(texts, advance, since)):
                if one.id not in seen:
                    seen.add(one.id)
                    yield _held(one, whose)


def _held(one: Naming, whose: Whose) -> Held:
    row = (one.table, one.request_id, one.received_at, one.outcome)
    if one.click_id in whose.click_ids:
        return Held(*row, None, one.click_id)
    return Held(*row, one.id, one.click_id, one.parameter)


def _note(
    connection: Connection, gone: Iterator[tuple[str, list[Gone]]], by: str, at: datetime, digest: str
) -> Counter[str]:
    """Note what goes as a run of its own, and that it was erased also where nothing goes; return rows by table."""
    run, deleted = f"{Reason.ERASE.value} {secrets.token_hex(8)}", Counter[str]()
    for table, rows in gone:
        note(connection, Occasion(run, table, Reason.ERASE, by, at, digest), rows)
        deleted[table] += sum(some.rows for some in rows)
    if not deleted.total():
        note(connection, Occasion(run, CONVERSION.name, Reason.ERASE, by, at, digest), [Gone("", "", 0, at, at)])
    return deleted


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


def _of(
    connection: Connection, row: type[Conversion] | type[StatusChange] | type[Correction], click_id: str
) -> list[ColumnElement[bool]]:
    """Return what holds for the rows of a click id: one jump in the primary key for each sender."""
    senders = connection.execute(SENDERS).scalars().all()
    return [col(row.sender).in_(senders), col(row.is_test).in_([False, True]), col(row.click_id) == click_id]


_Rows = list[tuple[Erasable, list[ColumnElement[bool]]]]


def _by_id(naming: Sequence[int]) -> _Rows:
    return [(RejectedPostback, [col(RejectedPostback.id).in_(some)]) for some in _in_some(naming)]


def _all_of(connection: Connection, click_id: str, naming: Sequence[int]) -> _Rows:
    return [
        *_by_id(naming),
        (StatusChange, _of(connection, StatusChange, click_id)),
        (Conversion, _of(connection, Conversion, click_id)),
        (Duplicate, [col(Duplicate.click_id) == click_id]),
        (RejectedPostback, [col(RejectedPostback.click_id) == click_id]),
    ]


def _delete(connection: Connection, wanted: _Rows) -> Iterator[tuple[str, list[Gone]]]:
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
