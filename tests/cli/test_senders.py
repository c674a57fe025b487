"""docs/senders.md: its presets are those there are, and each of its examples is the mistake it stands for."""

import re

import pytest

from service.core.mistakes import diagnose_rejected
from service.core.oddities import diagnose_accepted
from service.core.outcome import Diagnosis, Mistake, Rejected
from service.core.parameters import claimed
from service.core.parsing import parse
from service.core.presets import PRESETS
from service.core.sender import Field, Sender
from tests.support import builders
from tests.support.documents import table, words

FIELDS: tuple[Field, ...] = ("click_id", "value", "currency", "goal", "transaction_id", "conversion_status")
OF_BODIES = {Mistake.UNREAD_BODY}  # no query is an example of it
EXAMPLES = [
    (row[0], example) for row in table("senders.md", "mistake") for example in re.findall(r"([^`,]*=[^`]*)", row[1])
]


def names(sender: Sender, field: Field) -> list[str]:
    return [name for name, named in sender.fields.items() if named == field]


def test_the_documented_presets_are_exactly_those_there_are() -> None:
    for row, sender in zip(table("senders.md", "preset"), PRESETS.values(), strict=True):
        documented = [re.findall(r"[A-Za-z_]+", cell) for cell in row]
        assert documented == [[sender.name], *(names(sender, field) for field in FIELDS), sorted(sender.required)]


def test_the_documented_mistakes_are_exactly_those_there_are() -> None:
    assert words("senders.md", "mistake") == [mistake.value for mistake in Mistake]
    assert {mistake for mistake, _ in EXAMPLES} == {mistake.value for mistake in Mistake if mistake not in OF_BODIES}


@pytest.mark.parametrize(("mistake", "example"), EXAMPLES)
def test_a_documented_example_is_what_it_stands_for(mistake: str, example: str) -> None:
    query = example.replace(" ", "+")
    sender = PRESETS["voluum" if re.match("cid|payout", query) else "ezmob"]
    for field in sorted(sender.required):
        missing = not any(re.search(rf"(^|&|amp;|%20){name}=", query, re.IGNORECASE) for name in names(sender, field))
        if missing and mistake not in ("broken_separator", "other_name", "conversion_macro"):
            query += f"&{names(sender, field)[0]}=1"
    found = diagnosed(query, sender)
    assert found is not None
    assert found.mistake.value == mistake


def diagnosed(query: str, sender: Sender) -> Diagnosis | None:
    raw = builders.raw(query)
    try:
        return diagnose_accepted(parse(raw, sender), sender)
    except Rejected as rejected:
        return diagnose_rejected(rejected.outcome, claimed(raw), sender)
