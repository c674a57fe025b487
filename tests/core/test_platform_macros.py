"""The URL to paste: the platform's own macros where its pages name them, and otherwise what nobody can overlook."""

import re
from urllib.parse import quote

import pytest

from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.platform_macros import query_to_paste
from service.core.presets import PRESETS
from service.core.roster import sender_from_preset
from service.core.sender import Field
from tests.support import builders
from tests.support.documents import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "senders.md").read_text(encoding="utf-8")
PLATFORMS = {
    title.lower(): re.findall(r"https://HOST/\w+\?(\S+)&key=KEY", section)
    for title, section in re.findall(r"### (\w+)\n(.*?)(?=\n##|\Z)", DOCUMENT, re.DOTALL)
}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_platforms_url_is_the_documented_one(preset: str) -> None:
    assert [re.sub("<[^>]*>", "…", query_to_paste(PRESETS[preset], preset))] == PLATFORMS[preset]


@pytest.mark.parametrize(
    ("name", "preset", "own", "query"),
    [
        (
            "keitaro",
            "keitaro",
            {"turnover": "value"},
            "subid={external_id}&turnover=<its macro for the value>&tid={tid}",
        ),
        ("acme", "voluum", {}, "cid={externalid}&payout={payout}"),
        ("acme", "voluum", {"aff": "goal"}, "cid={externalid}&payout={payout}&aff=<its macro for the goal>"),
        ("acme", "voluum", {"payout": "goal"}, "cid={externalid}&payout=<its macro for the goal>"),
        ("acme", "ezmob", {}, "c=<its macro for the click id>&value=<its macro for the value>"),
        (
            "acme",
            "ezmob",
            {"a[b]": "click_id"},
            "a%5Bb%5D=<its macro for the click id>&value=<its macro for the value>",
        ),
        ("acme", "of-tomorrow", {"id": "click_id"}, "id=<its macro for the click id>"),
    ],
)
def test_own_names_stand_in_place_of_the_presets(name: str, preset: str, own: dict[str, Field], query: str) -> None:
    made = query_to_paste(sender_from_preset(preset, name, fields=own), preset)
    assert made.removesuffix("&status={status}&currency={currency}") == query


@pytest.mark.parametrize("preset", PRESETS)
def test_what_nobody_filled_in_is_rejected(preset: str) -> None:
    sender = sender_from_preset(preset, "acme")
    for pair in query_to_paste(sender, preset).split("&"):
        name, _, macro = pair.partition("=")
        field = sender.fields[name]
        if field == "goal":
            continue
        others: dict[Field, str] = {"click_id": "a", "value": "1"}
        sent = {sender.name_of(other): text for other, text in others.items() if other != field} | {name: macro}
        with pytest.raises(Rejected) as rejected:
            parse(builders.raw("&".join(f"{key}={quote(text)}" for key, text in sent.items())), sender)
        assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO
