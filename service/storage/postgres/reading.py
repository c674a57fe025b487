"""Owns what a batch is judged against: read in its transaction, and held until that ends."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from zlib import crc32

from service.core.judging import Known
from service.core.postback import ConversionKey, Params, Postback, Rejection
from service.core.verdict import Probe, Verdict, Winner, disputed, with_history
from service.storage.erased_hashes import digests_of
from service.storage.ledger import recorded_verdict
from service.storage.postgres.batch import Batch
from service.storage.postgres.connection import AsyncServerConnection
from service.storage.postgres.statements import statements
from service.storage.schema.history import later_row
from service.storage.schema.registry import CONVERSION

_IDLE_SECONDS = 5  # in a transaction: who died between two statements must not keep others waiting
_ERASED = "SELECT click_id_sha256, max(deleted_at) FROM deletion WHERE click_id_sha256 IS NOT NULL"
_LOCKS = 0x706F_7374  # "post": the advisory locks of those who judge


async def begin(connection: AsyncServerConnection, batch: Batch) -> dict[str, datetime]:
    """Begin a transaction, and return what was erased since the batch arrived, by the hashes of the book.

    No erasure begins from then on until it ends: one that is under way is waited for before the book is read.
    Those who look up what a process wrote wait until its last transaction has ended, and its next ones wait for them.
    """
    arrived = [one.raw.received_at for one in batch.entries if not isinstance(one, Probe) and one.raw.door != "import"]
    since = min(arrived, default=datetime.now(UTC)).isoformat()
    exclusive = {_origin(entry) for entry in batch.doubtful}
    shared = {_origin(entry) for entry in batch.entries if not isinstance(entry, Probe)} - exclusive
    locks = [(lock, "pg_advisory_xact_lock") for lock in exclusive]
    locks += [(lock, "pg_advisory_xact_lock_shared") for lock in shared]
    asked = ", ".join(f"{function}({_LOCKS}, {lock})" for lock, function in sorted(locks)) or "1"
    texts = (
        "BEGIN ISOLATION LEVEL READ COMMITTED",
        f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'",
        f"SELECT {asked}",
        f"LOCK TABLE {CONVERSION.name} IN ROW SHARE MODE",
        f"{_ERASED} AND deleted_at >= '{since}' GROUP BY 1",
    )
    cursor = await connection.execute("; ".join(texts).encode())
    while cursor.nextset():
        pass
    rows: list[tuple[str, datetime]]
    rows = await cursor.fetchall()  # type: ignore[assignment]  # as the columns are declared
    return dict(rows)


async def known_to(connection: AsyncServerConnection, batch: Batch, erased: dict[str, datetime]) -> Known:
    """Return what the batch is judged against."""
    winners = await _winners(connection, batch.postbacks) if batch.postbacks else {}
    recorded: dict[str, Verdict] = {}
    if batch.doubtful:
        ids = [entry.raw.request_id for entry in batch.doubtful]
        cursor = await connection.execute(statements().recorded, [ids, ids])
        recorded = {str(row[0]): recorded_verdict(str(row[1]), str(row[2])) for row in await cursor.fetchall()}
    gone = (one for one in batch.entries if not isinstance(one, Probe) and _is_erased(one, erased)) if erased else ()
    return Known(winners, recorded, {one.raw.request_id for one in gone})


async def _winners(connection: AsyncServerConnection, postbacks: Sequence[Postback]) -> dict[ConversionKey, Winner]:
    """Return what is stored now under each postback's key; nobody deletes it until the transaction ends."""
    rows: list[tuple[str, bool, str, str, str, str, str, int, str | None, str | None, Params]]
    rows = await _under(connection, statements().winners, [postback.key for postback in postbacks])  # type: ignore[assignment]  # as declared
    winners = {row[:5]: Winner(*row[5:]) for row in rows}
    if keys := disputed(postbacks, winners):
        later: list[tuple[str, bool, str, str, str, int, int, str, str, str, int, str | None]]
        later = await _under(connection, statements().history, keys)  # type: ignore[assignment]  # as the columns are declared
        with_history(winners, ((row[:5], later_row(*row[5:])) for row in later))
    return winners


async def _under(
    connection: AsyncServerConnection, question: bytes, keys: Iterable[ConversionKey]
) -> list[tuple[object, ...]]:
    cursor = await connection.execute(question, [list(column) for column in zip(*dict.fromkeys(keys), strict=True)])
    return await cursor.fetchall()


def _is_erased(entry: Postback | Rejection, erased: dict[str, datetime]) -> bool:
    """Say whether an entry arrived before it was erased. What is imported comes from a file, and later."""
    if entry.raw.door == "import":
        return False
    moments = (erased[digest] for digest in digests_of(entry) if digest in erased)
    return any(entry.raw.received_at <= moment for moment in moments)


def _origin(entry: Postback | Rejection) -> int:
    """Return the lock of whoever gave an entry its request_id: a process or an import, or all replays together."""
    origin = "replay" if entry.raw.door == "replay" else entry.raw.request_id[:16]
    return crc32(origin.encode()) - 2**31
