"""Bodies: a form or a flat JSON object is read together with the query, and anything else is rejected."""

import pytest

from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from tests.support import builders


def outcome_of(raw: RawPostback) -> tuple[Outcome, str]:
    with pytest.raises(Rejected) as rejected:
        parse(raw, EZMOB)
    return rejected.value.outcome, rejected.value.detail


def test_form_and_query_are_read_together() -> None:
    form = builders.posted(b"value=1.5&x=%C3%A9", "application/x-www-form-urlencoded; charset=UTF-8", query=b"c=a")
    parsed = parse(form, EZMOB)
    assert (parsed.click_id, parsed.value, parsed.params) == ("a", "1.5", {"x": "é"})


def test_the_same_field_with_another_text_in_query_and_body_is_a_repetition() -> None:
    form = builders.posted(b"c=b&value=1", "application/x-www-form-urlencoded", query=b"c=a")
    assert outcome_of(form)[0] is Outcome.REPEATED_PARAMETER


def test_the_parameter_limit_counts_query_and_body_together() -> None:
    form = builders.posted(
        b"&".join([b"y=1"] * 130), "application/x-www-form-urlencoded", query=b"&".join([b"x=1"] * 130)
    )
    assert outcome_of(form) == (Outcome.TOO_MANY_PARAMETERS, "260 parameters, 256 are allowed")


def test_json_numbers_keep_their_literal_text() -> None:
    parsed = parse(
        builders.posted(b'{"c": 12345678901234567890, "value": 1.50, "n": 1E400, "t": true, "z": null}'), EZMOB
    )
    assert (parsed.click_id, parsed.value, parsed.value_micros) == ("12345678901234567890", "1.50", 1_500_000)
    assert parsed.params == {"n": "1E400", "t": "true"}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", Outcome.MISSING_CLICK_ID),
        (b"{", Outcome.MALFORMED_BODY),
        (b"[]", Outcome.MALFORMED_BODY),
        (b'"c"', Outcome.MALFORMED_BODY),
        (b"[" * 60_000, Outcome.MALFORMED_BODY),
        (b'{"c": "a", "value": NaN}', Outcome.MALFORMED_BODY),
        (b'{"c": "a", "value": Infinity}', Outcome.MALFORMED_BODY),
        ('{"c": "a", "value": 1}'.encode("utf-16"), Outcome.INVALID_ENCODING),
        (b'{"c": "a\xff", "value": 1}', Outcome.INVALID_ENCODING),
        (rb'{"c": "\ud800", "value": 1}', Outcome.INVALID_ENCODING),
        (rb'{"c": "a\u0000", "value": 1}', Outcome.INVALID_ENCODING),
        (b'{"c": "a", "c": "b", "value": 1}', Outcome.REPEATED_PARAMETER),
        (b'{"c": null, "value": 1}', Outcome.MISSING_CLICK_ID),
        (b'{"c": "a", "value": true}', Outcome.INVALID_VALUE),
        (b'{"c": "a", "value": 1e12}', Outcome.INVALID_VALUE),
        (b'{"c": "a", "value": ' + b"9" * 5000 + b"}", Outcome.INVALID_VALUE),
        (b'{"c": "a"' + b',"x": 1' * 257 + b"}", Outcome.TOO_MANY_PARAMETERS),
        (b'{"c": "a", "value": 1, "x": "' + b"x" * 65_536 + b'"}', Outcome.TOO_LARGE),
    ],
)
def test_each_mistake_in_json_has_its_outcome(body: bytes, outcome: Outcome) -> None:
    assert outcome_of(builders.posted(body))[0] is outcome


@pytest.mark.parametrize(
    ("content_type", "content_encoding"),
    [
        ("text/html", ""),
        ("application/xml", ""),
        ("text/csv", ""),
        ("application/json; charset=utf-16", ""),
        ("application/json; charset=utf-7", ""),
        ("application/json; charset=nonsense", ""),
        (f"application/json; {'x' * 256}", ""),
        ("application/json", "gzip"),
    ],
)
def test_a_body_we_cannot_read_is_an_unsupported_media_type(content_type: str, content_encoding: str) -> None:
    sent = builders.posted(b'{"c": "a", "value": 1}', content_type, content_encoding=content_encoding)
    assert outcome_of(sent)[0] is Outcome.UNSUPPORTED_MEDIA_TYPE


def test_a_body_that_broke_off_is_not_a_postback() -> None:
    broken = builders.posted(b'{"c": "a", "value": 1}', complete=False)
    assert outcome_of(broken) == (Outcome.MALFORMED_BODY, "the sender hung up after 22 bytes of the body")


@pytest.mark.parametrize("before", [b" ", b"\n", b"\r\n\t ", b"\xef\xbb\xbf", b"\xef\xbb\xbf "])
@pytest.mark.parametrize("after", [b"", b"\n"])
def test_json_may_begin_and_end_with_white_space(before: bytes, after: bytes) -> None:
    assert parse(builders.posted(before + b'{"c": "a", "value": 1}' + after), EZMOB).click_id == "a"


@pytest.mark.parametrize(
    "body", [b" ", b"\x0b{}", "\u2003{}".encode(), b' {"c": "a", "value": 1} x', b" \xef\xbb\xbf{}"]
)
def test_other_white_space_is_no_json(body: bytes) -> None:
    assert outcome_of(builders.posted(body))[0] is Outcome.MALFORMED_BODY
