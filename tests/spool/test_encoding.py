"""What is written in the journal: every entry comes back as it was, and rows of released versions stay readable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outcome import Outcome
from service.core.postback import Postback, Rejection
from service.spool.encoding import VERSION, Kept, Unreadable, decode, encode, outcome_of
from tests.support import builders

VERSION_1 = (  # as released: a later version must go on reading it, or what waited during an upgrade is stuck
    '{"raw":{"door":"postback","method":"GET","path":"/postback","query":"c=click-1&value=1.50","content_type":"",'
    '"content_encoding":"","body":"","complete":true,"host":"127.0.0.1:8000","forwarded":false,'
    '"client_ip":"127.0.0.1","received_at":"2026-01-02T03:04:05.678901+00:00","request_id":"a1","trace_id":"b2"},'
    '"sender":"ezmob","is_test":false,"click_id":"click-1","goal":"","transaction_id":"","value":"1.50",'
    '"value_micros":1500000,"currency":null,"params":{"geo":["DE","FR"]}}'
)


def again(entry: Kept) -> Kept:
    """Return what comes back."""
    return decode(VERSION, outcome_of(entry), encode(entry))


@pytest.mark.parametrize(
    "entry",
    [
        builders.postback(),
        builders.postback("c=ü&value=-0.000001&currency=EUR&goal=g&txid=t&x=1&x=2&y=%E2%82%AC"),
        builders.postback("c=a&value=1&conversion_status=signup"),
        builders.postback("c=a&value=1&conversion_status=approved"),
        builders.rejection(),
        builders.rejection(Outcome.UNKNOWN_PATH, path="/postbak"),
        builders.rejection(Outcome.UNAUTHENTICATED, click_id=None),
        Rejection(builders.raw(), None, Outcome.UNAUTHENTICATED, "no such API key", "x", key_id="0123456789ab"),
        Rejection(builders.posted(bytes(range(256))), None, Outcome.MALFORMED_BODY, "'\udcff'", "x"),
        Rejection(builders.raw(b"c=\xff&value=1", path="/\udc80"), None, Outcome.INVALID_ENCODING, "no UTF-8", "x"),
    ],
)
def test_an_entry_comes_back_as_it_was(entry: Kept) -> None:
    assert again(entry) == entry
    assert type(again(entry)) is type(entry)


@given(st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=50))
def test_no_byte_and_no_character_changes(query: bytes, body: bytes, detail: str) -> None:
    entry = Rejection(builders.posted(body, query=query, host=query), "s", Outcome.INVALID_VALUE, detail, detail)
    assert again(entry) == entry


def test_a_person_can_read_it() -> None:
    members = json.loads(encode(builders.postback("c=click-7&value=2.50")))
    assert (members["click_id"], members["value"], members["raw"]["query"]) == (
        "click-7",
        "2.50",
        "c=click-7&value=2.50",
    )


def test_what_a_version_before_could_not_know_is_written_only_where_it_is() -> None:
    younger = {"conversion_status", "status_parameter"}
    assert younger.isdisjoint(json.loads(encode(builders.postback())))
    assert json.loads(encode(builders.postback("c=a&value=1&conversion_status=x")))["status_parameter"]


def test_a_postback_waits_as_spooled_and_a_rejection_under_its_own_word() -> None:
    assert outcome_of(builders.postback()) == "spooled"
    assert outcome_of(builders.rejection(Outcome.MISSING_VALUE)) == "missing_value"


def test_a_row_of_the_first_version_is_read_for_ever() -> None:
    entry = decode(1, "spooled", VERSION_1)
    assert isinstance(entry, Postback)
    assert entry == builders.postback(request_id="a1", trace_id="b2")._replace(params={"geo": ["DE", "FR"]})


@pytest.mark.parametrize(
    ("version", "outcome", "text"),
    [
        (2, "spooled", VERSION_1),
        (1, "lost", VERSION_1),
        (1, "spooled", "{}"),
        (1, "spooled", "[]"),
        (1, "spooled", "no JSON"),
        (1, "spooled", VERSION_1.replace('"click_id"', '"click"')),
        (1, "spooled", VERSION_1.replace("2026-01-02", "yesterday")),
        (1, "spooled", VERSION_1.replace('"query":"c', '"query":"\u20ac')),
    ],
)
def test_a_row_of_another_version_or_changed_by_hand_is_unreadable(version: int, outcome: str, text: str) -> None:
    with pytest.raises(Unreadable):
        decode(version, outcome, text)
