"""A conversion's status: the words for it, what may follow what, and which arrivals are the same conversion."""

from dataclasses import replace
from itertools import product
from urllib.parse import quote

import pytest

from service.core.lifecycle import STATUS_WORDS, STATUSES, allowed_next, may_follow
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import Postback
from service.core.presets import EZMOB, PRESETS
from service.core.sender import DuplicatePolicy
from service.core.verdict import Correction, Winner, judge_against
from tests.support import builders

LEGAL = {
    ("pending", "approved"),
    ("pending", "rejected"),
    ("approved", "rejected"),
    ("approved", "refunded"),
    ("rejected", "approved"),
    *((None, status) for status in STATUSES),
}


@pytest.mark.parametrize(("current", "status"), [*product([None, *STATUSES], STATUSES)], ids=str)
def test_only_these_transitions_are_legal(current: str | None, status: str) -> None:
    assert may_follow([current], status) is ((current, status) in LEGAL)


@pytest.mark.parametrize(
    ("statuses", "legal"),
    [
        (["rejected"], True),
        ([None, "rejected"], True),
        (["pending", "rejected"], True),
        (["approved", "rejected"], False),
        (["pending", "approved", "rejected"], False),
        (["rejected", "approved", "rejected"], False),
    ],
)
def test_what_was_rejected_may_be_approved_unless_it_was_before(statuses: list[str | None], *, legal: bool) -> None:
    assert may_follow(statuses, "approved") is legal
    assert allowed_next(statuses) == ("approved" if legal else "nothing: it is final")


def test_a_final_status_is_said_to_be_final() -> None:
    assert allowed_next(["approved", "refunded"]) == "nothing: it is final"
    assert allowed_next([None, "pending"]) == "approved or rejected"


@pytest.mark.parametrize(("word", "status"), [*STATUS_WORDS.items(), ("SALE", "approved"), ("Hold", "pending")])
def test_the_trades_words_are_known_in_any_case(word: str, status: str) -> None:
    assert builders.postback(f"c=a&value=1&conversion_status={word}").conversion_status == status


UNKNOWN = ["signup", "reg", "ftd", "wait", "1", "0", "maybe", "approve d", "pend", "\u017fale", "Deposit 2", "оплачен"]


@pytest.mark.parametrize("word", UNKNOWN)
def test_an_unknown_word_is_kept_as_sent_and_not_guessed(word: str) -> None:
    postback = builders.postback(f"c=a&value=1&conversion_status={quote(word)}&sub=x")
    assert (postback.conversion_status, postback.status_parameter) == (None, "conversion_status")
    assert postback.params == {"conversion_status": word, "sub": "x"}


@pytest.mark.parametrize("word", UNKNOWN)
def test_an_unknown_word_is_rejected_where_the_sender_wants_that(word: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw(f"c=a&value=1&conversion_status={quote(word)}"), replace(EZMOB, strict_status=True))
    assert rejected.value.outcome is Outcome.INVALID_STATUS


def test_a_status_that_is_no_text_is_rejected() -> None:
    with pytest.raises(Rejected) as rejected:
        builders.postback("c=a&value=1&conversion_status=approved%00")
    assert rejected.value.outcome is Outcome.INVALID_ENCODING


@pytest.mark.parametrize(
    ("preset", "query", "name"),
    [
        ("keitaro", "subid=a&status=signup", "status"),
        ("binom", "cnv_id=a&cnv_status=signup", "cnv_status"),
        ("bemob", "cid=a&status=ftd", "status"),
        ("ezmob", "c=a&value=1&conversion_status=reg", "conversion_status"),
    ],
)
def test_the_word_is_kept_under_the_senders_own_name(preset: str, query: str, name: str) -> None:
    postback = parse(builders.raw(query), PRESETS[preset])
    assert (postback.conversion_status, postback.status_parameter, set(postback.params)) == (None, name, {name})


def test_a_known_word_leaves_nothing_in_the_parameters() -> None:
    postback = builders.postback("c=a&value=1&conversion_status=Sale")
    assert (postback.conversion_status, postback.status_parameter, postback.params) == ("approved", None, {})


@pytest.mark.parametrize("macro", ["{status}", "status", "[status]", "%25status%25"])
def test_an_unreplaced_macro_is_called_so(macro: str) -> None:
    with pytest.raises(Rejected) as rejected:
        builders.postback(f"c=a&value=1&conversion_status={macro}")
    assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO


def test_a_sender_may_have_words_of_its_own() -> None:
    sender = replace(EZMOB, statuses={"1": "pending", "2": "approved"})
    assert parse(builders.raw("c=a&value=1&conversion_status=2"), sender).conversion_status == "approved"
    unknown = parse(builders.raw("c=a&value=1&conversion_status=approved"), sender)
    assert (unknown.conversion_status, unknown.params) == (None, {"conversion_status": "approved"})


def test_an_empty_status_is_none() -> None:
    postback = builders.postback("c=a&value=1&conversion_status=")
    assert (postback.conversion_status, postback.status_parameter, postback.params) == (None, None, {})


def repeated(policy: DuplicatePolicy, query: str, preset: str = "ezmob") -> Postback:
    return parse(builders.raw(query), replace(PRESETS[preset], duplicates=policy))


@pytest.mark.parametrize(
    ("policy", "first", "second", "same"),
    [
        ("first", "c=a&value=1", "c=a&value=1", True),
        ("first", "c=a&value=1&txid=1", "c=a&value=1&txid=2", False),
        ("first", "c=a&value=1&goal=x", "c=a&value=1&goal=y", False),
        ("click", "c=a&value=1&txid=1", "c=a&value=1&txid=2", True),
        ("click", "c=a&value=1", "c=a&value=1&txid=2", True),
        ("click", "c=a&value=1&goal=x", "c=a&value=1&goal=y", False),
        ("sum", "c=a&value=1", "c=a&value=1", False),
        ("sum", "c=a&value=1&txid=1", "c=a&value=1&txid=1", True),
        ("sum", "c=a&value=1&txid=1", "c=a&value=1&txid=2", False),
    ],
    ids=str,
)
def test_the_policy_says_which_arrivals_are_the_same_conversion(
    policy: DuplicatePolicy, first: str, second: str, *, same: bool
) -> None:
    assert (repeated(policy, first).key == repeated(policy, second).key) is same


def test_a_transaction_id_that_the_policy_ignores_is_kept() -> None:
    parsed = repeated("click", "cid=a&txid=t-1", "voluum")
    assert (parsed.transaction_id, parsed.params) == ("", {"txid": "t-1"})


HISTORY = Winner("first", "0", 0, None, "pending")


def judged(query: str, *before: str, winner: Winner = HISTORY) -> Outcome:
    for earlier in before:
        winner = winner.changed_by(builders.postback(f"c=a&{earlier}"))
    return judge_against(winner, builders.postback(f"c=a&{query}")).outcome


@pytest.mark.parametrize(
    ("before", "query", "outcome"),
    [
        ([], "value=10&conversion_status=approved", Outcome.UPDATED),
        ([], "value=0&conversion_status=pending", Outcome.DUPLICATE),
        ([], "value=0", Outcome.DUPLICATE),
        ([], "value=1&conversion_status=pending", Outcome.CONFLICT),
        ([], "value=0&conversion_status=refunded", Outcome.ILLEGAL_TRANSITION),
        (["value=10&conversion_status=approved"], "value=10&conversion_status=approved", Outcome.DUPLICATE),
        (["value=10&conversion_status=approved"], "value=10", Outcome.DUPLICATE),
        (["value=10&conversion_status=approved"], "value=0&conversion_status=pending", Outcome.DUPLICATE),
        (["value=10&conversion_status=approved"], "value=11&conversion_status=approved", Outcome.CONFLICT),
        (["value=10&conversion_status=approved"], "value=5&conversion_status=pending", Outcome.ILLEGAL_TRANSITION),
        (["value=10&conversion_status=approved"], "value=10&conversion_status=refunded", Outcome.UPDATED),
        (["value=10&conversion_status=rejected"], "value=10&conversion_status=approved", Outcome.UPDATED),
        (
            ["value=10&conversion_status=approved", "value=10&conversion_status=rejected"],
            "value=11&conversion_status=approved",
            Outcome.ILLEGAL_TRANSITION,
        ),
        ([], "value=0&conversion_status=refunde", Outcome.INVALID_STATUS),
        (["value=0&conversion_status=approved"], "value=0&conversion_status=refunde", Outcome.INVALID_STATUS),
    ],
    ids=str,
)
def test_a_repeated_key_is_judged_by_its_whole_history(before: list[str], query: str, outcome: Outcome) -> None:
    assert judged(query, *before) is outcome


SIGNED_UP = Winner.first(builders.postback("c=a&value=5&conversion_status=signup"))


@pytest.mark.parametrize(
    ("before", "query", "outcome"),
    [
        ([], "value=5&conversion_status=signup", Outcome.DUPLICATE),
        ([], "value=5.00&conversion_status=signup", Outcome.DUPLICATE),
        ([], "value=5&conversion_status=Signup", Outcome.DUPLICATE),
        ([], "value=5&conversion_status=+signup+", Outcome.DUPLICATE),
        ([], "value=5&conversion_status=deposit", Outcome.INVALID_STATUS),
        ([], "value=6&conversion_status=signup", Outcome.INVALID_STATUS),
        ([], "value=5&currency=USD&conversion_status=signup", Outcome.INVALID_STATUS),
        ([], "value=5&other=signup&conversion_status=deposit", Outcome.INVALID_STATUS),
        ([], "value=5", Outcome.DUPLICATE),
        ([], "value=6", Outcome.CONFLICT),
        ([], "value=5&conversion_status=approved", Outcome.UPDATED),
        (["value=5&conversion_status=approved"], "value=5&conversion_status=signup", Outcome.DUPLICATE),
        (["value=9&conversion_status=approved"], "value=9&conversion_status=signup", Outcome.INVALID_STATUS),
    ],
    ids=str,
)
def test_an_unknown_word_repeats_only_itself(before: list[str], query: str, outcome: Outcome) -> None:
    assert judged(query, *before, winner=SIGNED_UP) is outcome


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("5", Outcome.DUPLICATE), ("7", Outcome.DUPLICATE), ("6", Outcome.INVALID_STATUS)],
)
def test_an_unknown_word_repeats_its_first_postback_however_that_is_read_now(value: str, outcome: Outcome) -> None:
    corrected = SIGNED_UP._replace(corrections=(Correction(0, 1, None, "7", 7_000_000, None),))
    assert judged(f"value={value}&conversion_status=signup", winner=corrected) is outcome


def test_an_update_needs_no_value_where_the_sender_need_send_none() -> None:
    sold = Winner("first", "10", 10_000_000, "USD", "approved")
    sent = parse(builders.raw("subid=a&status=rejected"), PRESETS["keitaro"])
    assert judge_against(sold, sent).outcome is Outcome.UPDATED
    again = parse(builders.raw("subid=a&status=rejected"), PRESETS["keitaro"])
    assert judge_against(sold.changed_by(sent), again).outcome is Outcome.DUPLICATE
