"""Owns what is written about a replay beside the ledger's rows: the intention before them, the outcome after them."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import JSON, TextClause, bindparam, text
from sqlmodel import Session, col, select

from service.core.outcome import Outcome
from service.storage.pool import Pool
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.tables import Conversion, Replay, StatusChange
from service.storage.turns import IMMEDIATE, Turns, take_turn

_BEGIN = text("""
    INSERT INTO replay (rejected_request_id, request_id, replayed_by, replayed_at, rules)
    VALUES (:rejected_request_id, :request_id, :replayed_by, :replayed_at, :rules) ON CONFLICT DO NOTHING
""").bindparams(bindparam("replayed_at", type_=UtcDateTime), bindparam("rules", type_=JSON(none_as_null=True)))
_FINISH = text("UPDATE replay SET outcome = :outcome WHERE rejected_request_id = :request_id")
_MARK = text("""
    UPDATE rejected_postback SET replay_outcome = :outcome,
        replayed_at = (SELECT replayed_at FROM replay WHERE rejected_request_id = :request_id)
    WHERE request_id = :request_id
""")


class Replays:
    """The book of replays: no row of a replay's is stored before the book says who wants it.

    On SQLite it may be written only while this process holds the file's lock, and must be done before the ledger
    closes. Every method is one transaction at its turn, can be repeated, and raises StorageError.
    """

    def __init__(self, writes: Pool, turns: Turns = IMMEDIATE) -> None:
        self._writes = writes
        self._turns = turns

    def begin(self, replays: Sequence[Replay]) -> dict[str, Replay]:
        """Note who is about to replay what, by which rules. One that was begun before stays as it was.

        Return what the book says now, by the request_id of the rejected postback.
        """
        rows = [replay.model_dump() for replay in replays]
        wanted = select(Replay).where(col(Replay.rejected_request_id).in_([row["rejected_request_id"] for row in rows]))

        def work() -> dict[str, Replay]:
            with self._writes.transaction() as connection, Session(connection) as session:
                connection.execute(_BEGIN, rows)
                return {replay.rejected_request_id: replay for replay in session.exec(wanted)}

        return take_turn(self._turns, work)

    def stored(self, request_ids: Collection[str]) -> dict[str, str]:
        """Return what became a conversion or a change, as its outcome by request_id, whatever its key.

        It reads all of them: neither table has an index on request ids.
        """

        def work() -> dict[str, str]:
            with self._writes.transaction() as connection, Session(connection) as session:
                return {
                    request_id: outcome.value
                    for table, outcome in ((Conversion, Outcome.STORED), (StatusChange, Outcome.UPDATED))
                    for request_id in session.exec(
                        select(col(table.request_id)).where(col(table.request_id).in_(request_ids))
                    )
                }

        return take_turn(self._turns, work)

    def finish(self, outcomes: Mapping[str, str]) -> None:
        """Note what became of each rejected postback, by its request_id, in the book and in its own row."""
        rows: list[dict[str, object]]
        rows = [{"request_id": request_id, "outcome": outcome} for request_id, outcome in outcomes.items()]
        if rows:
            take_turn(self._turns, lambda: self._execute((_FINISH, rows), (_MARK, rows)))

    def _execute(self, *statements: tuple[TextClause, list[dict[str, object]]]) -> None:
        with self._writes.transaction() as connection:
            for statement, rows in statements:
                connection.execute(statement, rows)
