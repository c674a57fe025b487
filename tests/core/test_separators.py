"""A parameter of the sender's own inside another one's text was glued to it: no id and no label has it."""

import pytest

from service.core.mistakes import rejection_of
from service.core.outcome import Mistake, Rejected
from service.core.parsing import parse
from service.core.presets import PRESETS
from tests.support import builders

GLUED = [
    "?payout=1",
    ";payout=1",
    ",payout=1",
    "|payout=1",
    "%26payout=1",
    "%3Fpayout%3D1",
    "?x=1;payout=1",
    ";Payout=1",
]


@pytest.mark.parametrize("glued", GLUED)
@pytest.mark.parametrize(
    ("preset", "query", "outcome"),
    [
        ("voluum", "cid=m-20", "invalid_click_id"),
        ("keitaro", "payout=1&subid=m-20", "invalid_click_id"),
        ("keitaro", "payout=1&subid=m-20&tid=7", "invalid_encoding"),
        ("ezmob", "value=1&c=m-20&goal=lead", None),
        ("redtrack", "clickid=m-20&sum=1&type=lead", None),
    ],
)
def test_a_parameter_that_was_glued_to_an_id_or_a_label_is_no_part_of_it(
    preset: str, query: str, outcome: str | None, glued: str
) -> None:
    sender = PRESETS[preset]
    value = sender.name_of("value")
    raw = builders.raw(query + glued.replace("payout", value).replace("Payout", value.upper()))
    with pytest.raises(Rejected) as rejected:
        parse(raw, sender)
    rejection = rejection_of(raw, sender, rejected.value)
    assert rejection.outcome.value == (outcome or "invalid_encoding")
    assert "a plain & is missing before it" in rejection.detail
    assert rejection.diagnosis is not None
    assert rejection.diagnosis.mistake is Mistake.BROKEN_SEPARATOR
    assert rejection.diagnosis.advice.startswith(f"Put a plain & before {value}:")


@pytest.mark.parametrize("preset", PRESETS)
def test_each_name_of_each_platform_is_known_inside_a_click_id(preset: str) -> None:
    sender = PRESETS[preset]
    for name in sender.fields:
        raw = builders.raw(f"{sender.name_of('click_id')}=m-20?{name}=1&{sender.name_of('value')}=1")
        with pytest.raises(Rejected, match="a plain & is missing"):
            parse(raw, sender)


@pytest.mark.parametrize(
    "text", ["a?b=1", "a;revenue", "a=payout", "payout=1", "a?payouts=1", "a:payout=1", "a?value=1", "a%26b=c", "a;=1"]
)
def test_another_name_in_it_is_a_part_of_the_id(text: str) -> None:
    raw = builders.raw(f"subid={text}&payout=1")
    assert parse(raw, PRESETS["keitaro"]).click_id == text.replace("%26", "&")


def test_a_long_hostile_text_is_looked_at_once() -> None:
    raw = builders.posted(b'{"subid":"%b","payout":1}' % (b";x=" * 15_000))
    with pytest.raises(Rejected, match="512 are allowed"):
        parse(raw, PRESETS["keitaro"])
