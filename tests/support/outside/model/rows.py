"""Owns what is found in the database: the rows of the four tables of postbacks, and the book of erasures."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from tests.support.outside.model.history import Erasure, Row
from tests.support.outside.model.rules import Key, Said, amount_of

Sql = Callable[[str], Sequence[Sequence[object]]]

TAG = re.compile(r"T\d{7}T")  # how a sender numbers its postbacks, in the parameter `op`
_WORD = re.compile(r"""["'](?:conversion_)?status["']: ?["']([^"']*)""")  # a status that is not set up, in `params`
_KEY = "sender, is_test, click_id, goal, transaction_id"
_SAID = "conversion_status, value, currency, params"


def rows_of(sql: Sql, prefix: str) -> list[Row]:
    """Return all rows of click ids that begin so."""
    return [*_conversions(sql, prefix), *_changes(sql, prefix), *_duplicates(sql, prefix), *_rejected(sql, prefix)]


def _conversions(sql: Sql, prefix: str) -> Iterator[Row]:
    for row in _select(sql, f"{_KEY}, request_id, door, received_at, {_SAID}", "conversion", prefix):
        yield _with_said("conversion", "stored", row[:12], 0)


def _changes(sql: Sql, prefix: str) -> Iterator[Row]:
    for row in _select(sql, f"{_KEY}, request_id, door, received_at, {_SAID}, number", "status_change", prefix):
        yield _with_said("status_change", "updated", row[:12], int(str(row[12])))


def _with_said(table: str, outcome: str, row: Sequence[object], number: int) -> Row:
    status, value, currency, params = (None if part is None else str(part) for part in row[8:])
    word = _WORD.search(params or "")
    said = Said(status, amount_of(value or ""), currency, word[1] if word else None)
    found = TAG.search(params or "")
    tag, request_id = found[0] if found else "", str(row[5])
    key = _key(row)
    if key.transaction_id == request_id:  # policy sum: every arrival is a conversion of its own
        key = key._replace(transaction_id=tag)
    return Row(table, request_id, outcome, key, str(row[6]), _moment(row[7]), tag, said, number)


def _duplicates(sql: Sql, prefix: str) -> Iterator[Row]:
    for row in _select(sql, f"{_KEY}, request_id, door, received_at", "duplicate", prefix):
        yield Row("duplicate", str(row[5]), "duplicate", _key(row), str(row[6]), _moment(row[7]))


def _rejected(sql: Sql, prefix: str) -> Iterator[Row]:
    columns = "sender, 0, click_id, '', '', request_id, door, received_at, outcome, detail, raw"
    for row in _select(sql, columns, "rejected_postback", prefix):
        tags = TAG.findall(bytes(row[10]).decode("latin-1") if isinstance(row[10], bytes) else str(row[10]))
        place = re.match(r"row (\d+)", str(row[9]))
        tag = tags[int(place[1]) - 1] if place and len(tags) > 1 else tags[0]
        yield Row("rejected_postback", str(row[5]), str(row[8]), _key(row), str(row[6]), _moment(row[7]), tag)


def _select(sql: Sql, columns: str, table: str, prefix: str) -> Sequence[Sequence[object]]:
    return sql(f"SELECT {columns} FROM {table} WHERE click_id LIKE '{prefix}%'")  # noqa: S608 - our own words


def _key(row: Sequence[object]) -> Key:
    return Key(str(row[0]), bool(row[1]), str(row[2]), str(row[3]), str(row[4]))


def _moment(value: object) -> float:
    """Return seconds; SQLite keeps the text of a moment in UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def note_in_the_book(sql: Sql, erasures: Sequence[Erasure]) -> None:
    """Fill in when each erasure was done; one that said nothing is done where the book has it."""
    book: dict[str, list[float]] = {}
    for sha, at in sql("SELECT DISTINCT click_id_sha256, deleted_at FROM deletion WHERE reason = 'erase'"):
        book.setdefault(str(sha), []).append(_moment(at))
    for erasure in erasures:
        told = book.get(hashlib.sha256(erasure.click_id.encode()).hexdigest(), [])
        within = [at for at in told if erasure.began - 0.1 <= at <= erasure.ended + 0.1]
        erasure.at = min(within, default=None)
        erasure.surely = erasure.surely or erasure.at is not None


def tags_of_rejected(sql: Sql, prefix: str) -> dict[str, str]:
    """Return by request id how the senders numbered what was rejected under click ids that begin so."""
    return {row.request_id: row.tag for row in _rejected(sql, prefix)}


def replays_of(sql: Sql) -> dict[str, tuple[str, str | None]]:
    """Return what became of each replay: the new request id and the outcome, by the rejected request id."""
    found = sql("SELECT rejected_request_id, request_id, outcome FROM replay")
    return {str(old): (str(new), None if outcome is None else str(outcome)) for old, new, outcome in found}
