"""Reprocess, on every engine: conversions are worth what today's rules read, and nothing that is stored changes."""

from dataclasses import replace

import pytest

from service.core.outcome import Outcome
from service.core.parsing import parse
from service.core.postback import Postback
from service.core.roster import sender_from_preset
from service.core.sender import Sender
from service.core.verdict import Entry, judge_against
from service.operations.reprocess import Order, Reprocessed, rehearse, reprocess
from service.storage.database import Database
from service.storage.reads.conversions import Wanted
from tests.support import builders
from tests.support.engines import Engine

THEN = replace(
    sender_from_preset("voluum", "acme"), fields={"cid": "click_id", "payout": "value", "status": "conversion_status"}
)
TODAY = replace(THEN, fields={**THEN.fields, "revenue": "value", "cur": "currency"})
ORDER = Order(Wanted("acme"), TODAY)
TABLES = ("conversion", "status_change", "duplicate", "rejected_postback")


def sent(query: str, sender: Sender = THEN) -> Postback:
    """Return what was sent, as it was understood."""
    return parse(builders.raw(query), sender)


@pytest.fixture
def stored(engine: Engine) -> None:
    """Store zeros that are none, what was read rightly, what today rejects, and what is another sender's."""
    entries: list[Entry] = [
        sent("cid=a&revenue=10.00&cur=USD&status=lead"),
        sent("cid=a&revenue=12.50&cur=USD&status=sale"),
        sent("cid=b&revenue=1"),
        sent("cid=c&revenue=2,5"),
        sent("cid=d&payout=3"),
        sent("cid=e&revenue=4", replace(THEN, name="beta")),
        sent("cid=f&revenue=5&test=1"),
    ]
    assert [commit(engine, entry) for entry in entries]


def commit(engine: Engine, entry: Entry) -> Outcome:
    """Store one as its sender's; nobody else writes."""
    ledger = engine.database.ledger()
    ledger.open()
    (verdict,) = ledger.commit([entry]).verdicts
    ledger.close()
    return verdict.outcome


def done(database: Database, order: Order = ORDER) -> Reprocessed:
    """Read again and correct."""
    return reprocess(database, order, "maria", "revenue was not read", lambda _: None)


def rows(engine: Engine) -> list[object]:
    return [engine.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in TABLES]  # noqa: S608 - our own names


def worth(engine: Engine) -> dict[str, tuple[int, str | None, str | None]]:
    """Return what each real conversion is worth now, as exports and reconcile read it."""
    return {
        row.click_id: (row.current_value_micros, row.current_currency, row.conversion_status)
        for page in engine.database.conversions().pages(Wanted())
        for row in page
    }


WORTH = {
    "a": (12_500_000, "USD", "approved"),
    "b": (1_000_000, None, None),
    "c": (0, None, None),
    "d": (3_000_000, None, None),
    "e": (0, None, None),
}
FORESEEN = {
    "done": False,
    "corrected": [
        {"why": ["value 0 → revenue"], "count": 1, "sums": {"": "1.00"}, "click_ids": ["b"]},
        {
            "why": ["value 0 → revenue", "currency (none) → USD"],
            "count": 1,
            "sums": {"USD": "12.50"},
            "click_ids": ["a"],
        },
    ],
    "rejected": {"invalid_value": 1},
    "rejected_click_ids": {"invalid_value": ["c"]},
    "other_key": 0,
    "other_key_click_ids": [],
    "twice": 0,
    "twice_click_ids": [],
    "repeats": 0,
    "unchanged": 1,
}


@pytest.mark.usefixtures("stored")
def test_the_difference_is_foreseen_without_making_it(engine: Engine) -> None:
    assert rehearse(engine.database, ORDER).members() == FORESEEN
    assert engine.rows("SELECT count(*) FROM correction") == [(0,)]


@pytest.mark.usefixtures("stored")
def test_what_was_foreseen_is_done_and_what_was_stored_is_as_it_was(engine: Engine) -> None:
    before = rows(engine)
    agreed: list[Reprocessed] = []
    report = reprocess(engine.database, ORDER, "maria", "revenue was not read", agreed.append)
    assert [one.members() for one in agreed] == [FORESEEN]
    assert report.members() == {**FORESEEN, "done": True}
    assert rows(engine) == before
    assert worth(engine) == WORTH
    told = engine.rows(
        "SELECT click_id, number, revision, value, value_micros, currency, conversion_status, corrected_by, reason "
        "FROM correction ORDER BY 1, 2"
    )
    why = ("maria", "revenue was not read")
    assert told == [
        ("a", 0, 1, "10.00", 10_000_000, "USD", "pending", *why),
        ("a", 1, 1, "12.50", 12_500_000, "USD", "approved", *why),
        ("b", 0, 1, "1", 1_000_000, None, None, *why),
    ]


@pytest.mark.usefixtures("stored")
def test_done_again_it_finds_nothing_to_do(engine: Engine) -> None:
    done(engine.database)
    before = engine.rows("SELECT * FROM correction ORDER BY 1, 2, 3, 4, 5, 6")
    again = done(engine.database)
    assert (again.changed, again.unchanged, again.done) == (0, 3, True)
    assert engine.rows("SELECT * FROM correction ORDER BY 1, 2, 3, 4, 5, 6") == before


@pytest.mark.usefixtures("stored")
def test_where_nobody_agrees_nothing_is_corrected(engine: Engine) -> None:
    def refuse(_: Reprocessed) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reprocess(engine.database, ORDER, "maria", "why", refuse)
    assert engine.rows("SELECT count(*) FROM correction") == [(0,)]


@pytest.mark.usefixtures("stored")
def test_after_an_interruption_the_rest_is_done(engine: Engine) -> None:
    done(engine.database, replace(ORDER, wanted=Wanted("acme", "b")))
    assert rehearse(engine.database, ORDER).changed == 1
    done(engine.database)
    assert worth(engine) == WORTH


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("cid=a&revenue=10.00&cur=USD&status=lead", Outcome.DUPLICATE),
        ("cid=a&revenue=12.50&cur=USD&status=sale", Outcome.DUPLICATE),
        ("cid=b&revenue=1.00", Outcome.DUPLICATE),
        ("cid=b&payout=0", Outcome.DUPLICATE),
        ("cid=b&revenue=2", Outcome.CONFLICT),
        ("cid=b&revenue=1&status=sale", Outcome.UPDATED),
    ],
)
def test_what_the_sender_sends_again_is_judged_by_what_it_is_now(engine: Engine, query: str, outcome: Outcome) -> None:
    done(engine.database)
    later = sent(query, TODAY)
    foreseen = judge_against(engine.database.history().winners([later])[later.key], later)
    assert (foreseen.outcome, commit(engine, later)) == (outcome, outcome)


@pytest.mark.usefixtures("stored")
def test_a_change_that_comes_later_counts_as_ever(engine: Engine) -> None:
    done(engine.database)
    assert commit(engine, sent("cid=a&payout=20&status=refund", TODAY)) is Outcome.UPDATED
    assert worth(engine)["a"] == (20_000_000, None, "refunded")
    (now,) = engine.database.history().conversions("a")
    assert (now.value_micros, now.conversion_status) == (20_000_000, "refunded")


@pytest.mark.usefixtures("stored")
def test_whoever_asks_for_a_click_id_is_told_what_it_is_now_and_who_corrected_it(engine: Engine) -> None:
    done(engine.database)
    (now,) = engine.database.history().conversions("a")
    assert (now.value, now.value_micros, now.currency, now.conversion_status) == (
        "12.50",
        12_500_000,
        "USD",
        "approved",
    )
    told = [(one.number, one.value, one.corrected_by, one.reason) for one in engine.database.history().corrections("a")]
    assert told == [(0, "10.00", "maria", "revenue was not read"), (1, "12.50", "maria", "revenue was not read")]
    ((row,),) = list(engine.database.conversions().pages(Wanted("acme", "b")))
    assert row.corrected_at is not None
    assert (row.value, row.value_micros, row.current_value) == ("", 0, "1")


NAMED = replace(TODAY, fields={**TODAY.fields, "order": "transaction_id"})


def test_what_would_be_another_conversion_is_told_with_what_is_stored_as_that_already(engine: Engine) -> None:
    """A name for transaction ids is new: what came before has none, and a retry after it is another conversion."""
    before = ("a&payout=1&order=1", "b&payout=2&order=2", "b&payout=2&order=3", "c&payout=3", "d&payout=4&order=5")
    for query in before:
        commit(engine, sent(f"cid={query}"))
    for query in ("a&payout=1&order=1", "d&payout=4&order=6"):
        assert commit(engine, sent(f"cid={query}", NAMED)) is Outcome.STORED
    found = rehearse(engine.database, replace(ORDER, sender=NAMED))
    assert (found.other_key.click_ids, found.twice.click_ids, found.repeats) == (["a", "b", "d"], ["a"], 1)
    assert (found.changed, found.unchanged) == (0, 3)
    assert commit(engine, sent("cid=a&payout=1&status=reject", NAMED)) is Outcome.UPDATED
    statuses = {one.transaction_id: one.conversion_status for one in engine.database.history().conversions("a")}
    assert statuses == {"": "rejected", "1": None}


@pytest.mark.parametrize(("listed", "told"), [(None, 7), (5, 5)])
def test_of_many_click_ids_the_first_are_listed_or_all(engine: Engine, listed: int | None, told: int) -> None:
    for number in range(7):
        commit(engine, sent(f"cid=click-{number}&revenue=1"))
    ((_, group),) = rehearse(engine.database, replace(ORDER, listed=listed)).in_order()
    assert (group.count, len(group.click_ids), group.sums) == (7, told, {None: 7_000_000})
