"""The quarantine, on every engine: what is chosen is found, newest first, page by page, however much it is."""

from datetime import timedelta

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.ledger import Ledger
from service.storage.reads.paging import walk
from service.storage.reads.quarantine import Chosen, Quarantine
from tests.support import builders
from tests.support.engines import Engine

MINUTE = timedelta(minutes=1)


def rejected(number: int, outcome: Outcome = Outcome.INVALID_VALUE, sender: str | None = "ezmob") -> Rejection:
    """Return a rejection of so many minutes after the first."""
    raw = builders.raw(f"c=click-{number}&value=x", received_at=builders.RECEIVED_AT + number * MINUTE)
    return Rejection(raw, sender, outcome, "the reason", f"click-{number}")


@pytest.fixture
def kept(ledger: Ledger) -> list[Rejection]:
    """Keep some of each kind, not in the order of their arrival."""
    entries = [rejected(2), rejected(0), rejected(3, Outcome.UNAUTHENTICATED, None), rejected(1, Outcome.MISSING_VALUE)]
    ledger.commit(entries)
    return entries


@pytest.fixture
def read(engine: Engine, kept: list[Rejection]) -> Quarantine:
    assert kept
    return engine.database.quarantine()


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Chosen(), [3, 2, 1, 0]),
        (Chosen(outcomes=("invalid_value",)), [2, 0]),
        (Chosen(outcomes=("invalid_value", "missing_value")), [2, 1, 0]),
        (Chosen(sender="ezmob"), [2, 1, 0]),
        (Chosen(since=builders.RECEIVED_AT + MINUTE), [3, 2, 1]),
        (Chosen(until=builders.RECEIVED_AT + MINUTE), [0]),
        (Chosen(click_id="click-1"), [1]),
        (Chosen(click_id="click-1", outcomes=("invalid_value",)), []),
        (Chosen(not_replayed=True), [3, 2, 1, 0]),
    ],
)
def test_what_is_chosen_is_found_newest_first(read: Quarantine, chosen: Chosen, found: list[int]) -> None:
    names = [f"click-{number}" for number in found]
    assert [row.click_id for row in read.newest(chosen, 10)] == names
    assert [row.click_id for page in read.pages(chosen) for row in page] == names
    assert [row.click_id for page in read.pages(chosen, oldest_first=True) for row in page] == names[::-1]
    assert read.count(chosen) == len(found)


def test_no_more_is_listed_than_was_asked_for(read: Quarantine) -> None:
    assert [row.click_id for row in read.newest(Chosen(), 2)] == ["click-3", "click-2"]


@pytest.mark.parametrize("oldest_first", [False, True])
def test_many_rows_of_one_moment_are_each_seen_once_in_bounded_pages(
    ledger: Ledger, engine: Engine, *, oldest_first: bool
) -> None:
    ledger.commit([builders.rejection(click_id=str(number)) for number in range(10)])
    read = engine.database.quarantine()
    pages = list(walk(lambda after: read.page(Chosen(), after, 3, oldest_first=oldest_first)))
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert len({row.request_id for page in pages for row in page}) == 10


@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_page_ends_where_its_raw_input_is_large_enough(ledger: Ledger, engine: Engine, *, oldest_first: bool) -> None:
    ledger.commit([builders.rejection(method="POST", body=b"x" * (n % 2) * 1_500) for n in range(20)])
    read = engine.database.quarantine()
    pages = list(walk(lambda after: read.page(Chosen(), after, most_bytes=2_000, oldest_first=oldest_first)))
    assert len({row.request_id for page in pages for row in page}) == 20
    assert all(sum(len(row.raw) for row in page[:-1]) < 2_000 for page in pages)
    assert len(pages) >= 5


def test_one_is_found_by_either_of_its_ids(read: Quarantine, kept: list[Rejection]) -> None:
    by_request_id = read.one(kept[0].raw.request_id)
    assert by_request_id
    assert by_request_id.raw == kept[0].raw.as_sent()
    by_id = read.one(str(by_request_id.id))
    assert by_id == by_request_id
    assert read.one("nobody") is None
    assert read.one("9" * 40) is None


def test_the_order_of_arrival_is_read_from_an_index(read: Quarantine, engine: Engine) -> None:
    """A list of fifty must not sort millions."""
    assert read
    if engine.kind == "postgres":  # its planner sorts a table of four rows, and rightly
        found = engine.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_rejected_postback_received_at'")
        assert "(received_at)" in str(found)
        return
    plan = engine.rows("EXPLAIN QUERY PLAN SELECT * FROM rejected_postback ORDER BY received_at DESC, id DESC LIMIT 50")
    assert "ix_rejected_postback_received_at" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
