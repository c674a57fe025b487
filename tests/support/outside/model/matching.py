"""Owns which row is whose: by the request id that was answered, else by the sender's own number that the row keeps."""

from collections.abc import Mapping, Sequence

from tests.support.outside.model.history import NEVER_ENDED, Operation, Row

_SECONDS = 0.2  # how far the clocks of sender and receiver may be apart
_IN_DOUBT_SECONDS = 10.0  # how long after an unanswered request was given up its postback may still arrive
_NAMED = "replay"  # the one door whose request ids the database tells


def match(operations: Sequence[Operation], rows: Sequence[Row]) -> list[Row]:
    """Give each operation its row, and return the rows that nobody is known to own.

    Of such a row, `perhaps` of each operation that may own it has it.
    """
    by_id = {row.request_id: row for row in rows}
    by_tag = {(row.tag, row.door): row for row in rows if row.tag and row.door != _NAMED}
    for operation in operations:
        operation.row = by_id.get(operation.request_id) or by_tag.get((operation.tag, operation.door))
        if operation.row:
            operation.request_id = operation.row.request_id
    _match_groups(operations, by_id)
    owned = {operation.request_id for operation in operations}
    nobodys = [row for row in rows if row.request_id not in owned]
    _note_perhaps(operations, nobodys)
    return nobodys


def _match_groups(operations: Sequence[Operation], by_id: Mapping[str, Row]) -> None:
    """Name the rows of a batch or a file whose answer is missing after one whose name is known."""
    bases = {one.group: one.request_id.rpartition("-")[0] for one in operations if one.group and "-" in one.request_id}
    for one in operations:
        if not one.request_id and one.door in ("batch", "import") and bases.get(one.group):
            one.request_id = f"{bases[one.group]}-{one.place}"
            one.row = by_id.get(one.request_id)


def _note_perhaps(operations: Sequence[Operation], nobodys: Sequence[Row]) -> None:
    for one in operations:
        one.perhaps = [] if one.request_id else [row for row in nobodys if _may_own(one, row)]


def _may_own(one: Operation, row: Row) -> bool:
    place = f"-{one.place}" if one.door == "batch" else ""
    given_up = one.answered if one.answered != NEVER_ENDED else one.sent
    in_time = one.sent - _SECONDS <= row.received_at <= given_up + _IN_DOUBT_SECONDS
    return (one.key, one.door) == (row.key, row.door) and row.request_id.endswith(place) and in_time
