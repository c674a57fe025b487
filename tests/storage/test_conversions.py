"""The walk through what is stored, on every engine: what is chosen is found once, in the order of its key."""

from datetime import timedelta

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from service.core.postback import Postback
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Conversions, Received, Wanted, page_after
from service.storage.reads.paging import walk
from tests.support import builders
from tests.support.engines import Engine

HOUR = timedelta(hours=1)
DIALECT = sqlite.dialect()
MANY = """
    INSERT INTO conversion (sender, is_test, click_id, goal, transaction_id, value, value_micros, params, received_at,
        request_id, door)
    SELECT 'ezmob', false, md5(n::text), '', '', '1', 1000000, '{}', now(), 'many-' || n, 'batch'
    FROM generate_series(1, 20000) AS n
"""


def conversion(query: str, hours: int = 0, **changes: object) -> Postback:
    made = builders.postback(query, received_at=builders.RECEIVED_AT + hours * HOUR)
    return made._replace(**changes)  # type: ignore[arg-type]  # as the tests name them


@pytest.fixture
def read(engine: Engine, ledger: Ledger) -> Conversions:
    """Store what differs in everything that can be chosen, not in order."""
    entries = [
        conversion("c=b&value=1.50&goal=sale&x=1", 1),
        conversion("c=b&value=-2&currency=EUR", 2),
        conversion("c=a&value=3&txid=t", 3),
        conversion("c=a&value=4", 4, sender="another"),
        conversion("c=c&value=5", 5, is_test=True),
    ]
    ledger.commit(entries)
    return engine.database.conversions()


def values(read: Conversions, wanted: Wanted) -> list[str]:
    return [row.value for page in read.pages(wanted) for row in page]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["4", "3", "-2", "1.50"]),
        (Wanted(tests=True), ["4", "3", "-2", "1.50", "5"]),
        (Wanted(sender="ezmob"), ["3", "-2", "1.50"]),
        (Wanted(sender="nobody"), []),
        (Wanted(click_id="a"), ["4", "3"]),
        (Wanted(since=builders.RECEIVED_AT + 2 * HOUR), ["4", "3", "-2"]),
        (Wanted(until=builders.RECEIVED_AT + 2 * HOUR), ["1.50"]),
        (Wanted("ezmob", "b", builders.RECEIVED_AT + 2 * HOUR, builders.RECEIVED_AT + 3 * HOUR), ["-2"]),
    ],
)
def test_what_is_chosen_is_found_by_sender_and_then_by_click_id(
    read: Conversions, wanted: Wanted, found: list[str]
) -> None:
    assert values(read, wanted) == found


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_pages_of_any_length_hold_each_row_once(read: Conversions, rows: int) -> None:
    pages = list(walk(lambda after: read.page(Wanted(tests=True), after, rows)))
    assert [row.value for page in pages for row in page] == ["4", "3", "-2", "1.50", "5"]
    assert max(map(len, pages)) <= rows


@pytest.mark.parametrize("large", [range(4), range(36, 40), range(0, 40, 2)], ids=["first", "last", "every other"])
def test_a_page_ends_where_its_rows_are_large_enough_wherever_they_are(
    ledger: Ledger, engine: Engine, large: range
) -> None:
    ledger.commit([conversion(f"c={n:02}&value=1&x={'y' * (n in large) * 1_500}") for n in range(40)])
    read = engine.database.conversions()
    pages = [
        [(row.click_id, len(str(row.params["x"]))) for row in page]
        for page in walk(lambda after: read.page(Wanted(), after, most_bytes=2_000))
    ]
    assert [click_id for page in pages for click_id, _ in page] == [f"{n:02}" for n in range(40)]
    assert all(sum(size for _, size in page[:-1]) < 2_000 for page in pages)
    assert len(pages) >= len(large) // 2


def test_every_column_is_as_it_was_stored(read: Conversions) -> None:
    (page,) = read.pages(Wanted(sender="ezmob", click_id="b", until=builders.RECEIVED_AT + 2 * HOUR))
    (row,) = page
    assert row[:9] == ("ezmob", False, "b", "sale", "", "1.50", 1_500_000, None, {"x": "1"})
    assert (row.received_at, row.door) == (builders.RECEIVED_AT + HOUR, "postback")


def test_when_click_ids_were_received_is_told_of_every_sender_and_of_tests(read: Conversions) -> None:
    came = builders.RECEIVED_AT
    assert read.received(["a", "b", "c", "nobody"]) == {
        "a": [Received(came + 4 * HOUR, "another", is_test=False), Received(came + 3 * HOUR, "ezmob", is_test=False)],
        "b": [Received(came + 2 * HOUR, "ezmob", is_test=False), Received(came + HOUR, "ezmob", is_test=False)],
        "c": [Received(came + 5 * HOUR, "ezmob", is_test=True)],
    }


def test_a_page_is_a_range_of_the_primary_key(read: Conversions, engine: Engine) -> None:
    """The hundredth page must not read ninety-nine, nor sort a table."""
    ((first, *_),) = read.pages(Wanted(sender="ezmob"))
    page = page_after(first[2:5], Wanted(), "ezmob", is_test=False)
    if engine.kind == "postgres":
        engine.change(MANY)  # its planner reads a table of five rows as a whole, and rightly
        engine.change("ANALYZE conversion")
        statement = page.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
        plan = str(engine.rows(f"EXPLAIN {statement}".replace("%", "%%")))
        assert "Index Scan using conversion_pkey" in plan
        assert "Sort" not in plan
        return
    plan = str(
        engine.rows(f"EXPLAIN QUERY PLAN {page.compile(dialect=DIALECT, compile_kwargs={'literal_binds': True})}")
    )
    assert "USING PRIMARY KEY (sender=? AND is_test=? AND (click_id,goal,transaction_id)>(?,?,?))" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
