"""What kept input names, however it is written: the one rule of `lookup`, `reconcile` and `erase`."""

import gzip
import json

import pytest

from service.core.mentions import Texts, folded, parameters
from service.core.parsing import parse
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from tests.support import builders

POST = b"POST /postback\r\ncontent-type: x"


@pytest.mark.parametrize(
    ("raw", "click_id"),
    [
        (b"GET /postback?c=id-1&value=x", "id-1"),
        (b"GET /postback?c=id%2D1", "id-1"),
        (b"GET /postback?sub=id-1", "id-1"),
        (b"POST /p\r\n\r\nc=a+b&value=1", "a b"),
        (b"POST /p\r\n\r\nc=a%2Bb&value=1", "a+b"),
        (b"POST /p\r\n\r\n" + b'{"c":"\\u00e9-1"}', "é-1"),
        (b"POST /p\r\n\r\n" + b'{"c":"\\ud83d\\ude00"}', "😀"),
        (b"POST /p\r\n\r\n" + b'{"c":"a\\/b"}', "a/b"),
        ("POST /p\r\n\r\nid;value\né-1;5".encode(), "é-1"),
        (b"GET /p?c=x.*y", "x.*y"),
        (POST + b"\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(mtime=0, data=b'{"clickid":"id-1"}'), "id-1"),
        (POST + b"\r\ncontent-encoding: br\r\n\r\nid-1", "id-1"),
        (b"GET /p?c={}", "{}"),
    ],
)
def test_raw_input_names_a_click_id_however_it_is_written(raw: bytes, click_id: str) -> None:
    assert Texts([click_id]).named_in(raw) == {click_id}


@pytest.mark.parametrize(
    "raw",
    [
        builders.raw("c=a&value=1&m=jane%2540example.com"),
        builders.raw("c=a&value=1&m=x%2Bjane%252540example.com%2By&n=jane%2540example.com"),
        builders.posted(b"c=a&value=1&m=jane%2540example.com", "application/x-www-form-urlencoded"),
        builders.posted(b'{"c":"a","value":1,"m":"jane%40example.com"}'),
        builders.posted(b'{"c":"a","value":1,"m":"jane\\u002540example.com"}'),
        builders.posted(b'{"c":"a","value":1,"m":"\\u007a jane\\u0040example.com"}'),
        builders.raw("c=a&value=1&m=to%2520jane@example.com"),
        builders.raw("c=a&value=1&m=%252Bjane@example.com"),
    ],
)
def test_what_is_found_in_what_is_stored_is_found_in_the_same_input_rejected(raw: RawPostback) -> None:
    person = Texts(["jane@example.com"], personal=True)
    assert person.named_in(json.dumps(parse(raw, EZMOB).params).encode())
    assert person.named_in(raw.as_sent(), "a")
    assert person.parameter_of(raw.as_sent()) in ("m", "n")


@pytest.mark.parametrize(
    "raw",
    [b"GET /p?c=id-12", b"GET /p?c=xid-1", b"GET /p?c=id-1.5", b"GET /p?c=id_1", b"GET /p?c=ID-1", b"\\", b"\xff", b""],
)
def test_part_of_another_word_is_no_click_id(raw: bytes) -> None:
    assert Texts(["id-1", ""]).named_in(raw) == set()


@pytest.mark.parametrize(
    "name", ["jane@example.com", "JANE@Example.com", "jane%40example.com", "Doe+%3CJane@example.com%3E"]
)
def test_a_persons_text_is_found_in_any_letter_case(name: str) -> None:
    raw = f"GET /p?c=click-1&email={name}".encode()
    assert Texts(["Jane@Example.com"], personal=True).named_in(raw, "click-1") == {"Jane@Example.com"}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Straße", "STRASSE"),
        ("e\u0301", "É"),
        ("\u0130", "i"),
        ("\uff21b", "ab"),
        ("ﬁ", "FI"),
        ("a\udcffB", "A\udcffb"),
    ],
)
def test_letters_that_people_take_for_the_same_are_folded_into_one(text: str, same: str) -> None:
    assert folded(text) == folded(same)


@pytest.mark.parametrize("name", ["mary.jane@example.com", "jane@example.com.au", "jane@examplexcom"])
def test_another_persons_text_is_not_taken_for_it(name: str) -> None:
    assert Texts(["jane@example.com"], personal=True).named_in(f"GET /p?email={name}".encode()) == set()


def test_of_many_texts_each_is_found_that_is_named() -> None:
    texts = Texts([*(f"click-{number}" for number in range(1000)), "a/click-7", "click-7/b", "?!"])
    assert texts.named_in(b"GET /p?x=a%2Fclick-7&y=click-999.&z=?!") == {"click-7", "a/click-7", "?!"}


@pytest.mark.parametrize(
    ("text", "claimed", "found"),
    [("1", None, True), ("1", "1", True), ("1", "other", False), ("12345678", "other", True)],
)
def test_a_short_click_id_is_not_named_by_what_claims_another(text: str, claimed: str | None, *, found: bool) -> None:
    assert bool(Texts([text]).named_in(f"GET /p?c=x&n={text}".encode(), claimed)) is found
    assert Texts([text], personal=True).named_in(f"GET /p?c=x&n={text}".encode(), claimed) == {text}


@pytest.mark.parametrize(
    ("raw", "parameter"),
    [
        (b"GET /postback?clickid=id-1&value=1", "clickid"),
        (b"GET /postback?C=id%2d1&value=1", "C"),
        (b"GET /postback??clickid=id-1&value=1", "clickid"),
        (b"GET /postback?value=1&city=M%FC&clickid=%20id-1", "clickid"),
        (POST + b"\r\n\r\nvalue=1&sub_id=id-1", "sub_id"),
        (POST + b'\r\n\r\n{"value":1,"tid":"id-1"}', "tid"),
        (POST + b'\r\n\r\n{"custom":{"a":"id-1"}}', "custom"),
        (POST + b'\r\n\r\n[{"cid":"x"},{"cid":"id-1"}]', "cid"),
        (POST + b"\r\n\r\nclick,value\nid-1,5", "click"),
        (b"GET /postback/id-1?value=1", ""),
        (POST + b'\r\n\r\n{"cid":"id-1"', ""),
        (POST + b"\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(mtime=0, data=b'{"clickid":"id-1"}'), "clickid"),
    ],
)
def test_the_parameter_that_names_it_is_told(raw: bytes, parameter: str) -> None:
    assert Texts(["id-1"]).named_in(raw)
    assert Texts(["id-1"]).parameter_of(raw) == parameter


def test_parameters_of_input_that_nobody_understands_are_none() -> None:
    assert parameters(b"\xff\x00\r\n\r\n\xfe") == []


@pytest.mark.parametrize("sent", ["name=M%FCller-Ost", "name=M%fcller-Ost&city=K%C3%B6ln", "M%25FCller-Ost"])
def test_a_persons_name_in_latin_1_is_found_as_people_write_it(sent: str) -> None:
    raw = f"GET /postback?c=a&{sent} HTTP/1.1\r\n\r\n".encode()
    assert Texts(["müller-ost"], personal=True).named_in(raw) == {"müller-ost"}
    assert not Texts(["mäller-ost"], personal=True).named_in(raw)
