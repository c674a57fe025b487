"""Deletions, on every engine: what is too old or too much goes, in order and in chunks, and the book has all of it."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from service.core.chunk import ChunkSize
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.verdict import Entry
from service.storage.audit import Counts, Window
from service.storage.deletions.book import Reason
from service.storage.deletions.deleting import Deletions
from service.storage.deletions.finding import CHUNK, ROW_BYTES, Found, Position
from service.storage.ledger import Ledger
from service.storage.schema.tables import Duplicate, ImportedFile, RejectedPostback
from tests.support import builders
from tests.support.engines import Engine

CAME = builders.RECEIVED_AT
DAY = timedelta(days=1)
NOW = CAME + 100 * DAY
OWN = "0" * 16  # how the builders' request ids begin


@pytest.fixture
def book(engine: Engine, ledger: Ledger) -> Deletions:
    assert ledger
    return engine.database.deletions()


def rejected(name: str, days: int = 0, sender: str | None = "ezmob", size: int = 0) -> Rejection:
    """Return a rejection that came so many days after the first."""
    raw = builders.raw(f"c={name}&x={'x' * size}", received_at=CAME + days * DAY)
    return Rejection(raw, sender, Outcome.INVALID_VALUE, "no amount", name)


def left(engine: Engine, table: str = "rejected_postback") -> list[object]:
    return [name for (name,) in engine.rows(f"SELECT click_id FROM {table} ORDER BY click_id")]  # noqa: S608 - our own


def noted(engine: Engine) -> Counter[tuple[object, ...]]:
    """Return the rows by table, reason and outcome, as the book has them."""
    rows = engine.rows("SELECT table_name, reason, outcome, rows FROM deletion")
    counted: Counter[tuple[object, ...]] = Counter()
    for *kind, number in rows:
        counted[tuple(kind)] += int(str(number))
    return counted


def test_what_came_before_a_moment_is_found_and_goes_and_the_rest_stays(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    ledger.commit([rejected("old"), rejected("just", 1), rejected("new", 2)])
    found = book.old(RejectedPostback, CAME + DAY)
    assert book.remove(RejectedPostback, found.ids, Reason.AGE, NOW).rows == 1
    assert left(engine) == ["just", "new"]
    assert book.old(RejectedPostback, CAME + DAY) == Found([], None)
    repeated = [builders.postback("c=a&value=1", received_at=CAME + days * DAY) for days in range(3)]
    ledger.commit(repeated)
    found = book.old(Duplicate, CAME + 2 * DAY)
    assert book.remove(Duplicate, found.ids, Reason.AGE, NOW).rows == 1
    assert (len(left(engine, "duplicate")), len(left(engine, "conversion"))) == (1, 1)
    assert noted(engine) == {
        ("rejected_postback", "age", "invalid_value"): 1,
        ("duplicate", "age", "duplicate"): 1,
    }


def test_a_row_of_a_file_is_as_old_as_its_import_whatever_its_own_date_says(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    for number, begun_at in ((1, CAME), (2, NOW)):
        file = ImportedFile(request_id=f"{number:032}", name="a.csv", sender="ezmob", rules={}, begun_at=begun_at)
        engine.database.imports().begin(file)
        for row, name in ((1, "first"), (2, "again")):
            sent: dict[str, Any] = {"door": "import", "request_id": f"{number:032}-{row}"}
            ledger.commit([builders.postback(f"c={number}&value=1", **sent)])
            raw = builders.raw("c=x", **sent | {"request_id": f"{number:032}-{row + 2}"})
            ledger.commit([Rejection(raw, "ezmob", Outcome.INVALID_VALUE, "no amount", f"{name}-{number}")])
    ledger.commit([rejected("live")])
    found = {table: book.old(table, NOW - DAY) for table in (RejectedPostback, Duplicate)}
    assert [book.remove(table, one.ids, Reason.AGE, NOW).rows for table, one in found.items()] == [3, 1]
    assert left(engine) == ["again-2", "first-2"]
    assert left(engine, "duplicate") == ["2"]
    assert len(book.old(RejectedPostback, NOW + DAY, after=(CAME, 3)).ids) == 1
    assert not book.old(RejectedPostback, NOW + DAY, after=(NOW, 0)).ids


def test_a_chunk_is_bounded_in_rows_and_in_bytes(ledger: Ledger, book: Deletions) -> None:
    assert CHUNK == (250, 2**18)
    chunk = ChunkSize(3, 100_000)
    ledger.commit([rejected("large", size=60_000), rejected("larger", size=60_000), rejected("largest", size=60_000)])
    ledger.commit([rejected(f"small-{number}", 1) for number in range(5)])
    sizes = []
    while (found := book.old(RejectedPostback, NOW, chunk)).ids:
        sizes.append(book.remove(RejectedPostback, found.ids, Reason.AGE, NOW).rows)
    assert sizes == [2, 3, 3]


def test_each_share_of_what_is_kept_is_known(ledger: Ledger, book: Deletions) -> None:
    first = [rejected("a", size=1000), rejected("b", sender=None), rejected("c")]
    ledger.commit(first)
    assert book.shares() == {"": taken(first[1:2]), "ezmob": taken([first[0], first[2]])}


def taken(rejections: Sequence[Rejection]) -> int:
    return sum(len(one.raw.as_sent()) + ROW_BYTES for one in rejections)


def test_of_a_share_the_replayed_are_found_and_the_others_each_the_oldest_first(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    ledger.commit([rejected("known-2", 2), rejected("known-0"), rejected("stranger-3", 3, None)])
    ledger.commit([rejected("stranger-1", 1, None), rejected("replayed-9", 9), rejected("other-0", sender="other")])
    engine.change("UPDATE rejected_postback SET replayed_at = received_at WHERE click_id = 'replayed-9'")
    went = []
    for share, replayed in (("ezmob", True), ("", False), ("ezmob", False)):
        place: Position | None = None
        while (found := book.surplus(share, place, 1, replayed=replayed)).ids:
            place = found.position
            before = left(engine)
            assert book.remove(RejectedPostback, found.ids, Reason.SIZE, NOW).taken > ROW_BYTES
            went += sorted(set(map(str, before)) - set(map(str, left(engine))))
    assert went == ["replayed-9", "stranger-1", "stranger-3", "known-0", "known-2"]
    assert left(engine) == ["other-0"]


def test_no_more_is_chosen_than_makes_the_room_that_is_needed(ledger: Ledger, book: Deletions) -> None:
    rows = [rejected(f"{number}", number) for number in range(9)]
    ledger.commit(rows)
    assert len(book.surplus("ezmob", None, taken(rows[:4])).ids) == 4
    assert len(book.surplus("ezmob", None, taken(rows[:4]) + 1).ids) == 5
    assert book.surplus("ezmob", None, 0).ids == []


def test_a_conversion_goes_when_it_is_old_and_nothing_that_is_kept_repeats_it(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    entries: list[Entry] = [
        builders.postback(f"c={name}&value=1&goal={goal}", received_at=CAME + days * DAY)
        for name, goal, days in (("old", "", 0), ("repeated", "", 0), ("repeated", "other", 0), ("disputed", "", 0))
    ]
    entries.append(builders.postback("c=young&value=1", received_at=CAME + 5 * DAY))
    ledger.commit(entries)
    ledger.commit([builders.postback("c=repeated&value=1"), builders.postback("c=disputed&value=2")])
    page = book.conversions(None)
    assert [key[2] for key, _ in page] == ["disputed", "old", "repeated", "repeated", "young"]
    removed = book.remove_conversions(page[0][0], page[-1][0], CAME + DAY, NOW)
    assert removed.rows == 2
    assert engine.rows("SELECT click_id, goal FROM conversion ORDER BY click_id") == [
        ("disputed", ""),
        ("repeated", ""),
        ("young", ""),
    ]
    with engine.database.audit() as audit:
        assert set(audit.orphans().values()) == {0}
    assert noted(engine) == {("conversion", "age", "stored"): 2}
    assert book.conversions(page[-1][0]) == []


def test_a_conversion_goes_with_its_history_and_not_before_its_last_change_is_old(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    for click_id, changed_at in (("a", CAME), ("b", NOW)):
        ledger.commit([builders.postback(f"c={click_id}&value=1&conversion_status=pending", received_at=CAME)])
        approved = f"c={click_id}&value=1&conversion_status=approved"
        ledger.commit([builders.postback(approved, received_at=changed_at)])
    page = book.conversions(None)
    assert book.remove_conversions(page[0][0], page[-1][0], CAME + DAY, NOW).rows == 1
    left = "SELECT click_id FROM conversion UNION ALL SELECT click_id FROM status_change"
    assert engine.rows(left) == [("b",), ("b",)]
    noted = {(one.table_name, one.outcome, one.rows) for one in book.book(9)}
    assert noted == {("conversion", "stored", 1), ("status_change", "updated", 1)}


def test_only_the_conversions_between_two_keys_go(engine: Engine, ledger: Ledger, book: Deletions) -> None:
    ledger.commit([builders.postback(f"c={name}&value=1") for name in "abcd"])
    keys = [key for key, _ in book.conversions(None)]
    assert book.remove_conversions(keys[1], keys[2], NOW, NOW).rows == 2
    assert left(engine, "conversion") == ["a", "d"]


def test_after_a_conversion_has_gone_its_key_is_stored_anew(ledger: Ledger, book: Deletions) -> None:
    sent = [builders.postback("c=a&value=1")]
    ledger.commit(sent)
    ((key, _),) = book.conversions(None)
    book.remove_conversions(key, key, NOW, NOW)
    again = ledger.commit([builders.postback("c=a&value=2")])
    assert again.verdicts[0].outcome is Outcome.STORED


def test_what_one_day_deletes_of_one_kind_is_one_row_of_the_book(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    """Else a flood would fill the book instead of the table."""
    ledger.commit([rejected(f"{number}", number) for number in range(6)])
    for hours in range(5):
        found = book.surplus("ezmob", None, 1)
        book.remove(RejectedPostback, found.ids, Reason.SIZE, NOW + timedelta(hours=hours))
    columns = "run, rows, first_received_at, last_received_at, deleted_by, deleted_at, process, click_id_sha256"
    assert engine.rows(f"SELECT {columns} FROM deletion") == [  # noqa: S608 - our own names
        (
            f"retention {NOW:%Y-%m-%d}",
            5,
            f"{CAME:%Y-%m-%d %H:%M:%S.%f}",
            f"{CAME + 4 * DAY:%Y-%m-%d %H:%M:%S.%f}",
            "retention",
            f"{NOW + timedelta(hours=4):%Y-%m-%d %H:%M:%S.%f}",
            OWN,
            None,
        )
    ]
    found = book.surplus("ezmob", None, 1)
    book.remove(RejectedPostback, found.ids, Reason.SIZE, NOW + DAY)
    assert [entry.rows for entry in book.book(10)] == [1, 5]
    assert [entry.rows for entry in book.book(1)] == [1]


def test_ids_that_are_gone_already_are_not_noted_twice(engine: Engine, ledger: Ledger, book: Deletions) -> None:
    ledger.commit([rejected("a")])
    ids = book.old(RejectedPostback, NOW).ids
    assert [book.remove(RejectedPostback, ids, Reason.AGE, NOW).rows for _ in range(2)] == [1, 0]
    assert sum(noted(engine).values()) == 1


def counts(engine: Engine) -> dict[str, Counts]:
    with engine.database.audit() as audit:
        audit.pin()
        return audit.counts(Window(OWN, NOW, NOW))


def test_what_is_left_and_what_the_book_has_are_what_the_process_wrote(
    engine: Engine, ledger: Ledger, book: Deletions
) -> None:
    ledger.commit(
        [builders.postback("c=a&value=1"), builders.postback("c=a&value=1"), builders.postback("c=a&value=2")]
    )
    ledger.commit([rejected(f"{number}", sender=None) for number in range(4)])
    foreign = builders.raw("c=foreign", request_id="f" * 32)
    ledger.commit([Rejection(foreign, None, Outcome.MISSING_VALUE, "", "foreign")])
    before = {outcome: found.written for outcome, found in counts(engine).items()}
    book.remove(RejectedPostback, book.surplus("", None, 2**20).ids, Reason.SIZE, NOW)
    book.remove(Duplicate, book.old(Duplicate, NOW).ids, Reason.AGE, NOW)
    after = counts(engine)
    assert {outcome: found.written for outcome, found in after.items()} | {"missing_value": 0} == before
    assert before == {"stored": 1, "duplicate": 1, "conflict": 1, "invalid_value": 4, "missing_value": 0}
    assert (after["invalid_value"].rows, after["invalid_value"].deleted) == (0, 4)
    engine.change("DELETE FROM conversion")
    assert counts(engine)["duplicate"].written == 1
    assert "stored" not in counts(engine)


def test_rows_of_a_replay_are_nobodys(engine: Engine, ledger: Ledger, book: Deletions) -> None:
    """Their request ids are hashes: each would be a process of its own in the book."""
    ledger.commit([rejected("a")])
    engine.change("UPDATE rejected_postback SET door = 'replay'")
    book.remove(RejectedPostback, book.old(RejectedPostback, NOW).ids, Reason.AGE, NOW)
    assert engine.rows("SELECT process, rows FROM deletion") == [("", 1)]
    assert counts(engine) == {}


def test_of_several_replicas_one_deletes_at_a_time(engine: Engine, book: Deletions) -> None:
    another = engine.database.deletions()
    with ExitStack() as stack:
        first = stack.enter_context(book.alone())
        second = stack.enter_context(another.alone())
        assert first
        assert (second is None) == (engine.kind == "postgres")  # a file has one process
        first()
    with another.alone() as free:
        assert free
