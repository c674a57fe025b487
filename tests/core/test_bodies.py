"""Bodies: one is read as what it unmistakably is, whatever is said of it, and it harms no query that is complete."""

from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.bodies import CSV, FORM, JSON, NDJSON, content_type_of
from service.core.oddities import diagnose_accepted
from service.core.outcome import Mistake, Outcome, Rejected
from service.core.parameters import claimed
from service.core.parsing import parse
from service.core.postback import Postback, RawPostback
from service.core.presets import EZMOB, PRESETS
from tests.support import builders

OBJECT, PAIRS = b'{"c":"a","value":1.50,"x":"\xc3\xa9"}', b"c=a&value=1.50&x=%C3%A9"
ASCII_OBJECT, ASCII_PAIRS = b'{"c":"a","value":1.50,"x":"\\u00e9"}', b"c=a&value=1.50&x=%C3%A9"


def multipart(fields: Mapping[str, str], boundary: str = "xYz") -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = "".join(f'{head}"{name}"\r\n\r\n{text}\r\n' for name, text in fields.items())
    return f"{parts}--{boundary}--\r\n".encode()


FIELDS = {"c": "a", "value": "1.50", "x": "é"}
PARTS = multipart(FIELDS)


def rejected(raw: RawPostback) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse(raw, EZMOB)
    return caught.value


def fields_of(postback: Postback) -> tuple[str, str, object]:
    return postback.click_id, postback.value, postback.params


@pytest.mark.parametrize(
    ("said", "body"),
    [
        *((said, OBJECT) for said in (JSON, "application/json; charset=utf-8;", "application/json;charset=UTF-8")),
        *((said, OBJECT) for said in ('application/json; charset="UTF-8"', "APPLICATION/JSON", "application/json ;")),
        *((said, OBJECT) for said in ("application/json; charset=utf8", "application/json; version=1; charset=utf-8")),
        *((said, OBJECT) for said in ("application/json;", "application/json; charset", "application/json; a=b; ;")),
        *((said, OBJECT) for said in ("text/json", "application/x-json", "application/ld+json")),
        *((said, OBJECT) for said in ("application/vnd.acme.v1+json; charset=utf-8", NDJSON, "application/jsonl")),
        *((said, OBJECT) for said in ("", "text/plain", "text/plain;charset=UTF-8", "application/octet-stream", "*/*")),
        *((said, OBJECT) for said in (FORM, f"{FORM}; charset=utf-8", "json", "application/json, application/json")),
        *((said, PAIRS) for said in (FORM, f"{FORM};charset=UTF-8;", FORM.upper(), f'{FORM}; charset="utf-8"')),
        *((said, PAIRS) for said in ("", "text/plain", "text/plain;charset=UTF-8", "application/octet-stream", "form")),
        *((said, PAIRS) for said in (JSON, "text/json", "application/json; charset=utf-8")),
        *((said, b"\xef\xbb\xbf \r\n" + OBJECT + b"\n") for said in (JSON, "", "text/plain", FORM)),
        *((said, b"\r\n " + PAIRS + b"\r\n") for said in (JSON, "", "text/plain", FORM)),
        *(
            (f"{JSON}; charset={name}", ASCII_OBJECT)
            for name in ("iso-8859-1", "ISO-8859-1", "windows-1252", "us-ascii")
        ),
        *((f"{FORM}; charset={name}", ASCII_PAIRS) for name in ("iso-8859-1", "Windows-1251", "latin1", "ascii")),
        *((f"multipart/form-data; boundary={name}", PARTS) for name in ("xYz", '"xYz"', "xYz; charset=utf-8")),
        ("Multipart/Form-Data; boundary=xYz", PARTS),
        ("multipart/form-data; boundary=xYz", b"preamble\r\n" + PARTS + b"epilogue"),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b"\r\n--xYz\r\n", b"\r\n--xYz \t\r\n")),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n")),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b"Content-Disposition", b"content-disposition")),
        *((said, PARTS) for said in ("", "text/plain", "text/plain; charset=utf-8", "application/octet-stream")),
        *((said, PARTS) for said in ("multipart/form-data", FORM, JSON)),
        *((said, b"\xef\xbb\xbf\r\n" + PARTS) for said in ("", "multipart/form-data")),
        *((said, b"?" + PAIRS) for said in (FORM, "", "text/plain", JSON)),
        *((FORM, joint + PAIRS + joint) for joint in (b"&", b"?&", b"&&")),
    ],
)
def test_a_body_is_read_as_what_it_is(said: str, body: bytes) -> None:
    assert fields_of(parse(builders.posted(body, said), EZMOB)) == ("a", "1.50", {"x": "é"})


@pytest.mark.parametrize(
    ("said", "body", "outcome", "detail"),
    [
        *((said, b"hello", Outcome.UNSUPPORTED_MEDIA_TYPE, "neither JSON nor a form") for said in ("", "text/plain")),
        ("", b"<xml/>", Outcome.UNSUPPORTED_MEDIA_TYPE, "neither JSON nor a form"),
        ("", b"[1]", Outcome.MALFORMED_BODY, "not an object"),
        ("", b'{"c":', Outcome.MALFORMED_BODY, "not JSON"),
        ("application/xml", OBJECT, Outcome.UNSUPPORTED_MEDIA_TYPE, "'application/xml'"),
        ("text/csv", b"c,value\na,1", Outcome.UNSUPPORTED_MEDIA_TYPE, "'text/csv'"),
        (NDJSON, OBJECT + b"\n" + OBJECT, Outcome.MALFORMED_BODY, "Extra data"),
        *(
            (f"{JSON}; charset={name}", ASCII_OBJECT, Outcome.UNSUPPORTED_MEDIA_TYPE, f"'{name}': send UTF-8")
            for name in ("utf-16", "utf-7", "cp037", "hex", "nonsense")
        ),
        (f"{JSON}; charset=iso-8859-1", OBJECT, Outcome.UNSUPPORTED_MEDIA_TYPE, "'iso-8859-1': send UTF-8"),
        (f"{FORM}; charset=windows-1252", b"c=%E9&value=1", Outcome.INVALID_ENCODING, "c is not UTF-8"),
        ("multipart/form-data", b"x", Outcome.MALFORMED_BODY, "no boundary"),
        ("multipart/form-data; boundary=other", PARTS, Outcome.MALFORMED_BODY, "no end"),
        ("multipart/form-data; boundary=xYz", PARTS[:-4], Outcome.MALFORMED_BODY, "no end"),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b"\na\r", b"\n\xff\r"), Outcome.INVALID_ENCODING, "part 1"),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b"1.50", b"1\0"), Outcome.INVALID_ENCODING, "part 2"),
        (
            "multipart/form-data; boundary=xYz",
            PARTS.replace(b'name="x"', b'name="x"; filename="x.txt"'),
            Outcome.MALFORMED_BODY,
            "part 3 of the multipart form is a file",
        ),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b'; name="x"', b""), Outcome.MALFORMED_BODY, "part 3"),
        (
            "multipart/form-data; boundary=xYz",
            PARTS.replace(b"form-data", b"attachment"),
            Outcome.MALFORMED_BODY,
            "part 1",
        ),
        ("multipart/form-data; boundary=xYz", PARTS.replace(b"\r\n\r\n", b"\r\n"), Outcome.MALFORMED_BODY, "no head"),
        (
            "multipart/form-data; boundary=xYz",
            multipart({f"x{number}": "" for number in range(257)}),
            Outcome.TOO_MANY_PARAMETERS,
            "257 parameters",
        ),
    ],
)
def test_a_body_that_is_nothing_we_know_is_rejected_with_the_reason(
    said: str, body: bytes, outcome: Outcome, detail: str
) -> None:
    refused = rejected(builders.posted(body, said))
    assert refused.outcome is outcome
    assert detail in refused.detail


UNREADABLE = [
    ("application/xml", b"<x/>"),
    ("", b"hello"),
    ("text/plain", b"hello"),
    (JSON, b"{"),
    (JSON, b"[]"),
    (JSON, b'{"c":"\xff"'),
    (f"{JSON}; charset=utf-16", b"{}"),
    ("multipart/form-data", b"x"),
]


@pytest.mark.parametrize(("said", "body"), UNREADABLE)
def test_a_body_that_cannot_be_read_does_no_harm_to_a_whole_query(said: str, body: bytes) -> None:
    postback = parse(builders.posted(body, said, query=b"c=a&value=1.50&x=%C3%A9"), EZMOB)
    assert fields_of(postback) == ("a", "1.50", {"x": "é"})
    found = diagnose_accepted(postback, EZMOB)
    assert found is not None
    assert found.mistake is Mistake.UNREAD_BODY


@pytest.mark.parametrize(("said", "body"), UNREADABLE)
@pytest.mark.parametrize("query", [b"", b"c=a", b"value=1", b"c=&value=1", b"c=a&value="])
def test_where_the_query_lacks_something_the_body_might_have_held_it(said: str, body: bytes, query: bytes) -> None:
    outcomes = {Outcome.MALFORMED_BODY, Outcome.UNSUPPORTED_MEDIA_TYPE, Outcome.INVALID_ENCODING}
    assert rejected(builders.posted(body, said, query=query)).outcome in outcomes


def test_a_value_that_need_not_be_sent_may_have_been_in_the_body() -> None:
    sent = builders.posted(b"<payout>7</payout>", "application/xml", query=b"subid=k1")
    with pytest.raises(Rejected) as caught:
        parse(sent, PRESETS["keitaro"])
    assert caught.value.outcome is Outcome.UNSUPPORTED_MEDIA_TYPE


def test_a_body_that_is_read_is_no_mistake() -> None:
    postback = parse(builders.posted(b"x=1", FORM, query=b"c=a&value=1"), EZMOB)
    assert diagnose_accepted(postback, EZMOB) is None


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('{"a":1}', '{"a":1}'),
        ('{ "a" : [ 1.50, 1e2, "1", true, null, {} ] }', '{"a":[1.50,1e2,"1",true,null,{}]}'),
        ('{"b":1,"a":2,"b":3}', '{"b":1,"a":2,"b":3}'),
        ('["é","\\u00e9","\\"",""]', '["é","é","\\"",""]'),
        ("[]", "[]"),
        ("{}", "{}"),
        ("true", "true"),
        ("false", "false"),
        ("12345678901234567890", "12345678901234567890"),
        ('"{\\"a\\":1}"', '{"a":1}'),
    ],
)
def test_what_is_nested_in_json_is_kept_as_json(sent: str, text: str) -> None:
    postback = parse(builders.posted(f'{{"c":"a","value":1.50,"custom":{sent},"n":2}}'.encode()), EZMOB)
    assert fields_of(postback) == ("a", "1.50", {"custom": text, "n": "2"})


def test_json_that_is_nested_too_deep_is_malformed() -> None:
    body = b'{"c":"a","value":1,"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    assert rejected(builders.posted(body)).outcome is Outcome.MALFORMED_BODY


@pytest.mark.parametrize("member", ["true", "false", "[]", '["a"]', "{}", '{"id":"a"}', '[{"id":1}]'])
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("c", Outcome.INVALID_CLICK_ID),
        ("value", Outcome.INVALID_VALUE),
        ("currency", Outcome.INVALID_CURRENCY),
        ("goal", Outcome.MALFORMED_BODY),
        ("transaction_id", Outcome.MALFORMED_BODY),
        ("conversion_status", Outcome.INVALID_STATUS),
    ],
)
def test_a_known_field_is_text_or_a_number(name: str, outcome: Outcome, member: str) -> None:
    members = {"c": '"a"', "value": "1", name: member}
    body = ",".join(f'"{name}":{text}' for name, text in members.items())
    refused = rejected(builders.posted(f"{{{body}}}".encode()))
    assert (refused.outcome, "neither text nor a number" in refused.detail) == (outcome, True)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (b"c=a&value=1.5", b'{"value":1.50}'),
        (b"c=a&value=1.5", b'{"c":"a","value":"1.500000"}'),
        (b"c=a&value=1.5&currency=USD", b'{"currency":"USD"}'),
        (b"c=a&c=a&value=1.5", b"{}"),
        (b"c=a&value=1.5&value=1.50", b"{}"),
        (b"c=a&value=1.5&txid=7", b'{"transaction_id":7,"txid":"7"}'),
        (b"c=a&value=1.5&goal=lead", b'{"goal":"lead"}'),
        (b"c=a&value=1.5&conversion_status=approved", b'{"conversion_status":"APPROVED"}'),
        (b"", b'{"c":"a","value":1.5,"c":"a","value":1.50}'),
    ],
)
def test_a_field_that_was_sent_again_with_one_meaning_is_no_mistake(query: bytes, body: bytes) -> None:
    postback = parse(builders.posted(body, query=query), EZMOB)
    assert (postback.click_id, postback.value, postback.value_micros) == ("a", "1.5", 1_500_000)


@pytest.mark.parametrize(
    "query",
    [
        "c=a&c=A&value=1",
        "c=a&value=1&value=2",
        "c=a&value=1&value=x",
        "c=a&value=x&value=y",
        "c=a&value=1&currency=USD&currency=EUR",
        "c=a&value=1&goal=x&goal=X",
        "c=a&value=1&txid=1&txid=01",
        "c=a&value=1&conversion_status=approved&conversion_status=rejected",
    ],
)
def test_a_field_that_was_sent_again_with_another_meaning_is_not_guessed(query: str) -> None:
    assert rejected(builders.raw(query)).outcome is Outcome.REPEATED_PARAMETER


def test_up_to_256_parameters_are_kept() -> None:
    postback = parse(builders.raw("c=a&value=1" + "".join(f"&x{number}=1" for number in range(254))), EZMOB)
    assert len(postback.params) == 254


@pytest.mark.parametrize("label", ["a\nb", "a\r\nb", "a\tb", "a\x1b[0m", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb"])
@pytest.mark.parametrize("name", ["goal", "txid"])
def test_a_label_with_a_line_end_or_a_control_character_is_refused(name: str, label: str) -> None:
    members = {"c": "a", "value": "1", name: label}
    refused = rejected(builders.posted(multipart(members), "multipart/form-data; boundary=xYz"))
    assert refused.outcome is Outcome.INVALID_ENCODING
    kept = parse(
        builders.posted(multipart({**members, name: "b", "x": label}), "multipart/form-data; boundary=xYz"), EZMOB
    )
    assert kept.params == {"x": label}


@pytest.mark.parametrize("goal", ["first sale", "Покупка", "👩\u200d👩\u200d👧", "a\u00a0b", "日本"])
def test_a_goal_may_be_written_in_any_language(goal: str) -> None:
    assert parse(builders.posted(b'{"c":"a","value":1,"goal":"%b"}' % goal.encode()), EZMOB).goal == goal


@given(st.text(max_size=300))
def test_no_content_type_breaks_the_reading(said: str) -> None:
    sent = said.encode("latin-1", "replace").decode("latin-1")
    assert content_type_of(sent).media_type is not None
    for body in (OBJECT, PAIRS, PARTS):
        with suppress(Rejected):
            parse(builders.posted(body, sent), EZMOB)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\r\n", b"\r\n\r\n", b"--xYz", b"--", b'Content-Disposition: form-data; name="c"']),
)
def test_no_multipart_body_breaks_the_reading(body: bytes, joint: bytes) -> None:
    sent = joint.join(body[at : at + 20] for at in range(0, len(body), 20))
    with suppress(Rejected):
        parse(builders.posted(sent, "multipart/form-data; boundary=xYz"), EZMOB)


def test_the_types_of_batches_are_known_by_their_other_names() -> None:
    for said in ("application/csv", "text/csv; charset=utf-8; header=present", "TEXT/CSV"):
        assert content_type_of(said).media_type == CSV


@pytest.mark.parametrize("body", [b"{", b'{"a":1,}', b"\xff"])
def test_what_a_query_claims_is_read_although_the_body_is_not(body: bytes) -> None:
    assert claimed(builders.posted(body, query=b"c=a%2Bb&value=1")) == [("c", "a+b"), ("value", "1")]
