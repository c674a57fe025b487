"""Each preset reads what its platform's own documentation shows, and nothing of another's."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from service.core.fields.amounts import micros_of
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.presets import PRESETS
from tests.support import builders


class Shape(NamedTuple):
    """Parameters as a platform's documentation shows them, their macros replaced, and what they mean to us."""

    preset: str
    query: str
    click_id: str
    value: str = ""
    currency: str | None = None
    goal: str = ""
    transaction_id: str = ""
    params: Mapping[str, str] = MappingProxyType({})
    status: str | None = None


SHAPES = [
    Shape("ezmob", "c=6f1c2a&value=2.50", "6f1c2a", "2.50"),
    Shape("ezmob", "c=6f1c2a&value=2.50&custom_param=blue", "6f1c2a", "2.50", params={"custom_param": "blue"}),
    Shape(
        "voluum",
        "cid=wG7TLKPGR&payout=3.70&txid=t-1&currency=USD&et=sale&param1=a",
        *("wG7TLKPGR", "3.70", "USD", "sale", "t-1", {"param1": "a"}),
    ),
    Shape("voluum", "cid=wG7TLKPGR", "wG7TLKPGR"),
    Shape("redtrack", "clickid=5e1a&sum=12&type=Purchase&sub1=x", "5e1a", "12", goal="Purchase", params={"sub1": "x"}),
    Shape(
        "keitaro",
        "subid=51ts6sgr1cbkdhljnrv&payout=21.0&status=confirmed&tid=52949935&from=network.example&sale_status=lead",
        "51ts6sgr1cbkdhljnrv",
        "21.0",
        transaction_id="52949935",
        params={"from": "network.example", "sale_status": "lead"},
        status="approved",
    ),
    Shape("keitaro", "sub_id=a1&payout=5&currency=RUB", "a1", "5", "RUB"),
    Shape(
        "binom",
        "cnv_id=81e60haa86o0b7&payout=5&cnv_status=Hold&cnv_currency=USD",
        *("81e60haa86o0b7", "5", "USD"),
        status="pending",
    ),
    Shape("binom", "clickid=81e60haa86o0b7", "81e60haa86o0b7"),
    Shape(
        "bemob",
        "cid=AbCdEfGhIjKlMnOpQrStUv&payout=1.25&txid=9&status=approved",
        *("AbCdEfGhIjKlMnOpQrStUv", "1.25"),
        transaction_id="9",
        status="approved",
    ),
    Shape(
        "tune",
        "transaction_id=102b8f&amount=19.99&adv_sub=order7&goal_id=3&offer_id=12",
        *("102b8f", "19.99"),
        goal="3",
        params={"adv_sub": "order7", "offer_id": "12"},
    ),
    Shape(
        "everflow",
        "nid=17&transaction_id=0a1b2c&amount=49.99&event_id=4&order_id=o-1&coupon_code=X",
        *("0a1b2c", "49.99", None, "4", "o-1", {"nid": "17", "coupon_code": "X"}),
    ),
    Shape(
        "appsflyer",
        "clickid=af-1&event_name=purchase&event_revenue=9.99&event_revenue_currency=EUR&app_id=com.example",
        *("af-1", "9.99", "EUR", "purchase", "", {"app_id": "com.example"}),
    ),
    Shape("appsflyer", "clickid=af-1&install_time=1", "af-1", params={"install_time": "1"}),
    Shape(
        "adjust",
        "click_id=ad-1&event_name=level&revenue_float=0.99&currency=EUR&adid=8a",
        *("ad-1", "0.99", "EUR", "level", "", {"adid": "8a"}),
    ),
]


def test_every_preset_has_its_documented_shape() -> None:
    assert {shape.preset for shape in SHAPES} == set(PRESETS)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.preset}: {shape.query}")
def test_the_documented_shape_is_read(shape: Shape) -> None:
    parsed = parse(builders.raw(shape.query), PRESETS[shape.preset])
    assert parsed.key == (shape.preset, False, shape.click_id, shape.goal, shape.transaction_id)
    assert (parsed.value, parsed.currency, parsed.params) == (shape.value, shape.currency, shape.params)
    assert parsed.conversion_status == shape.status
    assert parsed.value_micros == (micros_of(shape.value) if shape.value else 0)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_sender_must_send_is_missed(preset: str) -> None:
    sender = PRESETS[preset]
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw("x=1"), sender)
    assert rejected.value.outcome is Outcome.MISSING_CLICK_ID
    own = next(name for name, field in sender.fields.items() if field == "click_id")
    if "value" in sender.required:
        with pytest.raises(Rejected) as rejected:
            parse(builders.raw(f"{own}=a"), sender)
        assert rejected.value.outcome is Outcome.MISSING_VALUE
    else:
        assert parse(builders.raw(f"{own}=a"), sender).value_micros == 0


@pytest.mark.parametrize(
    "placeholder", ["cid=REPLACE&payout=1", "cid=a&payout=OPTIONAL", "cid=a&payout=1&txid=OPTIONAL"]
)
def test_a_template_that_nobody_filled_in_is_not_a_conversion(placeholder: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw(placeholder), PRESETS["voluum"])
    assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO
