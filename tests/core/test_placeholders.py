"""Placeholders: what stands where an id should be is no id, and no id that is only odd is taken for one."""

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.fields.placeholders import placeholder_in
from service.core.mistakes import diagnose_rejected
from service.core.outcome import Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import parse
from service.core.presets import EZMOB, PRESETS
from service.core.sender import Field
from tests.support import builders

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
MACROS = [
    *("{clickid}", "{{clickid}}", "${clickid}", "{ clickid }", "{click id}", "{$clickid}", "{@clickid}", "{sub1|none}"),
    *("{{ click.id | urlencode }}", "{clickid:8}", "{}", "{{}}", '{"clickid":"a"}', "#{clickid}", "%{clickid}"),
    *("[[clickid]]", "[clickid]", "[sub-id]", "[CLICK_ID]", "[]", "$[clickid]", "[click id]"),
    *("<clickid>", "<<clickid>>", "<%= clickid %>", "<?=$clickid?>", "a<clickid>", "<click id>"),
    *("(clickid)", "((clickid))", "$(clickid)", "%(clickid)s"),
    *("%clickid%", "%%CLICKID%%", "%sub1%", "abc_%subid%", "%a%_%b%"),
    *("#clickid#", "#s1##s2#", "#s1#_#s2#", "##clickid##"),
    *("!!!awc!!!", "!awc!", "!!awc!!", "abc_!!!awc!!!"),
    *("$clickid$", "$$clickid$$", "$clickid", "$click_id", "$s1$"),
    *("__CLICKID__", "__CLICK_ID__", "__CALLBACK_PARAM__", "__clickid__", "__CID__-__SUB__", "_clickid_"),
    *("@clickid@", "@clickid", "@@clickid@@", "~clickid~", "~awc~", "||clickid||", "|subid|", ":clickid:", ":clickid"),
    *("*|CLICKID|*", "*clickid*", "^clickid^", '"clickid"', "'clickid'"),
    *("abc_{subid}", "{pubfeed}_{subid}", "abc_[subid]", "[aff]-[subid]", "abc#subid", "a|[subid]")[:4],
    *("%7Bclickid%7D", "%257Bclickid%257D", "%5Bclickid%5D", "%3Cclickid%3E", "%2525clickid%2525"),
]
HALVES = ["{clickid", "clickid}", "{{clickid}", "${clickid", "[clickid", "clickid]", "<clickid", "clickid>"]
HALVES += ["%7Bclickid", "clickid%7D", "abc_{subid", "6f1c2a}", "{6f1c2a", "[6f1c2a", "{clickid]", "clickid}}"]
WORDS = [
    *("undefined", "Undefined", "UNDEFINED", "null", "NULL", "Null", "None", "none", "NONE", "nil", "NaN", "nan"),
    *("N/A", "n/a", "NA", "na", "-", "--", "---", "_", ".", "*", "?", "???", "%", "/", "true", "False", "unknown"),
    *("(null)", "<null>", '"null"', "'undefined'", "[None]", "{null}", "(none)", "(unknown)", "<undefined>"),
    *("[object Object]", "[object Undefined]", "(not set)", "(not provided)", "not_set", "notset", "not found"),
    *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#WERT!"),
    *(ZERO_GUID, f"{{{ZERO_GUID}}}", f"[{ZERO_GUID}]", "0" * 32, "0" * 24, "-1", "%s", "%d", "noclickid", "NoneType"),
    *(
        "Optional(nil)",
        'Optional("6f1c2a")',
        "Optional.empty",
        "NSNull",
        "\\N",
        "Array",
        "System.Object",
        "void",
        "Empty",
    ),
    *("java.lang.Object@1a2b", "com.acme.app.Click@7f3c", "[object Promise]", "null-null", "null_null", "NULL_NULL"),
    *("undefined-undefined", "undefinedundefined", "None|None", "None-None", "null_undefined", "nan.nan.nan"),
]
TOKENS = [  # bare names of an id
    *("click_id", "click", "subid", "SubID", "sub-id", "txid", "tid", "cid", "gclid", "fbclid", "uuid", "order_id"),
    *("transaction_id", "TransactionId", "externalId", "aff_sub", "cnv_id", "YOUR_CLICK_ID", "your-click-id"),
    *("yourClickId", "CLICK_ID_HERE", "your_id", "REPLACE", "replace", "OPTIONAL", "Optional", "REPLACE_ME"),
]
REAL = [
    *("6f1c2a", "w8CFjKq0", "wG7TLKPGR", "102abc", "d.1234_5", "1", "0", "00", "007", "12345678901234567890", "a"),
    *("507f1f77bcf86cd799439011", "5e8f8c8b8f8c8b8f8c8b8f8c", "9f86d081884c7d659a2feaa0c55ad015"),  # hex
    *("550e8400-e29b-41d4-a716-446655440000", "{3F2504E0-4F89-41D3-9A0C-0305E82C3301}"),
    *(
        "{f2504e04-4f89-41d3-9a0c-0305e82c3301}",
        "(3F2504E0-4F89-41D3-9A0C-0305E82C3301)",
        "{3F2504E04F8941D39A0C0305E82C3301}",
    ),
    *(
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "2Fh0KQYhBcVzwFZsmIdmWJpWqCd",
        "V1StGXR8_Z5jdHi6B-myT",
        "cjld2cjxh0000qzrmn831i7rn",
    ),
    *("dGVzdA==", "YWJj_-8=", "-_YWJj", "_-a", "abc=", "a/b=c", "+abc/def=", "aGVsbG8gd29ybGQ"),  # base64
    *(
        "Cj0KCQjwhb60BhClARIsABGGtw9",
        "EAIaIQobChMI0-z_9tWq_wIVAgYGAB1",
        "IwAR3xYz_AbC-1",
        "IwY2xjawFv~7",
        "CjwKCAjw_wcB",
    ),
    *("GA1.2.1234567890.1600000000", "1234567890.1600000000", "fb.1.1558571054389.AbC-1_2", "1234.5678"),
    *(
        "a|b",
        "1|2|3",
        "a:b",
        "12:34:56",
        "a~b",
        "a!b",
        "a.b~c_d",
        "a@b",
        "jane@example.com",
        "a*b",
        "a$b",
        "a^b",
        "a'b",
    ),
    *("_abc_", "-abc-", "$abc", "~abc", "!abc", ":abc", "@abc", ".abc.", "__abc__", "--abc", "abc--", "abc...", "*abc"),
    *("~w8CFj~", "!Xk92a!", "$1$O3JMY.Tw$AdLnLjQ", "[1]", "a[b]c", "items[0]", "a#b", "#123", "100%", "a%zz", "50%off"),
    *(
        "nullable",
        "undefined1",
        "none-1",
        "NaN0",
        "nilsson",
        "anon",
        "-none-",
        "-clickid-",
        "unknown-7",
        "trueblue",
        "N-A-1",
        "null_7",
        "test",
    ),
    *(
        "日本",
        "é",
        "🙂",
        "x¤",
        "a®b",
        "5\u00d77",
        "клик",
        "a&b",
        "a;b",
        "a,b",
        "a?b",
        "a=b",
        "clickid1",
        "subid-7",
        "click-1",
    ),
    *("undefined_123", "null.txt", "voided", "arrays", "clicks", "sub100", "uuid4", "replaced", "jane.doe@abc.de"),
    *("my_click_id_9", "transaction-77", "{12345}", "<12345>", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
]
GOALS = [
    *(
        "(none)",
        "(direct)",
        "[VIP]",
        "null",
        "None",
        "none",
        "undefined",
        "-",
        "goal",
        "event",
        "unknown",
        "N/A",
        "true",
    ),
    *("sale [US]", "(not set)", "VIP!", "#1", "50%off", "100%", "<1 day", "a>=1", "$VIP", ":)", "_vip_", "{", "sale}"),
    *("Level {1}", "<b>", "sale & more", "first-purchase", "Регистрация", "👍", "[sale", "!important", "(sale)", "0"),
    *("optional", "Replace", "replace", "click", "subid"),
]
GOAL_MACROS = ["{goal}", "{{x}}", "${goal}", "%goal%", "%%GOAL%%", "[[goal]]", "[goal]", "(goal)", "<goal>", "$goal"]
GOAL_MACROS += ["REPLACE", "OPTIONAL", "REPLACE_ME"]
GOAL_MACROS += ["#goal#", "!!!goal!!!", "$goal$", "__GOAL__", "sale_{goal}", "[event_name]", "{event.name}"]
WHOLE: dict[str, Field] = {"c": "click_id", "txid": "transaction_id"}


def sent(name: str, text: str) -> str:
    return f"{'' if name == 'c' else 'c=a&'}value=1&{name}={quote(text, safe='')}"


def test_the_tables_are_long_enough() -> None:
    assert len({*MACROS, *HALVES, *WORDS}) >= 80
    assert len({*REAL}) >= 60


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("text", [*MACROS, *HALVES, *WORDS, *TOKENS])
def test_a_placeholder_is_no_click_id_and_no_transaction_id(name: str, text: str) -> None:
    raw = builders.raw(sent(name, text))
    with pytest.raises(Rejected) as rejected:
        parse(raw, EZMOB)
    assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO
    found = diagnose_rejected(rejected.value.outcome, claimed(raw), EZMOB)
    assert found is not None


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("text", REAL)
def test_an_id_that_is_only_odd_is_stored_as_it_was_sent(name: str, text: str) -> None:
    postback = parse(builders.raw(sent(name, text)), EZMOB)
    assert getattr(postback, WHOLE[name]) == text


@pytest.mark.parametrize("goal", GOALS)
def test_a_goal_is_a_label_and_may_look_like_a_placeholder(goal: str) -> None:
    assert parse(builders.raw(f"c=a&value=1&goal={quote(goal)}"), EZMOB).goal == goal


@pytest.mark.parametrize("goal", GOAL_MACROS)
def test_an_unmistakable_macro_is_no_goal(goal: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw(f"c=a&value=1&goal={quote(goal)}"), EZMOB)
    assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO


@pytest.mark.parametrize("field", ["value", "currency", "conversion_status"])
@pytest.mark.parametrize(
    "text", ["{x}", "{{x}}", "[[x]]", "[x]", "<x>", "%x%", "%%X%%", "#x#", "!!!x!!!", "!x!", "$x$", "$x"]
)
def test_a_macro_in_another_field_is_called_one(field: Field, text: str) -> None:
    found = placeholder_in(field, text, EZMOB)
    assert found is not None
    assert found.kind == "macro"


@pytest.mark.parametrize(("text", "kind"), [("{x", "half"), ("{x}", "macro"), ("null", "word"), ("click_id", "token")])
def test_what_kind_of_placeholder_it_is(text: str, kind: str) -> None:
    found = placeholder_in("click_id", text, EZMOB)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize("text", ["nobody", "NoBody", "NOBODY", "no-click", "0"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_sender_has_placeholders_of_its_own(name: str, text: str) -> None:
    own = replace(EZMOB, placeholders=frozenset({"nobody", "no-click", "0"}))
    assert getattr(parse(builders.raw(sent(name, text)), EZMOB), WHOLE[name]) == text
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw(sent(name, text)), own)
    assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO
    assert parse(builders.raw(sent(name, "somebody")), own).is_test is False


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("subid=undefined", "Send the real subid"),
        ("subid=k1&tid=null", "Leave tid out"),
        ("subid={subid}", "it did not replace subid's"),
        ("subid={subid", "Write the macro of subid with both of its brackets"),
        ("subid=subid", "Put the token of subid into the braces"),
    ],
)
def test_the_advice_names_the_senders_own_parameter(query: str, told: str) -> None:
    found = diagnose_rejected(Outcome.UNEXPANDED_MACRO, claimed(builders.raw(query)), PRESETS["keitaro"])
    assert found is not None
    assert told in found.advice


@pytest.mark.parametrize(
    "query", ["c=a&value=1&device=%device%", "c=a&value=1&device=%%DEVICE%%", "c=a&value=1&d=%AD_ID%"]
)
def test_a_percent_macro_in_another_parameter_is_kept_as_it_was_sent(query: str) -> None:
    (kept,) = parse(builders.raw(query), EZMOB).params.values()
    assert kept == query.rpartition("=")[2]


@pytest.mark.parametrize("query", ["c=abc_%subid%&value=1", "c=%aff%_%subid%&value=1", "c=%%SUB%%_%%AFF%%&value=1"])
def test_joined_percent_macros_are_macros(query: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw(query), EZMOB)
    assert rejected.value.outcome is Outcome.UNEXPANDED_MACRO


@given(st.text(st.sampled_from("{}[]<>()%#!$_@~|:*^a1-. \"'&="), min_size=1, max_size=300))
def test_no_text_breaks_the_search_and_what_is_found_names_it(text: str) -> None:
    for field in ("click_id", "goal", "value", "transaction_id"):
        found = placeholder_in(field, text, EZMOB)
        assert found is None or found.shown
