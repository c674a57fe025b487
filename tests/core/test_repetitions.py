"""What repeats a conversion as far as it was understood may say more: then it is kept, and no duplicate."""

from dataclasses import replace
from uuid import uuid4

import pytest

from service.core.oddities import diagnose_accepted
from service.core.outcome import Mistake, Outcome
from service.core.parsing import parse
from service.core.postback import Postback, RawPostback
from service.core.presets import EZMOB, PRESETS
from service.core.verdict import Winner, judge_against
from tests.support import builders

KEITARO = PRESETS["keitaro"]


def understood(raw: RawPostback) -> Postback:
    """Return a postback as the service has it, with what looks odd in it."""
    postback = parse(raw._replace(request_id=uuid4().hex), EZMOB)
    return postback._replace(diagnosis=diagnose_accepted(postback, EZMOB))


SALE = Winner.first(understood(builders.raw("c=a&value=1")))


@pytest.mark.parametrize(
    ("again", "outcome"),
    [
        (builders.raw("c=a&value=1"), Outcome.DUPLICATE),
        (builders.raw("c=a&value=1&x=5"), Outcome.DUPLICATE),
        (builders.raw("c=a&value=1.0000000001"), Outcome.DUPLICATE),
        (builders.raw("c=a&value=1&Conversion_Status=refunded"), Outcome.CONFLICT),
        (builders.raw("c=a&value=1&amp;conversion_status=refunded"), Outcome.CONFLICT),
        (builders.posted(b'{"conversion_status":"refunded",}', query=b"c=a&value=1"), Outcome.CONFLICT),
    ],
    ids=["the same", "more that is not ours", "rounded", "wrong case", "escaped", "a broken body"],
)
def test_what_may_be_a_refund_is_kept(again: RawPostback, outcome: Outcome) -> None:
    verdict = judge_against(SALE, understood(again))
    assert verdict.outcome is outcome
    assert verdict.outcome.kept is (outcome is Outcome.CONFLICT)


def test_the_same_mistake_again_is_a_duplicate() -> None:
    mistaken = understood(builders.raw("c=a&value=1&Currency=EUR"))
    assert mistaken.diagnosis is not None
    assert judge_against(Winner.first(mistaken), replace_id(mistaken)).outcome is Outcome.DUPLICATE


def replace_id(postback: Postback) -> Postback:
    """Return the same postback, sent again."""
    return postback._replace(raw=postback.raw._replace(request_id=uuid4().hex))


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("subid=a&amount=10&status=zzz", Mistake.OTHER_NAME),
        ("subid=a&Currency=EUR&amount=10", Mistake.OTHER_NAME),
        ("subid=a&status=zzz&Payout=10", Mistake.WRONG_CASE),
        ("subid=a&payout=1&status=zzz", Mistake.UNKNOWN_STATUS),
    ],
)
def test_of_several_mistakes_the_one_that_costs_money_is_told(query: str, mistake: Mistake) -> None:
    diagnosis = diagnose_accepted(parse(builders.raw(query), KEITARO), KEITARO)
    assert diagnosis is not None
    assert diagnosis.mistake is mistake


@pytest.mark.parametrize("word", [" approved", "approved ", " APPROVED "])
def test_spaces_around_a_status_make_no_difference(word: str) -> None:
    query = f"c=a&value=1&conversion_status={word.replace(' ', '+')}"
    assert parse(builders.raw(query), replace(EZMOB, strict_status=True)).conversion_status == "approved"
