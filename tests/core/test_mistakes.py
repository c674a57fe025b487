"""The detector names the mistake that was made, in words for its maker, and is silent about what is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.mistakes import diagnose_accepted, diagnose_rejected
from service.core.outcome import Diagnosis, Mistake, Outcome, Rejected
from service.core.parsing import claimed, parse
from service.core.postback import RawPostback
from service.core.sender import EZMOB, PRESETS, Sender
from tests.support import builders

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


REJECTED: dict[Mistake, list[str]] = {
    Mistake.UNREPLACED_MACRO: [
        "c={click_id}&value=1",
        "c=%7Bclick_id%7D&value=1",
        "c={{click_id}}&value=1",
        "c=$%7Bclick_id%7D&value=1",
        "c=[click_id]&value=1",
        "c=%5Bclick_id%5D&value=1",
        "c=<click_id>&value=1",
        "c=%3Cclick_id%3E&value=1",
        "c=(click_id)&value=1",
        "c=%click_id%&value=1",
        "c=%23click_id%23&value=1",
        "c=$click_id&value=1",
        "c=$click_id$&value=1",
        "c=__CLICK_ID__&value=1",
        "c=a-{subid}&value=1",
        "c={pubfeed}_{subid}&value=1",
        "c=a&value={value}",
        "c=a&value=%7Bpayout%7D",
        "c=a&value=[payout]",
        "c=a&value=$payout",
        "c=a&value=%23price%23",
        "c=a&value=1&currency={currency}",
        "c=a&value=1&currency=[CURRENCY]",
        "c=a&value=1&goal={goal}",
        "c=a&value=1&txid={transaction_id}",
    ],
    Mistake.HALF_REPLACED_MACRO: [
        "c=a&value={payout",
        "c=a&value=payout}",
        "c=a&value=%7Bpayout",
        "c=a&value=1.50%7D",
        "c=a&value=[payout",
        "c=a&value=2.00]",
        "c=a&value=<payout",
    ],
    Mistake.LITERAL_TOKEN: [
        "c=click_id&value=1",
        "c=clickid&value=1",
        "c=click-id&value=1",
        "c=CLICK_ID&value=1",
        "c=subid&value=1",
        "c=REPLACE&value=1",
        "c=a&value=value",
        "c=a&value=payout",
        "c=a&value=amount",
        "c=a&value=OPTIONAL",
        "c=a&value=1&currency=currency",
        "c=a&value=1&txid=transaction_id",
    ],
    Mistake.CONVERSION_MACRO: [
        "c={conversion}&value=1",
        "c=%7Bconversion%7D&value=1",
        "c=[conversion]&value=1",
        "c={CONVERSION}&value=1",
        "c={conversion_id}&value=1",
        "conversion=abc&value=1",
        "Conversion=abc&value=1",
    ],
    Mistake.SWAPPED: [
        "c=1.50&value=6f1c2a",
        "c=12.5&value=wG7TLKPGR",
        "c=0,99&value=abc",
        "c=-1.50&value=a-b-c",
    ],
    Mistake.DOUBLE_ENCODED: [
        "c=a&value=1%252E50",
        "c=a&value=%2531",
        "c=a&value=1%2550",
        "c=a&value=%25E2%2582%25AC1",
        "c=a&value=1&currency=EU%2552",
    ],
    Mistake.HTML_ESCAPED: [
        "c=a&amp;value=1",
        "x=1&amp;c=a&amp;value=1",
        "value=1&amp;c=a",
        "amp;c=a&value=1",
    ],
    Mistake.BROKEN_SEPARATOR: [
        "c=a?value=1",
        "c=a;value=1",
        "c=a,value=1",
        "c=a|value=1",
        "c=a%26value=1",
        "c=a%26value%3D1",
        "c=a%3Fvalue%3D1",
        "c=a&value=1?currency=EUR",
        "c=a&value=1;txid=7",
        "c=a&value=1&currency=EUR;goal=lead",
        "value=1?c=a",
    ],
    Mistake.DECIMAL_COMMA: [
        "c=a&value=1,50",
        "c=a&value=0,5",
        "c=a&value=-1,5",
        "c=a&value=1.234,56",
        "c=a&value=1,234.56",
        "c=a&value=1,234",
        "c=a&value=1+234.56",
        "c=a&value=1'234.56",
        "c=a&value=1%C2%A0234,56",
        "c=a&value=1.234.567",
    ],
    Mistake.CURRENCY_SIGN: [
        "c=a&value=$1.50",
        "c=a&value=$+1.50",
        "c=a&value=1.50$",
        "c=a&value=%E2%82%AC1.50",
        "c=a&value=1,50%E2%82%AC",
        "c=a&value=1.50+%E2%82%AC",
        "c=a&value=%C2%A32",
        "c=a&value=%E2%82%BD100",
        "c=a&value=USD+1.50",
        "c=a&value=1.50+USD",
        "c=a&value=1.50usd",
        "c=a&value=US$2",
        "c=a&value=-$1",
    ],
    Mistake.WHITESPACE: [
        "c=a+b&value=1",
        "c=a%20b&value=1",
        "c=+a&value=1",
        "c=a%09&value=1",
        "c=a%0A&value=1",
        "c=a%C2%A0&value=1",
        "c=a%E2%80%8B&value=1",
        "c=a&value=+1",
        "c=a&value=1+",
        "c=a&value=1%0D%0A",
        "c=a&value=%201.50%20",
        "+c=a&value=1",
        "c+=a&value=1",
        "c=a&+value=1",
        "c=a&value%20=1",
        "c=a&value=1&currency=EUR+",
    ],
    Mistake.WRONG_CASE: [
        "C=a&value=1",
        "c=a&Value=1",
        "c=a&VALUE=1",
        "C=a&VALUE=1",
    ],
    Mistake.OTHER_NAME: [
        "clickid=a&value=1",
        "click_id=a&value=1",
        "cid=a&payout=1",
        "subid=a&value=1",
        "sub_id=a&value=1",
        "cnv_id=a&value=1",
        "aff_sub=a&value=1",
        "ClickId=a&value=1",
        "c=a&payout=1",
        "c=a&amount=1",
        "c=a&sum=1",
        "c=a&revenue=1",
        "c=a&Price=1",
    ],
}
ODD: dict[Mistake, list[str]] = {
    Mistake.HALF_REPLACED_MACRO: ["c={click_id&value=1", "c=click_id}&value=1", "c=a]&value=1", "c=a<b&value=1"],
    Mistake.SWAPPED: ["c=1.50&value=2", "c=0,99&value=7"],
    Mistake.DOUBLE_ENCODED: ["c=a%2520b&value=1", "c=a%252Fb&value=1", "c=%25D0%25B0&value=1"],
    Mistake.BROKEN_SEPARATOR: ["c=a%3Fcurrency%3DEUR&value=1", "c=a;txid=7&value=1"],
    Mistake.HTML_ESCAPED: ["c=a&value=1&amp;currency=EUR"],
    Mistake.WRONG_CASE: ["c=a&value=1&Currency=EUR", "c=a&value=1&TxId=7", "c=a&value=1&GOAL=lead"],
    Mistake.WHITESPACE: ["c=a&value=1&+currency=EUR"],
}
RIGHT = [
    "c=a&value=1",
    "c=6f1c2a&value=1.50&currency=EUR&goal=lead&txid=7",
    "c=550e8400-e29b-41d4-a716-446655440000&value=0",
    "c=%7B550e8400-e29b-41d4-a716-446655440000%7D&value=0",
    "c=wG7T.LKP_GR~x&value=1",
    "c=a%3Ab/c&value=1",
    "c=1234567&value=1",
    "c=a&value=1&x=2&y=",
    "c=a&value=1&payout=3",
    "c=a&value=1&c2=b&clickid=zzz",
    "c=a&value=1&custom={not_ours}",
    "c=%25&value=1",
    "c=100%25&value=1",
    "c=a%2Bb&value=1",
    "c=a%25zz&value=1",
    "c=a&value=1&note=1.50$",
]
SILENT = ["c=a&value=", "c=&value=1", "c=a", "value=1", "c=a&value=abc", "c=a&value=1e3", "c=a&value=NaN", ""]


def table(cases: dict[Mistake, list[str]]) -> list[tuple[str, Mistake]]:
    return [(query, mistake) for mistake, queries in cases.items() for query in queries]


def test_every_mistake_is_in_the_table() -> None:
    assert set(REJECTED) == set(Mistake)
    assert len(table(REJECTED)) + len(table(ODD)) + len(RIGHT) + len(SILENT) >= 150


@pytest.mark.parametrize(("query", "mistake"), table(REJECTED))
def test_a_rejected_postback_is_told_its_mistake(query: str, mistake: Mistake) -> None:
    raw = builders.raw(query)
    assert rejected_as(raw) is not None
    found = diagnosed(raw)
    assert found is not None
    assert found.mistake is mistake


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
    ],
)
def test_the_advice_uses_the_senders_own_names(preset: str, query: str, mistake: Mistake, own: str) -> None:
    found = diagnosed(builders.raw(query), PRESETS[preset])
    assert found is not None
    assert found.mistake is mistake
    assert own in found.advice


def test_where_the_comma_was_agreed_the_point_is_the_mistake() -> None:
    found = diagnosed(builders.raw("c=a&value=1.50"), COMMA)
    assert found is not None
    assert found.mistake is Mistake.DECIMAL_COMMA
    assert "decimal comma" in found.advice
    assert diagnosed(builders.raw("c=a&value=1,50"), COMMA) is None


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_no_text_breaks_the_detector_and_none_is_repeated_in_its_advice(name: str, text: str, other: str) -> None:
    marked = f"zq{text}zq"
    for outcome in Outcome:
        for pairs in ([(name, marked), ("c", marked), ("value", other)], [("c", marked), ("value", marked)]):
            found = diagnose_rejected(outcome, pairs, EZMOB)
            assert found is None or "zq" not in found.advice
