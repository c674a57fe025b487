"""HTML damage: what a page made of `&name=` is no part of an id, and a character alone is."""

from html import unescape
from urllib.parse import quote

import pytest

from service.core.fields.html_damage import eaten_in
from service.core.mistakes import diagnose_rejected
from service.core.outcome import Mistake, Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import parse
from service.core.presets import EZMOB, PRESETS
from tests.support import builders

NAMES = ["currency", "region", "timestamp", "notify", "section", "param", "copy", "center", "pounds", "degree", "macro"]
NAMES += [
    "yen",
    "microsite",
    "order",
    "ordfield",
    "shy_id",
    "ethnicity",
    "acute",
    "ltv",
    "gtm",
    "quote_id",
    "paragraph",
]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "order"])
@pytest.mark.parametrize(
    ("field", "outcome"),
    [("c", "invalid_click_id"), ("txid", "invalid_encoding"), ("goal", "invalid_encoding")],
)
def test_a_label_with_an_eaten_parameter_in_it_is_rejected_with_that_reason(
    name: str, field: str, outcome: str
) -> None:
    damaged = unescape(f"x&{name}=EUR")
    assert damaged != f"x&{name}=EUR"
    before = "" if field == "c" else "c=a&"
    raw = builders.raw(f"{before}value=1&{field}={quote(damaged)}")
    with pytest.raises(Rejected) as rejected:
        parse(raw, EZMOB)
    assert (rejected.value.outcome.value, f"'&{name}='" in rejected.value.detail) == (outcome, True)
    found = diagnose_rejected(rejected.value.outcome, claimed(raw), EZMOB)
    assert found is not None
    assert found.mistake is Mistake.HTML_ESCAPED


@pytest.mark.parametrize("text", ["x&amp;b", "x&lt;b", "x&#38;b", "x&#x26;b", "x&amp;currency=EUR"])
def test_an_escaped_id_is_rejected(text: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(builders.posted(b'{"c":"%b","value":1}' % text.encode()), EZMOB)
    assert rejected.value.outcome is Outcome.INVALID_CLICK_ID


@pytest.mark.parametrize(
    "text", ["x¤", "a®b", "5\u00d77", "§12", "a¬b", "é", "naïve", "a=b", "abc==", "a&b", "a>=1", "x;b=1", "a¶b:c"]
)
def test_a_character_alone_is_no_damage(text: str) -> None:
    assert eaten_in(text) is None
    assert parse(builders.raw(f"c={quote(text)}&value=1"), EZMOB).click_id == text


@pytest.mark.parametrize(
    ("query", "outcome"),
    [("value=1%C2%A4cy=EUR", Outcome.INVALID_VALUE), ("value=1&currency=EUR%C3%97tamp=5", Outcome.INVALID_CURRENCY)],
)
def test_damage_in_another_field_is_what_its_sender_is_told(query: str, outcome: Outcome) -> None:
    raw = builders.raw(f"c=a&{query}")
    with pytest.raises(Rejected) as rejected:
        parse(raw, EZMOB)
    assert rejected.value.outcome is outcome
    found = diagnose_rejected(outcome, claimed(raw), EZMOB)
    assert found is not None
    assert found.mistake is Mistake.HTML_ESCAPED


def test_the_advice_names_the_senders_parameter_and_the_name_that_was_eaten() -> None:
    found = diagnose_rejected(Outcome.INVALID_CLICK_ID, [("subid", "x¤cy=EUR")], PRESETS["keitaro"])
    assert found is not None
    assert found.advice == ("Copy the URL as text, not out of HTML: there &curren in subid became another character.")
