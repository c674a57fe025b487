"""One postback, one verdict, on every engine: nothing is judged twice, and a commit is all or nothing."""

import pytest

from service.core.judging import Manner, Part
from service.core.outcome import Outcome
from service.core.unavailable import StorageError
from service.core.verdict import Entry
from service.storage.ledger import Committed, Ledger
from tests.support import builders
from tests.support.engines import Engine

_ALL = """
    SELECT request_id FROM conversion UNION ALL SELECT request_id FROM status_change
    UNION ALL SELECT request_id FROM duplicate UNION ALL SELECT request_id FROM rejected_postback
"""


def told(committed: Committed) -> list[str]:
    return [verdict.outcome.value for verdict in committed.verdicts]


def mixed() -> list[Entry]:
    """Return entries that get every kind of verdict, if they are judged in this order."""
    queries = ["c=a&value=1", "c=a&value=1", "c=a&value=2", "c=a&value=2&conversion_status=approved"]
    queries += ["c=a&value=2&conversion_status=pending"]
    return [*map(builders.postback, queries), builders.rejection()]


MIXED = ["stored", "duplicate", "conflict", "updated", "illegal_transition", "invalid_value"]


@pytest.mark.parametrize("manner", [Manner.AGAIN, Manner.DRAINED])
def test_what_is_recorded_is_the_verdict_however_the_history_went_on(
    ledger: Ledger, engine: Engine, manner: Manner
) -> None:
    """Judged anew, the conflict would be a duplicate: its value was stored with the change that followed."""
    batch = mixed()
    assert told(ledger.commit(batch)) == MIXED
    ledger.commit([builders.postback("c=a&value=2&conversion_status=refunded")])
    before = sorted(engine.rows(_ALL))
    again = ledger.commit(batch, [Part(0, len(batch), manner)])
    assert told(again) == MIXED
    assert (again.recognised, sum(again.rows.values())) == (len(batch), 0)
    assert sorted(engine.rows(_ALL)) == before


def test_what_was_not_recorded_is_judged_now_and_its_neighbours_are_not(ledger: Ledger, engine: Engine) -> None:
    batch = mixed()
    ledger.commit(batch[:3])
    again = ledger.commit([*batch, builders.postback("c=live&value=1")], [Part(0, len(batch), Manner.AGAIN)])
    assert told(again) == [*MIXED, "stored"]
    assert again.recognised == 3
    assert again.rows == {"conversion": 1, "status_change": 1, "duplicate": 0, "rejected_postback": 2}
    ids = [request_id for (request_id,) in engine.rows(_ALL)]
    assert len(ids) == len(set(ids)) == len(batch) + 1


@pytest.mark.parametrize("table", ["status_change", "duplicate", "rejected_postback"])
def test_a_mixed_batch_that_fails_anywhere_leaves_nothing(ledger: Ledger, engine: Engine, table: str) -> None:
    engine.change(f"DROP TABLE {table}")
    with pytest.raises(StorageError):
        ledger.commit([builders.postback("c=new&value=1"), *mixed()])
    assert engine.rows("SELECT count(*) FROM conversion") == [(0,)]
    assert told(ledger.commit([builders.postback("c=next&value=1")])) == ["stored"]  # no transaction was left open


def test_of_all_or_none_a_change_that_is_not_allowed_refuses_all(ledger: Ledger, engine: Engine) -> None:
    ledger.commit([builders.postback("c=a&value=1&conversion_status=pending")])
    before = engine.rows(_ALL)
    rows = [builders.postback(f"c={name}&value=1") for name in ("new", "newer")]
    rows.insert(1, builders.postback("c=a&value=1&conversion_status=refunded"))
    done = ledger.commit(rows, [Part(0, 3, Manner.ATOMIC)])
    number, verdict = done.refusals[0]
    assert (number, verdict.outcome) == (2, Outcome.ILLEGAL_TRANSITION)
    assert sum(done.rows.values()) == 0
    assert engine.rows(_ALL) == before


def test_of_all_or_none_a_change_that_the_rows_before_do_not_allow_refuses_all(ledger: Ledger, engine: Engine) -> None:
    queries = ["c=x&value=1&conversion_status=pending", "c=x&value=1&conversion_status=refunded"]
    rows = [builders.postback(query) for query in queries]
    assert ledger.commit(rows, [Part(0, 2, Manner.ATOMIC)]).refusals[0].number == 2
    assert engine.rows(_ALL) == []


def test_who_is_committed_together_with_all_or_none_is_judged_for_himself(ledger: Ledger, engine: Engine) -> None:
    """The refused rows take no key: who comes after them in the same commit finds it free."""
    queries = ["c=x&value=1", "c=x&value=1&conversion_status=approved", "c=x&value=1&conversion_status=pending"]
    rows: list[Entry] = [builders.postback(query) for query in queries]
    around = [builders.postback("c=first&value=1"), builders.postback("c=x&value=9")]
    done = ledger.commit([around[0], *rows, around[1]], [Part(1, 4, Manner.ATOMIC)])
    assert done.refusals[1].number == 3
    assert done.verdicts[0].outcome is done.verdicts[4].outcome is Outcome.STORED
    assert engine.rows("SELECT click_id, value FROM conversion ORDER BY 1") == [("first", "1"), ("x", "9")]


def test_duplicates_and_conflicts_are_accepted_with_all_the_others(ledger: Ledger, engine: Engine) -> None:
    rows = [builders.postback(f"c=a&value={value}") for value in "112"]
    done = ledger.commit(rows, [Part(0, 3, Manner.ATOMIC)])
    assert told(done) == ["stored", "duplicate", "conflict"]
    assert done.refusals == {}
    assert len(engine.rows(_ALL)) == 3
