"""Owns what is written about a replay beside the ledger's rows: the intention before them, the outcome after them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, text

from service.storage.pool import Access
from service.storage.schema.tables import Replay, UtcDateTime

_BEGIN = text("""
    INSERT INTO replay (rejected_request_id, request_id, replayed_by, replayed_at)
    VALUES (:rejected_request_id, :request_id, :replayed_by, :replayed_at) ON CONFLICT DO NOTHING
""").bindparams(bindparam("replayed_at", type_=UtcDateTime))
_FINISH = text("UPDATE replay SET outcome = :outcome WHERE rejected_request_id = :request_id")
_MARK = text("""
    UPDATE rejected_postback SET replay_outcome = :outcome,
        replayed_at = (SELECT replayed_at FROM replay WHERE rejected_request_id = :request_id)
    WHERE request_id = :request_id
""")


class Replays:
    """The book of replays: no row of a replay's is stored before the book says who wants it.

    On SQLite it may be written only while this process holds the file's lock, and must be done before the ledger
    closes. Every method is one transaction, can be repeated, and raises StorageError.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def begin(self, replays: Sequence[Replay]) -> None:
        """Note who is about to replay what. One that was begun before stays as it was."""
        with self._access.transaction() as connection:
            connection.execute(_BEGIN, [replay.model_dump() for replay in replays])

    def finish(self, outcomes: Mapping[str, str]) -> None:
        """Note what became of each rejected postback, by its request_id, in the book and in its own row."""
        rows = [{"request_id": request_id, "outcome": outcome} for request_id, outcome in outcomes.items()]
        with self._access.transaction() as connection:
            connection.execute(_FINISH, rows)
            connection.execute(_MARK, rows)
