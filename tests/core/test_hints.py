"""A hint speaks in the sender's own names: a partner is told nothing that it does not know."""

import re

import pytest

from service.core.hints import hint_for, kept_hint
from service.core.mistakes import rejection_of
from service.core.outcome import Family, Outcome, Rejected
from service.core.presets import PRESETS
from service.core.roster import sender_from_preset
from service.core.sender import Field, Sender
from service.core.sent import Sent
from tests.support import builders

REJECTED = [outcome for outcome in Outcome if outcome.family is Family.REJECTED]
WORDS = {"value", "currency", "status", "type", "amount", "sum", "goal"}  # of English, and of some platform too
EXAMPLE = re.compile(r"\b(\w+)=")
OF_FIELDS: dict[Outcome, tuple[Field, ...]] = {
    Outcome.MISSING_CLICK_ID: ("click_id",),
    Outcome.INVALID_CLICK_ID: ("click_id",),
    Outcome.MISSING_VALUE: ("value",),
    Outcome.INVALID_VALUE: ("value",),
    Outcome.INVALID_CURRENCY: ("currency",),
    Outcome.INVALID_STATUS: ("conversion_status",),
    Outcome.TOO_LARGE: ("goal", "transaction_id"),
}


def hint(outcome: Outcome, sender: Sender, door: str = "postback", **fields: str) -> str:
    return hint_for(outcome, Sent([], sender, fields, door=door))  # type: ignore[arg-type]  # our fields


@pytest.mark.parametrize("outcome", REJECTED)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("door", ["postback", "batch", "import", "pixel"])
def test_a_hint_names_only_what_its_sender_knows(preset: str, outcome: Outcome, door: str) -> None:
    sender, told = PRESETS[preset], hint(outcome, PRESETS[preset], door)
    foreign = {name for other in PRESETS.values() for name in other.fields}.difference(sender.fields, WORDS)
    assert foreign.intersection(re.findall(r"\w+", told)) == set()
    assert set(EXAMPLE.findall(told)) <= set(sender.fields)
    named = [sender.name_of(field) for field in OF_FIELDS.get(outcome, ()) if field in sender.fields.values()]
    assert [name for name in named if name not in told] == []


@pytest.mark.parametrize("outcome", REJECTED)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("door", ["postback", "batch"])
def test_a_hint_is_short_and_on_one_line(preset: str, outcome: Outcome, door: str) -> None:
    told = hint(outcome, PRESETS[preset], door)
    assert told.endswith(".")
    assert len(told) <= 250
    assert "\n" not in told


@pytest.mark.parametrize("outcome", Outcome)
def test_what_is_said_of_no_sender_names_no_parameter(outcome: Outcome) -> None:
    names = {name for sender in PRESETS.values() for name in sender.fields} - WORDS
    assert names.intersection(re.findall(r"\w+", outcome.hint)) == set()


@pytest.mark.parametrize(
    ("numbers", "example"), [("point", "payout=1.50"), ("comma", "payout=1,50"), ("cents", "payout=150")]
)
def test_the_example_has_the_senders_format_of_numbers(numbers: str, example: str) -> None:
    sender = sender_from_preset("keitaro", "acme", numbers=numbers)  # type: ignore[arg-type]  # one of them
    assert example in hint(Outcome.MISSING_VALUE, sender)
    assert example.partition("=")[2] in hint(Outcome.INVALID_VALUE, sender)


def test_a_name_of_the_senders_own_comes_first() -> None:
    sender = sender_from_preset("keitaro", "acme", fields={"uid": "click_id"})
    assert hint(Outcome.MISSING_CLICK_ID, sender) == "Send the click id as parameter uid."


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("$", "such as USD."),
        ("€", "such as EUR."),
        ("£", "such as GBP."),
        ("euro", "such as USD."),
        ("HRK", "have HRK allowed by the receiver (senders set keitaro --currency HRK)"),
        ("hrk", "--currency HRK"),
        ("RUR", "--currency RUR"),
        (" usdt ", "--currency USDT"),
        ("x" * 500, "such as USD."),
    ],
)
def test_a_wrong_currency_is_told_the_code_or_the_option(sent: str, words: str) -> None:
    assert words in hint(Outcome.INVALID_CURRENCY, PRESETS["keitaro"], currency=sent)


@pytest.mark.parametrize(
    ("query", "outcome", "named"),
    [
        ("subid=a&revenue=abc", Outcome.INVALID_VALUE, "Send revenue as"),
        ("subid=a&payout=&revenue=abc", Outcome.INVALID_VALUE, "Send revenue as"),
        ("subid=a&revenue=", Outcome.MISSING_VALUE, "revenue=1.50"),
        ("subid=a", Outcome.MISSING_VALUE, "payout=1.50"),
        ("sub_id=a+b&payout=1", Outcome.INVALID_CLICK_ID, "Send sub_id as"),
    ],
)
def test_a_hint_names_the_parameter_that_was_sent(query: str, outcome: Outcome, named: str) -> None:
    sender = sender_from_preset("keitaro", "acme", fields={"sub_id": "click_id"})
    rejection = rejection_of(builders.raw(query), sender, Rejected(outcome, "why"))
    assert named in rejection.hint


@pytest.mark.parametrize("outcome", [Outcome.MALFORMED_BODY, Outcome.UNSUPPORTED_MEDIA_TYPE])
def test_a_batch_is_not_told_to_become_a_form(outcome: Outcome) -> None:
    assert "form" in hint(outcome, PRESETS["ezmob"]).replace("UTF-8", "")
    assert "form" not in hint(outcome, PRESETS["ezmob"], "batch")
    assert "NDJSON" in hint(outcome, PRESETS["ezmob"], "batch")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sender_without_names_gets_a_hint_all_the_same(preset: str) -> None:
    bare = Sender(preset, {"id": "click_id"})
    for query in ("id=1.5", "id=%24", "id=a?b=1", "x=1"):
        for outcome in REJECTED:
            rejection = rejection_of(builders.raw(query), bare, Rejected(outcome, "why"))
            assert (rejection.hint.endswith("."), rejection.key_id) == (True, None)


def test_a_rejection_of_nobody_has_the_outcomes_own_hint() -> None:
    rejection = rejection_of(builders.raw("subid=a"), None, Rejected(Outcome.UNAUTHENTICATED, "no key"))
    assert rejection.hint == ""


@pytest.mark.parametrize("outcome", [Outcome.MALFORMED_BODY, Outcome.UNSUPPORTED_MEDIA_TYPE])
def test_the_hint_of_a_kept_batch_names_what_a_batch_may_be(outcome: Outcome) -> None:
    assert "NDJSON or CSV" in kept_hint(outcome, "batch")
    assert kept_hint(outcome, "postback") == outcome.hint
