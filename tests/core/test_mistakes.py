"""The detector names the mistake that was made, in words for its maker, and is silent about what is right."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.lifecycle import Status
from service.core.mistakes import diagnose_rejected
from service.core.oddities import diagnose_accepted
from service.core.outcome import Diagnosis, Mistake, Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import parse
from service.core.postback import RawPostback
from service.core.presets import EZMOB, PRESETS
from service.core.sender import Sender
from tests.support import builders
from tests.support.mistakes import ODD, REJECTED, RIGHT, SILENT

COMMA = Sender("comma", EZMOB.fields, numbers="comma")


def diagnosed(raw: RawPostback, sender: Sender = EZMOB) -> Diagnosis | None:
    """Return what the detector says of a postback, rejected or not."""
    try:
        return diagnose_accepted(parse(raw, sender), sender)
    except Rejected as rejected:
        return diagnose_rejected(rejected.outcome, claimed(raw), sender)


def rejected_as(raw: RawPostback, sender: Sender = EZMOB) -> Outcome | None:
    """Return why a postback is rejected, None if it is not."""
    try:
        parse(raw, sender)
    except Rejected as rejected:
        return rejected.outcome
    return None


def table(cases: dict[Mistake, list[str]]) -> list[tuple[str, Mistake]]:
    return [(query, mistake) for mistake, queries in cases.items() for query in queries]


def test_every_mistake_is_in_the_table() -> None:
    assert {*REJECTED, *ODD, Mistake.UNREAD_BODY} == set(Mistake)
    assert len(table(REJECTED)) + len(table(ODD)) + len(RIGHT) + len(SILENT) >= 150


@pytest.mark.parametrize(("query", "mistake"), table(REJECTED))
def test_a_rejected_postback_is_told_its_mistake(query: str, mistake: Mistake) -> None:
    raw = builders.raw(query)
    assert rejected_as(raw) is not None
    found = diagnosed(raw)
    assert found is not None
    assert found.mistake is mistake


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("value=%201.5&c=%20w8", "Send c without"),
        ("c=w8&currency=%20EU&value=%0A1.5x", "Send value without"),
        ("value=$1&c=w%208", "Send c without"),
    ],
)
def test_of_several_faults_the_one_that_is_told_is_the_one_it_was_rejected_for(query: str, named: str) -> None:
    found = diagnosed(builders.raw(query))
    assert found is not None
    assert found.advice.startswith(named)


@pytest.mark.parametrize(("query", "mistake"), table(ODD))
def test_an_accepted_postback_may_look_odd_all_the_same(query: str, mistake: Mistake) -> None:
    raw = builders.raw(query)
    assert rejected_as(raw) is None
    found = diagnosed(raw)
    assert found is not None
    assert found.mistake is mistake


@pytest.mark.parametrize("query", RIGHT)
def test_what_is_right_is_not_suspected(query: str) -> None:
    raw = builders.raw(query)
    assert rejected_as(raw) is None
    assert diagnosed(raw) is None


@pytest.mark.parametrize("query", SILENT)
def test_what_is_wrong_in_an_unknown_way_is_not_guessed(query: str) -> None:
    raw = builders.raw(query)
    assert rejected_as(raw) is not None
    assert diagnosed(raw) is None


def test_a_body_is_looked_at_like_a_query() -> None:
    for raw in (
        builders.posted(b'{"c":"a","value":"1,50"}'),
        builders.posted(b"c=a&value=1,50", "application/x-www-form-urlencoded"),
        builders.posted(b'c,value\na,"1,50"', "text/csv", door="batch"),
    ):
        found = diagnosed(raw)
        assert found is not None
        assert found.mistake is Mistake.DECIMAL_COMMA


@pytest.mark.parametrize(
    ("preset", "query", "mistake", "own"),
    [
        ("voluum", "clickid=a&payout=1", Mistake.OTHER_NAME, "cid"),
        ("voluum", "CID=a", Mistake.WRONG_CASE, "cid"),
        ("keitaro", "c=a", Mistake.OTHER_NAME, "subid"),
        ("tune", "clickid=a", Mistake.OTHER_NAME, "transaction_id"),
        ("redtrack", "clickid=a&sum=1,5", Mistake.DECIMAL_COMMA, "point"),
        (
            "keitaro",
            "subid=a&revenue=$5",
            Mistake.CURRENCY_SIGN,
            "number in revenue, and the currency's code in currency.",
        ),
        (
            "keitaro",
            "subid=a&payout=&revenue=5%C2%A3",
            Mistake.CURRENCY_SIGN,
            "revenue, and the currency's code in currency.",
        ),
        ("binom", "cnv_id=a&payout=5+eur", Mistake.CURRENCY_SIGN, "payout, and the currency as cnv_currency=EUR"),
        ("binom", "cnv_id=a&payout=US$5", Mistake.CURRENCY_SIGN, "and the currency's code in cnv_currency."),
        ("keitaro", "subid=a&revenue=$5&currency=EUR", Mistake.CURRENCY_SIGN, "the currency's code in currency."),
        ("keitaro", "subid=a&revenue=5+USD&currency=EUR", Mistake.CURRENCY_SIGN, "the currency's code in currency."),
        ("keitaro", "subid=a&revenue=5+TIX", Mistake.CURRENCY_SIGN, "the currency's code in currency."),
        (
            "keitaro",
            "subid=a&revenue=undefined",
            Mistake.PLACEHOLDER,
            "Leave revenue out where there is none: undefined is",
        ),
        ("keitaro", "subid=a&payout=NaN", Mistake.PLACEHOLDER, "Leave payout out where there is none: NaN is an empty"),
        (
            "keitaro",
            "subid=a&payout=1&currency=null",
            Mistake.PLACEHOLDER,
            "Leave currency out where there is none: null is",
        ),
        ("voluum", "cid=a&payout=1&txid=undefined", Mistake.PLACEHOLDER, "there is none: undefined is an empty"),
        ("voluum", "cid=null&payout=1", Mistake.PLACEHOLDER, "Send the real cid: null is an empty variable"),
        ("voluum", "cid=-&payout=1", Mistake.PLACEHOLDER, "Send the real cid: it came as a word"),
        ("voluum", "cid=REPLACE", Mistake.LITERAL_TOKEN, "Replace REPLACE by your platform's macro for the click id"),
        ("voluum", "cid=a&payout=OPTIONAL", Mistake.LITERAL_TOKEN, "platform's macro for the value, in payout."),
        ("voluum", "cid=cid1&payout=payout", Mistake.LITERAL_TOKEN, "Put the token of payout into the braces"),
        ("keitaro", "subid=a&amount=10", Mistake.OTHER_NAME, "Send the value as payout: amount is"),
        ("keitaro", "subid=a&payout=&sale_amount=10", Mistake.OTHER_NAME, "Send the value as payout"),
        ("adjust", "click_id=a&revenue=345", Mistake.OTHER_NAME, "Send the value as revenue_float"),
        ("appsflyer", "clickid=a&event_revenue_usd=1", Mistake.WRONG_CASE, "event_revenue_USD"),
        ("keitaro", "subid=a&payout=1.1234567", Mistake.ROUNDED_AMOUNT, "Send payout with six decimals"),
        ("keitaro", "subid=a&revenue=836.9999999999998", Mistake.ROUNDED_AMOUNT, "six decimals"),
    ],
)
def test_the_advice_uses_the_senders_own_names(preset: str, query: str, mistake: Mistake, own: str) -> None:
    found = diagnosed(builders.raw(query), PRESETS[preset])
    assert found is not None
    assert found.mistake is mistake
    assert own in found.advice


@pytest.mark.parametrize(
    ("preset", "query"),
    [
        ("keitaro", "subid=a"),
        ("keitaro", "subid=a&payout=1&amount=10"),
        ("keitaro", "subid=a&payout=1&revenue=10"),
        ("keitaro", "subid=a&amount=0.00"),
        ("keitaro", "subid=a&amount="),
        ("keitaro", "subid=a&price=free"),
        ("keitaro", "subid=a&x=10"),
        ("keitaro", "subid=a&payout=1&currency=usd"),
    ],
)
def test_a_value_that_was_not_sent_is_no_mistake(preset: str, query: str) -> None:
    assert diagnosed(builders.raw(query), PRESETS[preset]) is None


def test_where_the_comma_was_agreed_the_point_is_the_mistake() -> None:
    found = diagnosed(builders.raw("c=a&value=1.50"), COMMA)
    assert found is not None
    assert found.mistake is Mistake.DECIMAL_COMMA
    assert "decimal comma" in found.advice
    assert diagnosed(builders.raw("c=a&value=1,50"), COMMA) is None


@pytest.mark.parametrize(
    ("preset", "query", "strict"),
    [
        ("keitaro", "subid=a&status=wait", False),
        ("keitaro", "subid=a&status=wait", True),
        ("binom", "cnv_id=a&cnv_status=1", False),
        ("binom", "cnv_id=a&cnv_status=1", True),
    ],
)
def test_a_word_that_is_not_set_up_is_told_with_those_that_are(preset: str, query: str, *, strict: bool) -> None:
    words: dict[str, Status] = {"own": "pending", "mine": "pending", "fine": "approved", "bad": "refunded"}
    found = diagnosed(builders.raw(query), replace(PRESETS[preset], statuses=words, strict_status=strict))
    assert found is not None
    assert found.mistake is Mistake.UNKNOWN_STATUS
    name = "status" if preset == "keitaro" else "cnv_status"
    assert found.advice.startswith(f"Send {name} in a word that is set up (own, fine, bad), or")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_no_text_breaks_the_detector_and_none_is_repeated_in_its_advice(name: str, text: str, other: str) -> None:
    marked = f"zq{text}zq"
    for outcome in Outcome:
        for pairs in ([(name, marked), ("c", marked), ("value", other)], [("c", marked), ("value", marked)]):
            found = diagnose_rejected(outcome, pairs, EZMOB)
            assert found is None or "zq" not in found.advice
