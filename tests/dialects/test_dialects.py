"""What real senders write is understood at every door, or kept and explained: the right value or word for each row."""

from collections import Counter
from collections.abc import Mapping

import pytest

from tests.dialects import amounts, currencies, damaged, oddly, platforms, silence, statuses, words
from tests.dialects.rows import CLICK, FILES, Door, Row
from tests.dialects.site import Seen, Send

ROWS: list[Row] = [
    *amounts.ROWS,
    *currencies.ROWS,
    *platforms.ROWS,
    *words.ROWS,
    *statuses.ROWS,
    *oddly.ROWS,
    *silence.ROWS,
    *damaged.ROWS,
]
ACCEPTED = {"stored", "updated", "duplicate"}
COLUMNS_OF_CHECK = {"click_id", "goal", "transaction_id", "value", "currency", "params"}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_right_value_is_stored_or_the_right_words_are_told_at_every_door(send: Send, row: Row) -> None:
    for door in row.doors:
        seen, click_id = send(row, door)
        _assert_right(row, door, seen, _with(click_id, row.columns))


def _assert_right(row: Row, door: Door, seen: Seen, columns: Mapping[str, object]) -> None:
    assert seen.outcome == row.outcome, (door, seen.told)
    if door == "check":
        columns = {name: value for name, value in columns.items() if name in COLUMNS_OF_CHECK}
    assert {name: seen.columns.get(name) for name in columns} == columns, door
    if door != "pixel":  # an image tells nothing
        assert [word for word in row.words if word not in seen.told] == [], (door, seen.told)
    assert [word for word in row.never if word in seen.told] == [], (door, seen.told)
    if door not in (*FILES, "check"):
        if row.mistake or row.outcome in ACCEPTED:
            assert seen.mistakes == ({row.mistake: 1} if row.mistake else {}), (door, seen.told)
        assert seen.kept == ([] if row.outcome in ACCEPTED else [row.outcome]), door


def _with(click_id: str, columns: Mapping[str, object]) -> Mapping[str, object]:
    return {name: click_id if value == CLICK else value for name, value in columns.items()}


def test_no_row_stands_twice_in_the_table() -> None:
    inputs = Counter((row.sender, str(row.sent), row.doors, tuple(map(str, row.before))) for row in ROWS)
    assert [repeated for repeated, times in inputs.items() if times > 1] == []
