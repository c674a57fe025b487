"""Replay, on every engine: what today's rules accept is stored once, with its own moment; the rest is left alone."""

import asyncio

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.unavailable import StorageError
from service.operations.kept_input import new_request_id
from service.operations.replay import carry_out
from service.operations.replay_author import Author
from service.storage.audit import Window
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine
from tests.support.replayed import ME, carried_out, foreseen, outcomes, refused, replayed

TABLES = ("conversion", "duplicate", "rejected_postback", "replay")


def numbers(engine: Engine) -> list[object]:
    return [engine.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]  # noqa: S608 - our own names


@pytest.fixture
def kept(ledger: Ledger) -> list[Rejection]:
    """Keep one of each kind of difference, and what makes none."""
    ledger.commit([builders.postback("c=known&value=1")])
    entries = [
        refused("c=new&value=5"),
        refused("c=new&value=5"),
        refused("c=new&value=6"),
        refused("c=known&value=1.0"),
        refused("c=known&value=2"),
        refused("c=broken&value=x"),
        refused("c=other", Outcome.INVALID_CLICK_ID),
        refused("c=foreign&value=1", Outcome.UNAUTHENTICATED, None),
    ]
    ledger.commit(entries)
    return entries


FORESEEN = [
    ("stored", True),
    ("duplicate", True),
    ("conflict", True),
    ("duplicate", True),
    ("conflict", True),
    ("invalid_value", False),
    ("missing_value", False),
    ("unauthenticated", False),
]


@pytest.mark.usefixtures("kept")
def test_the_difference_is_foreseen_without_making_it(engine: Engine) -> None:
    before = numbers(engine)
    assert outcomes(foreseen(engine)) == FORESEEN
    assert numbers(engine) == before


def test_what_was_foreseen_is_what_is_done_with_the_moment_of_the_first_arrival(
    engine: Engine, ledger: Ledger, kept: list[Rejection]
) -> None:
    assert replayed(engine, ledger) == [outcome for outcome, changes in FORESEEN if changes]
    ((value, received_at, request_id, door),) = engine.rows(
        "SELECT value, received_at, request_id, door FROM conversion WHERE click_id = 'new'"
    )
    assert (value, received_at, door) == ("5", "2026-01-02 03:04:05.678901", "replay")
    assert request_id == new_request_id(kept[0].raw.request_id)


def test_both_attempts_are_linked_and_it_is_known_who_and_when(
    engine: Engine, ledger: Ledger, kept: list[Rejection]
) -> None:
    replayed(engine, ledger)
    first = kept[0].raw.request_id
    (old,) = engine.rows(
        f"SELECT replay_outcome, replayed_at IS NOT NULL FROM rejected_postback WHERE request_id = '{first}'"  # noqa: S608 - our own id
    )
    assert old == ("stored", 1)
    quarantine = engine.database.quarantine()
    there = quarantine.replay_of(first)
    assert there
    assert (there.outcome, there.replayed_by) == ("stored", "me")
    assert quarantine.replay_of(there.request_id) == there
    row = quarantine.one(first)
    assert row
    assert row.replayed_at == there.replayed_at
    assert engine.rows(f"SELECT click_id FROM conversion WHERE request_id = '{there.request_id}'") == [("new",)]  # noqa: S608 - our own id


@pytest.mark.usefixtures("kept")
def test_the_second_time_changes_nothing(engine: Engine, ledger: Ledger) -> None:
    replayed(engine, ledger)
    before = numbers(engine)
    assert before == [2, 2, 8 + 2, 5]  # 2 conflicts are kept under the request_id of their replay
    assert replayed(engine, ledger) == []
    assert numbers(engine) == before


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("survived", ["the intention", "the rows"])
def test_an_interrupted_replay_is_finished_by_the_next_and_stores_nothing_twice(
    engine: Engine, ledger: Ledger, survived: str
) -> None:
    class Interrupted(Exception):  # noqa: N818 - what happened
        pass

    book = engine.database.replays()

    class Dying:
        begin = book.begin

        def finish(self, _: object) -> None:
            raise Interrupted

        def commit(self, *_: object) -> None:
            raise Interrupted

    dying = Dying()
    with pytest.raises(Interrupted):
        asyncio.run(
            carry_out(
                foreseen(engine),
                ledger if survived == "the rows" else dying,  # type: ignore[arg-type]  # only commit is used
                dying,  # type: ignore[arg-type]  # only these two are used
                Author("the first"),
            )
        )
    assert engine.rows("SELECT DISTINCT outcome, replayed_by FROM replay") == [(None, "the first")]
    replayed(engine, ledger)
    assert numbers(engine) == [2, 2, 10, 5]
    assert engine.rows("SELECT outcome, count(*) FROM replay GROUP BY 1 ORDER BY 1") == [
        ("conflict", 2),
        ("duplicate", 2),
        ("stored", 1),
    ]


@pytest.mark.usefixtures("kept")
def test_two_who_replay_the_same_at_once_store_it_once(engine: Engine, ledger: Ledger) -> None:
    mine, theirs = foreseen(engine), foreseen(engine)
    told = [
        carried_out(attempts, engine, ledger, author) for attempts, author in ((mine, ME), (theirs, Author("another")))
    ]
    assert told[0] == told[1]
    assert numbers(engine) == [2, 2, 10, 5]
    assert engine.rows("SELECT DISTINCT replayed_by FROM replay") == [("me",)]


def test_what_the_sender_sent_again_meanwhile_is_a_duplicate(
    engine: Engine, ledger: Ledger, kept: list[Rejection]
) -> None:
    assert kept
    attempts = foreseen(engine)
    ledger.commit([builders.postback("c=new&value=5")])
    assert carried_out(attempts, engine, ledger)[:2] == ["duplicate", "duplicate"]


@pytest.mark.usefixtures("kept")
def test_the_books_of_the_running_service_still_balance(engine: Engine, ledger: Ledger) -> None:
    """Doctor knows a process's rows by the beginning of their request ids: a replay's are nobody's."""
    window = Window("0" * 16, builders.RECEIVED_AT, builders.RECEIVED_AT)
    with engine.database.audit() as audit:
        before = {outcome: counts.own for outcome, counts in audit.counts(window).items()}
    replayed(engine, ledger)
    with engine.database.audit() as audit:
        after = audit.counts(window)
        assert (audit.orphans(), audit.repeated_request_ids()) == (
            {"updated": 0, "duplicate": 0, "conflict": 0, "correction": 0},
            0,
        )
    assert {outcome: counts.own for outcome, counts in after.items() if counts.own} == before
    assert (after["stored"].rows, after["stored"].own, after["stored"].foreign) == (2, 1, 0)


def test_the_writer_of_a_file_that_is_served_is_refused(engine: Engine, ledger: Ledger) -> None:
    """What replay relies on: beside a serving process it cannot even begin on SQLite, and on PostgreSQL it can."""
    assert ledger
    another = engine.database.ledger()
    if engine.kind == "sqlite":
        with pytest.raises(StorageError, match="another process is serving"):
            another.open()
        return
    another.open()
    another.close()
