"""Texts that are no ids: the name of a parameter, a template that nobody filled in, a number that a sheet shortened."""

from urllib.parse import quote

import pytest

from service.core.mistakes import diagnose_rejected
from service.core.outcome import Mistake, Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import parse
from service.core.presets import EZMOB, PRESETS
from service.core.sender import Sender
from tests.support import builders


def rejected_for(query: str, sender: Sender) -> tuple[Outcome, Mistake]:
    raw = builders.raw(query)
    with pytest.raises(Rejected) as rejected:
        parse(raw, sender)
    found = diagnose_rejected(rejected.value.outcome, claimed(raw), sender)
    assert found is not None
    return rejected.value.outcome, found.mistake


TOKEN_SENT = (Outcome.UNEXPANDED_MACRO, Mistake.LITERAL_TOKEN)
OWN = Sender(
    "shop", {"klick": "click_id", "umsatz": "value", "geld": "currency", "best": "transaction_id", "k": "goal"}
)


@pytest.mark.parametrize("sender", [*PRESETS.values(), OWN], ids=lambda sender: sender.name)
def test_a_parameters_own_name_is_no_text_of_it(sender: Sender) -> None:
    click_id, value = sender.name_of("click_id"), sender.name_of("value")
    before = {"click_id": f"{value}=1&", "value": f"{click_id}=a&"}
    own = [(name, field) for name, field in sender.fields.items() if field != "goal" and len(name) > 2]
    assert own
    for name, field in own:
        others = before.get(field, f"{click_id}=a&{value}=1&")
        assert rejected_for(f"{others}{name}={name}", sender) == TOKEN_SENT


@pytest.mark.parametrize(("best", "klick"), [("klick", "a"), ("a", "best"), ("click_id", "a"), ("subid", "a")])
def test_the_name_of_another_id_is_no_id_either(best: str, klick: str) -> None:
    assert rejected_for(f"klick={klick}&best={best}&umsatz=1", OWN) == TOKEN_SENT


@pytest.mark.parametrize(("query", "field", "text"), [("c=c", "click_id", "c"), ("c=a&goal=goal", "goal", "goal")])
def test_a_name_of_one_letter_is_an_id_and_a_goals_name_is_a_goal(query: str, field: str, text: str) -> None:
    assert getattr(parse(builders.raw(f"{query}&value=1"), EZMOB), field) == text


@pytest.mark.parametrize("text", ["sub1", "SUB10", "aff_sub2"])
def test_a_numbered_parameter_is_no_click_id_but_may_be_a_transaction(text: str) -> None:
    assert rejected_for(f"c={text}&value=1", EZMOB) == TOKEN_SENT
    assert parse(builders.raw(f"c=a&value=1&txid={text}"), EZMOB).transaction_id == text


@pytest.mark.parametrize("text", ["REPLACE", "OPTIONAL"])
@pytest.mark.parametrize(
    ("preset", "name"),
    [
        *(("voluum", name) for name in ("cid", "payout", "currency", "et", "txid")),
        *(("bemob", name) for name in ("cid", "payout", "currency", "txid", "status")),
    ],
)
def test_a_template_that_was_not_filled_in_is_no_text_of_any_field(preset: str, name: str, text: str) -> None:
    whole = {"cid": "a", "payout": "1", name: text}
    assert rejected_for("&".join(f"{key}={sent}" for key, sent in whole.items()), PRESETS[preset]) == TOKEN_SENT


@pytest.mark.parametrize("text", ["1.23E+15", "1,23E+15", "9.87654E+100", "1.23e+15", "1E+15", "1.23E 15"])
def test_an_id_that_a_sheet_shortened_is_told_so(text: str) -> None:
    sent_so = quote(text)
    assert rejected_for(f"c={sent_so}&value=1", EZMOB) == (Outcome.INVALID_CLICK_ID, Mistake.SHORTENED_ID)
    found = rejected_for(f"subid=a&tid={sent_so}", PRESETS["keitaro"])
    assert found == (Outcome.INVALID_ENCODING, Mistake.SHORTENED_ID)


@pytest.mark.parametrize("text", ["1.23E-15", "1.23E15", "1.2.3E+15", "12.3E+15", "a1.23E+15", "1.23E+15x", "1.5"])
def test_what_only_looks_like_a_shortened_id_is_one(text: str) -> None:
    postback = parse(builders.raw(f"c={text}&value=1&txid={text}".replace("+", "%2B")), EZMOB)
    assert (postback.click_id, postback.transaction_id) == (text, text)


def test_a_shortened_goal_is_a_label() -> None:
    assert parse(builders.raw("c=a&value=1&goal=1.23E%2B15"), EZMOB).goal == "1.23E+15"
