import re
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core import macros

HOST = "https://example.test/postback"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (f"{HOST}?c={{click_id}}", f"{HOST}?c=abc"),
        (f"{HOST}?c={{click_id}}&again={{click_id}}", f"{HOST}?c=abc&again=abc"),
        (f"{HOST}?s={{pubfeed}}_{{subid}}", f"{HOST}?s=feed_7"),
        (f"{HOST}?s={{pubfeed}}{{subid}}", f"{HOST}?s=feed7"),
        (f"{HOST}/{{click_id}}/done", f"{HOST}/abc/done"),
        ("{pubfeed}_{subid}", "feed_7"),
    ],
)
def test_each_macro_gives_way_to_its_value_joined_ones_too(template: str, expected: str) -> None:
    values = {"click_id": "abc", "pubfeed": "feed", "subid": "7"}
    assert expected == macros.expand(template, values)


@pytest.mark.parametrize(
    "template",
    ["", HOST, f"{HOST}?c=%7Bclick_id%7D", f"{HOST}?q={{}}", f"{HOST}?q={{not a name}}", f"{HOST}?q={{1}}", "}{", "{a"],
)
def test_text_that_is_no_macro_is_left_as_it_is(template: str) -> None:
    assert template == macros.expand(template, {"click_id": "abc"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("AZaz09-._~", "AZaz09-._~"),  # RFC 3986's unreserved characters, all kinds
        ("a&b=c", "a%26b%3Dc"),
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("a b+c", "a%20b%2Bc"),
        ("100%", "100%25"),
        ("€", "%E2%82%AC"),
        ("\r\n", "%0D%0A"),
        ("", ""),
    ],
)
def test_a_value_is_percent_encoded_down_to_the_unreserved_characters(value: str, expected: str) -> None:
    assert f"{HOST}?c={expected}" == macros.expand(f"{HOST}?c={{click_id}}", {"click_id": value})


@settings(deadline=None)  # a busy machine is no defect
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_arrives_as_it_was_and_adds_nothing_to_the_url(value: str) -> None:
    expanded = macros.expand(f"{HOST}?c={{click_id}}&end=1", {"click_id": value})
    found = re.fullmatch(re.escape(HOST) + r"\?c=([A-Za-z0-9._~%-]*)&end=1", expanded)
    assert found
    assert value == unquote(found[1], errors="strict")


def test_a_value_that_looks_like_a_macro_is_not_expanded_again() -> None:
    expected = "%7Bsubid%7D"
    assert expected == macros.expand("{click_id}", {"click_id": "{subid}", "subid": "7"})


def test_an_unknown_macro_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(macros.MacroError, match=re.escape("unknown macro {clickid}; known are {click_id}, {value}")):
        macros.expand(f"{HOST}?c={{clickid}}", {"value": "1", "click_id": "abc"})


@pytest.mark.parametrize(
    "template",
    [
        "https://{subid}/",
        "https://{subid}.example.test",
        "{subid}://x/",
        "//{subid}",
        "https://a:{subid}@b/",
        "http://b:{subid}",
    ],
)
def test_no_value_chooses_the_host(template: str) -> None:
    with pytest.raises(macros.MacroError, match=re.escape("the host must be fixed, but {subid} stands")):
        macros.expand(template, {"subid": "7"})


def test_a_value_that_is_not_text_is_refused_by_the_name_of_its_macro() -> None:
    with pytest.raises(macros.MacroError, match=re.escape("the value of {click_id} is not valid text")):
        macros.expand("{click_id}", {"click_id": "\ud800"})


def test_the_names_of_a_template_are_those_it_uses() -> None:
    assert {"click_id", "value"} == macros.names(f"{HOST}?c={{click_id}}&value={{value}}&v={{value}}&x={{}}")
