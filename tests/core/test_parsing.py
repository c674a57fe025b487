"""Parsing: what is accepted is exactly what was sent, what is rejected says why, and nothing is repaired in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outcome import Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import claimed_click_id, parse
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from service.core.white_space import BLANKS
from tests.support import builders


def outcome_of(raw: RawPostback) -> tuple[Outcome, str]:
    with pytest.raises(Rejected) as rejected:
        parse(raw, EZMOB)
    return rejected.value.outcome, rejected.value.detail


def test_ezmobs_own_shape_is_accepted() -> None:
    parsed = parse(builders.raw("c=6f1c2a&value=2.50"), EZMOB)
    assert parsed.key == ("ezmob", False, "6f1c2a", "", "")
    assert (parsed.value, parsed.value_micros, parsed.currency, parsed.params) == ("2.50", 2_500_000, None, {})


def test_known_fields_are_named_and_the_rest_is_kept_in_order() -> None:
    parsed = parse(builders.raw("x=1&c=a&value=1&currency=EUR&goal=lead&txid=t-9&x=2&y="), EZMOB)
    assert (parsed.currency, parsed.goal, parsed.transaction_id) == ("EUR", "lead", "t-9")
    assert parsed.params == {"x": ["1", "2"], "y": ""}


@pytest.mark.parametrize(
    ("query", "outcome", "detail"),
    [
        ("", Outcome.MISSING_CLICK_ID, "absent"),
        ("value=1", Outcome.MISSING_CLICK_ID, "absent"),
        ("c=&value=1", Outcome.MISSING_CLICK_ID, "empty"),
        ("c&value=1", Outcome.MISSING_CLICK_ID, "empty"),
        ("C=a&value=1", Outcome.MISSING_CLICK_ID, "absent"),
        ("c=a", Outcome.MISSING_VALUE, "absent"),
        ("c=a&value=", Outcome.MISSING_VALUE, "empty"),
        ("c=a+b&value=1", Outcome.INVALID_CLICK_ID, "holds a space or a control character"),
        ("c=a%0Ab&value=1", Outcome.INVALID_CLICK_ID, "holds a space or a control character"),
        ("c=a%C2%A0b&value=1", Outcome.INVALID_CLICK_ID, "holds a space or a control character"),
        ("c=a%E2%80%8Bb&value=1", Outcome.INVALID_CLICK_ID, "holds a space or a control character"),
        (f"c={'a' * 513}&value=1", Outcome.INVALID_CLICK_ID, "513 bytes, 512 are allowed"),
        (f"c={'%C3%A9' * 257}&value=1", Outcome.INVALID_CLICK_ID, "514 bytes, 512 are allowed"),
        ("c=a&c=b&value=1", Outcome.REPEATED_PARAMETER, "click_id was sent more than once (parameter c)"),
        ("c=a&value=1&value=2", Outcome.REPEATED_PARAMETER, "value was sent more than once (parameter value)"),
        (
            "c=a&value=1&txid=1&transaction_id=1&txid=2",
            Outcome.REPEATED_PARAMETER,
            "transaction_id was sent more than once (parameter txid)",
        ),
        ("c=a&value=%20", Outcome.MISSING_VALUE, "empty"),
        ("c=a&value=1&currency=hrk", Outcome.INVALID_CURRENCY, "'hrk' is not an ISO 4217 code"),
        ("c=a&value=1&currency=US", Outcome.INVALID_CURRENCY, "'US' is not an ISO 4217 code"),
        (f"c=a&value=1&goal={'g' * 256}", Outcome.TOO_LARGE, "goal has 256 bytes, 255 are allowed"),
        (f"c=a&value=1&txid={'t' * 256}", Outcome.TOO_LARGE, "transaction_id has 256 bytes, 255 are allowed"),
        ("&".join(["c=a&value=1", *["x=1"] * 255]), Outcome.TOO_MANY_PARAMETERS, "257 parameters, 256 are allowed"),
        (f"c=a&value=1&x={'x' * 8192}", Outcome.TOO_LARGE, "the URL has 8216 bytes, 8192 are allowed"),
        ("c=a%FFb&value=1", Outcome.INVALID_ENCODING, "parameter c is not UTF-8"),
        ("c=a&value=1&goal=%ED%A0%80", Outcome.INVALID_ENCODING, "parameter goal is not UTF-8"),
        (
            "c=a&value=1&txid=100%",
            Outcome.INVALID_ENCODING,
            "parameter txid holds a % that starts no escape (%25 is a literal %)",
        ),
        ("c=a&value=1&currency=%FF", Outcome.INVALID_ENCODING, "parameter currency is not UTF-8"),
        ("c=a&value=1&conversion_status=%FF", Outcome.INVALID_ENCODING, "parameter conversion_status is not UTF-8"),
        (
            "c=a&value=1%",
            Outcome.INVALID_ENCODING,
            "parameter value holds a % that starts no escape (%25 is a literal %)",
        ),
        ("c=a%2525&c=a%25%&value=1", Outcome.REPEATED_PARAMETER, "click_id was sent more than once (parameter c)"),
        ("c=a%2525&c=a%25&value=1", Outcome.REPEATED_PARAMETER, "click_id was sent more than once (parameter c)"),
        ("c=a%&value=1", Outcome.INVALID_ENCODING, "parameter c holds a % that starts no escape (%25 is a literal %)"),
        ("c=a%4&value=1", Outcome.INVALID_ENCODING, "parameter c holds a % that starts no escape (%25 is a literal %)"),
        ("c=a%00&value=1", Outcome.INVALID_ENCODING, "parameter c holds a NUL character"),
        ("c=+%00&value=1", Outcome.INVALID_ENCODING, "parameter c holds a NUL character"),
    ],
)
def test_each_mistake_has_its_outcome_and_says_what_is_wrong(query: str, outcome: Outcome, detail: str) -> None:
    assert outcome_of(builders.raw(query)) == (outcome, detail)


def test_two_invalid_bytes_never_become_the_same_click_id() -> None:
    assert outcome_of(builders.raw(b"c=a\xffb&value=1")) == (Outcome.INVALID_ENCODING, "parameter c is not UTF-8")


@pytest.mark.parametrize(
    "macro",
    [
        "{click_id}",
        "%7Bclick_id%7D",
        "${click_id}",
        "{{click_id}}",
        "{ click_id }",
        "[click_id]",
        "%5BCLICK_ID%5D",
        "<click_id>",
        "(click_id)",
        "%click_id%",
        "%device%",
        "%25click_id%25",
        "%23click_id%23",
        "$click_id",
        "$CLICK_ID$",
        "__CLICK_ID__",
        "abc{click_id}",
        "{pubfeed}_{subid}",
        "click_id",
        "CLICK_ID",
        "conversion",
    ],
)
def test_an_unreplaced_macro_is_never_a_click_id(macro: str) -> None:
    assert outcome_of(builders.raw(f"c={macro}&value=1"))[0] is Outcome.UNEXPANDED_MACRO


@pytest.mark.parametrize(
    "field", ["value={value}", "value=1&currency={currency}", "value=1&goal={g}", "value=1&txid=[t]"]
)
def test_an_unreplaced_macro_is_found_in_every_known_field(field: str) -> None:
    assert outcome_of(builders.raw(f"c=a&{field}"))[0] is Outcome.UNEXPANDED_MACRO


@pytest.mark.parametrize(
    "click_id",
    [
        "a",
        "0",
        "click-id-1",
        "a.b~c_d",
        "{3F2504E0-4F89-41D3-9A0C-0305E82C3301}",
        "{f2504e04-4f89-41d3-9a0c-0305e82c3301}",
        "[1]",
        "a[b]c",
        "日本",
        "é",
        "🙂",
        "a/b=c",
        "'; DROP TABLE conversion--",
    ],
)
def test_unusual_but_real_click_ids_are_kept_as_they_are(click_id: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in click_id.encode())
    if " " in click_id:
        assert outcome_of(builders.raw(f"c={encoded}&value=1"))[0] is Outcome.INVALID_CLICK_ID
    else:
        assert parse(builders.raw(f"c={encoded}&value=1"), EZMOB).click_id == click_id


def test_extra_parameters_may_hold_macros_and_brackets() -> None:
    assert parse(builders.raw("c=a&value=1&sub={sub}"), EZMOB).params == {"sub": "{sub}"}


@pytest.mark.parametrize(
    "raw",
    [
        builders.raw("c=a&value=1&test=1"),
        *(builders.raw(f"test={word}&c=a&value=1") for word in ("true", "True", "TRUE", "yes", "Yes", "on", "ON")),
        builders.raw("test=1&c=a&value=1&test=1"),
        builders.raw("c=a&value=1&test=0&test=1"),
        builders.posted(b"c=a&value=1&test=1", "application/x-www-form-urlencoded", query=b"test=1"),
        builders.posted(b'{"c":"a","value":1,"test":0}', "application/json", is_test=True),
    ],
)
def test_a_test_says_so_and_is_a_conversion_of_its_own(raw: RawPostback) -> None:
    parsed = parse(raw, EZMOB)
    assert parsed.key == ("ezmob", True, "a", "", "")
    assert parsed.params == {}


@pytest.mark.parametrize("test", ["0", "", "no", "false", "off", "0&test=2", "abc", "2"])
def test_only_a_yes_makes_a_test_and_any_other_is_kept(test: str) -> None:
    parsed = parse(builders.raw(f"c=a&value=1&test={test}"), EZMOB)
    assert not parsed.is_test
    assert "test" in parsed.params


def test_a_json_body_says_it_with_a_number_or_true() -> None:
    for word in (b"1", b"true", b'"1"'):
        assert parse(builders.posted(b'{"c":"a","value":1,"test":' + word + b"}"), EZMOB).is_test


def test_a_goal_may_hold_brackets_inside() -> None:
    assert parse(builders.raw("c=a&value=1&goal=sale%20[US]"), EZMOB).goal == "sale [US]"


@pytest.mark.parametrize(
    ("raw", "click_id"),
    [
        (builders.raw("c=a&value=x"), "a"),
        (builders.raw("c=a&c=b&value=1"), "a"),
        (builders.raw("c=a%FF&value=1"), "a%FF"),
        (builders.raw("value=%FF&c=a"), "a"),
        (builders.raw("value=1"), None),
        (builders.posted(b'{"c": "a", "value": "x"}'), "a"),
        (builders.posted(b"{"), None),
        (builders.posted(b"{", query=b"c=a"), "a"),
    ],
)
def test_a_rejected_postback_is_found_again_by_the_click_id_it_claims(raw: RawPostback, click_id: str | None) -> None:
    assert claimed_click_id(claimed(raw), EZMOB) == click_id


def _percent_encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


@given(_TEXT, _TEXT)
def test_whatever_is_accepted_is_stored_as_it_was_sent(click_id: str, extra: str) -> None:
    query = f"c={_percent_encoded(click_id)}&value=1&extra={_percent_encoded(extra)}"
    try:
        parsed = parse(builders.raw(query), EZMOB)
    except Rejected as rejected:
        outcomes = {Outcome.INVALID_CLICK_ID, Outcome.UNEXPANDED_MACRO, Outcome.MISSING_CLICK_ID}
        assert rejected.outcome in outcomes  # noqa: PT017 - each is fine
    else:
        own = {} if parsed.click_id == click_id else {"c": click_id}
        assert (parsed.click_id, parsed.params) == (click_id.strip(BLANKS), {"extra": extra, **own})


@given(
    st.binary(max_size=200),
    st.binary(max_size=200),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded"]),
)
def test_any_bytes_are_either_parsed_or_rejected(query: bytes, body: bytes, content_type: str) -> None:
    sent = builders.posted(body, content_type, query=query)
    try:
        parse(sent, EZMOB)
    except Rejected:
        claimed_click_id(claimed(sent), EZMOB)  # must not raise either
