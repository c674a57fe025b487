"""The life of a conversion, on every engine: each status is a row of its own, and none is ever overwritten."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from service.core.judging import Known, Manner, Part, judge_all
from service.core.outcome import Outcome
from service.core.parsing import parse
from service.core.postback import Postback
from service.core.presets import PRESETS
from service.core.verdict import Entry
from service.storage.audit_histories import broken_histories
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from service.storage.schema.tables import StatusChange
from tests.support import builders
from tests.support.engines import Engine

HISTORY = "SELECT number, conversion_status, value, currency FROM status_change ORDER BY click_id, goal, number"
FIRST = "SELECT conversion_status, value FROM conversion"


def sent(status: str, value: str = "0", **changes: object) -> Postback:
    told = f"&conversion_status={status}" if status else ""
    return builders.postback(f"c=a&value={value}{told}", **changes)


def outcomes(ledger: Ledger, *entries: Entry) -> list[str]:
    return [verdict.outcome.value for verdict in ledger.commit(entries).verdicts]


def test_a_lead_becomes_a_sale_and_is_refunded_and_nothing_is_overwritten(engine: Engine, ledger: Ledger) -> None:
    for status, value in (("pending", "0"), ("approved", "10"), ("refunded", "10")):
        outcomes(ledger, sent(status, value))
    assert engine.rows(FIRST) == [("pending", "0")]
    assert engine.rows(HISTORY) == [(1, "approved", "10", None), (2, "refunded", "10", None)]


@pytest.mark.parametrize("together", [True, False])
def test_a_whole_life_is_judged_in_order_whether_it_comes_in_one_commit_or_in_many(
    engine: Engine, ledger: Ledger, *, together: bool
) -> None:
    life: list[Entry] = [
        sent("pending"),
        sent("approved", "10"),
        sent("approved", "10"),
        sent("pending"),
        sent("", "10"),
        sent("pending", "3"),
        sent("approved", "11"),
        sent("rejected", "10"),
        sent("approved", "12"),
    ]
    told = outcomes(ledger, *life) if together else [outcomes(ledger, one)[0] for one in life]
    assert told == [
        *("stored", "updated", "duplicate", "duplicate", "duplicate", "illegal_transition", "conflict", "updated"),
        "illegal_transition",
    ]
    assert engine.rows(HISTORY) == [(1, "approved", "10", None), (2, "rejected", "10", None)]
    kept = engine.rows("SELECT outcome FROM rejected_postback ORDER BY id")
    assert kept == [("illegal_transition",), ("conflict",), ("illegal_transition",)]


KEITARO = PRESETS["keitaro"]  # which need not send a value


@pytest.mark.parametrize(
    ("queries", "outcome"),
    [
        (("payout=5", "status=sale", "payout=0"), "conflict"),
        (("payout=5", "status=sale", "status=sale&payout=0"), "conflict"),
        (("payout=5", "status=sale", "status=sale&payout=5"), "duplicate"),
        (("payout=5", "status=sale", "payout=5"), "duplicate"),
        (("payout=5", "status=sale", "status=sale"), "duplicate"),
        (("payout=5", "status=sale", ""), "duplicate"),
        (("payout=5", ""), "duplicate"),
        (("payout=5", "status=sale&payout=0", "payout=0"), "duplicate"),
        (("payout=5", "status=sale&payout=7", "status=refund", "payout=0"), "conflict"),
        (("payout=5", "status=sale&payout=7", "status=refund", "status=refund&payout=7"), "duplicate"),
        (("", "status=sale", "payout=0"), "duplicate"),  # a first value that was not sent counts as 0
        (("", "payout=5"), "conflict"),
    ],
)
def test_a_value_that_was_not_sent_is_no_value_of_0(ledger: Ledger, queries: Sequence[str], outcome: str) -> None:
    postbacks = [parse(builders.raw(f"subid=a&{query}"), KEITARO) for query in queries]
    assert [outcomes(ledger, postback)[0] for postback in postbacks][-1] == outcome


def test_what_is_written_is_counted_by_table(ledger: Ledger) -> None:
    ledger.commit([sent("pending")])
    committed = ledger.commit(
        [sent("approved"), sent("approved"), sent("pending", "9"), builders.postback("c=b&value=1")]
    )
    assert committed.rows == {"conversion": 1, "status_change": 1, "duplicate": 1, "rejected_postback": 1}


def test_a_commit_that_is_repeated_finds_its_own_changes(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([sent("pending")])
    batch = [sent("approved", "10"), builders.postback("c=b&value=1"), sent("refunded", "10")]
    first = ledger.commit(batch)
    again = ledger.commit(batch, [Part(0, len(batch), Manner.AGAIN)])
    assert [verdict.outcome for verdict in again.verdicts] == [verdict.outcome for verdict in first.verdicts]
    assert again.verdicts[0].detail == first.verdicts[0].detail == "pending → approved, value 10 (no currency)"
    assert (again.recognised, sum(again.rows.values())) == (3, 0)
    assert len(engine.rows(HISTORY)) == 2


def test_the_unknown_parameters_of_a_change_are_kept(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([sent("pending")])
    ledger.commit([builders.postback("c=a&value=1&conversion_status=approved&order=7")])
    assert engine.rows("SELECT CAST(params AS text) FROM status_change") == [('{"order":"7"}',)]


def test_lookups_tell_the_history_and_what_is_so_now(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([sent("pending"), builders.postback("c=a&value=3&goal=g")])
    ledger.commit([builders.postback("c=a&value=10&currency=EUR&conversion_status=approved")])
    history = engine.database.history()
    told = [(arrival.outcome, arrival.detail) for arrival in history.arrivals("a")]
    assert told == [
        (Outcome.STORED, "pending, value 0 (no currency)"),
        (Outcome.STORED, "value 3 (no currency), goal g"),
        (Outcome.UPDATED, "now approved, value 10 EUR"),
    ]
    now = [(one.goal, one.conversion_status, one.value, one.currency) for one in history.conversions("a")]
    assert now == [("", "approved", "10", "EUR"), ("g", None, "3", None)]


def test_exports_tell_the_current_state_beside_the_first_value(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([builders.postback(f"c={name}&value=1&conversion_status=pending") for name in "abc"])
    ledger.commit([builders.postback("c=b&value=10&currency=EUR&conversion_status=approved")])
    ledger.commit([builders.postback("c=b&value=10&currency=EUR&conversion_status=refunded")])
    (page,) = engine.database.conversions().pages(Wanted())
    told = [(row.click_id, row.value, row.conversion_status, row.current_value, row.current_currency) for row in page]
    assert told == [
        ("a", "1", "pending", "1", None),
        ("b", "1", "refunded", "10", "EUR"),
        ("c", "1", "pending", "1", None),
    ]
    assert [row.changed_at for row in page] == [None, builders.RECEIVED_AT, None]


def test_a_change_whose_conversion_is_gone_is_an_orphan(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([sent("pending")])
    ledger.commit([sent("approved")])
    engine.change("DELETE FROM conversion")
    with engine.database.audit() as audit:
        assert audit.orphans() == {"updated": 1, "duplicate": 0, "conflict": 0, "correction": 0}


def test_the_declared_table_is_the_migrated_one(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    with engine.database.audit() as audit:
        assert set(audit.columns("status_change")) == set(StatusChange.model_fields)


def test_of_two_replicas_that_change_one_conversion_one_must_judge_again(postgres_url: str) -> None:
    engine = Engine(postgres_url)
    ledgers = [engine.database.ledger() for _ in range(2)]
    for ledger in ledgers:
        ledger.open()
    with closing(ledgers[0]), closing(ledgers[1]), ThreadPoolExecutor(2) as threads:
        for number in range(40):
            ledgers[0].commit([builders.postback(f"c=click-{number}&value=0&conversion_status=approved")])
            queries = [f"c=click-{number}&value=1&conversion_status={it}" for it in ("rejected", "refunded")]
            told = threads.map(outcomes, ledgers, map(builders.postback, queries))
            assert sorted(word for (word,) in told) == ["illegal_transition", "updated"]  # neither follows the other
    lives = "SELECT string_agg(conversion_status, '>' ORDER BY number) AS life FROM status_change GROUP BY click_id"
    assert {str(row[0]) for row in engine.rows(lives)} <= {"rejected", "refunded"}


WORDS = [
    ("signup", "0", "stored"),
    ("signup", "0", "duplicate"),
    ("deposit", "0", "invalid_status"),
    ("deposit", "0", "invalid_status"),
    ("signup", "9", "invalid_status"),
    ("", "0", "duplicate"),
    ("rejected", "0", "updated"),
    ("approved", "10", "updated"),
    ("refunde", "10", "invalid_status"),
    ("signup", "0", "duplicate"),
    ("refunded", "10", "updated"),
    ("refunde", "10", "invalid_status"),
]


@pytest.mark.parametrize("together", [True, False])
def test_a_word_of_unknown_meaning_is_stored_first_and_later_repeats_nothing_but_itself(
    engine: Engine, ledger: Ledger, *, together: bool
) -> None:
    life: list[Entry] = [sent(word, value) for word, value, _ in WORDS]
    told = outcomes(ledger, *life) if together else [outcomes(ledger, one)[0] for one in life]
    assert told == [outcome for _, _, outcome in WORDS]
    assert engine.rows(FIRST) == [(None, "0")]
    params = engine.rows("SELECT CAST(params AS text) FROM conversion")
    assert params == [('{"conversion_status":"signup"}',)]
    kept = engine.rows("SELECT outcome, count(*) FROM rejected_postback GROUP BY outcome")
    assert kept == [("invalid_status", 5)]
    with engine.database.audit() as audit:
        assert broken_histories(audit) == []


def test_a_word_is_judged_by_its_own_conversion_alone(ledger: Ledger) -> None:
    stored = [builders.postback(f"c={it}&value=1&conversion_status=word-{it}") for it in range(70)]
    assert set(outcomes(ledger, *stored)) == {"stored"}
    again = [builders.postback(f"c={it}&value=1&conversion_status=word-{it % 35}") for it in range(70)]
    assert outcomes(ledger, *again) == ["duplicate"] * 35 + ["invalid_status"] * 35


def test_a_repeated_commit_finds_what_became_of_an_unknown_word(ledger: Ledger) -> None:
    ledger.commit([sent("approved", "10")])
    batch = [sent("refunde", "10"), builders.postback("c=b&value=1&conversion_status=reg"), sent("refunded", "10")]
    first = ledger.commit(batch)
    again = ledger.commit(batch, [Part(0, len(batch), Manner.AGAIN)])
    words = ["invalid_status", "stored", "updated"]
    assert [verdict.outcome.value for verdict in first.verdicts] == words
    assert [verdict.outcome.value for verdict in again.verdicts] == words
    assert again.verdicts[0].detail == first.verdicts[0].detail
    assert (again.recognised, sum(again.rows.values())) == (3, 0)


@pytest.mark.parametrize(("word", "outcome"), [("refunde", "invalid_status"), ("refunded", "updated")])
def test_a_batch_of_all_or_none_is_refused_for_an_unknown_word_of_a_known_conversion(
    engine: Engine, ledger: Ledger, word: str, outcome: str
) -> None:
    ledger.commit([sent("approved", "10")])
    batch = [builders.postback("c=b&value=1&conversion_status=reg"), sent(word, "10")]
    committed = ledger.commit(batch, [Part(0, len(batch), Manner.ATOMIC)])
    assert committed.verdicts[-1].outcome.value == outcome
    assert bool(committed.refusals) is (outcome == "invalid_status")
    assert len(engine.rows(FIRST)) == (1 if committed.refusals else 2)


def test_foreseeing_says_of_an_unknown_word_what_storing_says(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([sent("signup", "5")])
    foreseen = []
    for word in ("signup", "deposit"):
        postback = sent(word, "5")
        known = Known(engine.database.history().winners([postback]))
        foreseen += [verdict.outcome.value for verdict in judge_all([postback], known).verdicts]
    assert foreseen == ["duplicate", "invalid_status"]


def test_an_appeal_is_won_once(engine: Engine, ledger: Ledger) -> None:
    life = [("pending", "0"), ("rejected", "0"), ("approved", "10"), ("rejected", "10"), ("approved", "12")]
    assert [outcomes(ledger, sent(*one))[0] for one in life] == [
        *("stored", "updated", "updated", "updated", "illegal_transition"),
    ]
    with engine.database.audit() as audit:
        assert broken_histories(audit) == []
