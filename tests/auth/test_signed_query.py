"""A query is signed by its last two parameters, ts and sig: any other query is refused with the reason."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.signature import (
    Secret,
    check_query,
    sign_query,
    without_signature,
)
from tests.support.signing import (
    LIVE,
    NOW,
    OLD,
    QUERY,
    SECRET,
    STRANGERS,
    over,
    reason,
    signed,
)


def changed(old: bytes, new: bytes, query: bytes = QUERY) -> bytes:
    """Sign a query, and change it afterwards."""
    whole = signed(query)
    assert whole.count(old) == 1
    return whole.replace(old, new)


def recoded(recode: Callable[[bytes], bytes]) -> bytes:
    """Sign the query, and write the signature in another way."""
    content, _, signature = signed().rpartition(b"&sig=")
    return content + b"&sig=" + recode(signature)


GOOD_QUERIES = {
    "signed": signed(),
    "with the older of two secrets": signed(secret=OLD),
    "300 s old": signed(at=NOW - 300),
    "300 s in the future": signed(at=NOW + 300),
    "nothing but a time": signed(b""),
    "ts first": over(b"ts=%d&c=6f1c2a&value=1.50" % NOW),
    "ts between": over(b"c=6f1c2a&ts=%d&value=1.50" % NOW),
    "a raw #": signed(b"c=a#b&value=1"),
    "no UTF-8": signed(b"c=%FF&value=1"),
    "separators twice": over(b"c=a&&value=1&ts=%d&" % NOW),
    "names that begin or end alike": over(b"c=a&sigma=1&tsx=2&xts=3&nsig=4&ts=%d" % NOW),
    "a dot in a later name": over(b"c=a&x.y=1&ts=%d" % NOW),
}


@pytest.mark.parametrize("query", GOOD_QUERIES.values(), ids=GOOD_QUERIES)
def test_a_signed_query_is_taken(query: bytes) -> None:
    check_query(query, LIVE, NOW)


NO_MATCH = "no secret matches sig"

NOT_LAST = "sig is not the last parameter"

NOT_HEX = "sig is not 64 lower-case hex digits"

NOT_SECONDS = "ts is not a Unix time in whole seconds"

BAD_QUERIES = {
    "empty": (b"", "not signed: the query has neither ts nor sig"),
    "not signed": (QUERY, "not signed: the query has neither ts nor sig"),
    "sig missing": (QUERY + b"&ts=%d" % NOW, "sig is missing"),
    "sig empty": (recoded(lambda _: b""), NOT_HEX),
    "sig without =": (over(QUERY + b"&ts=%d" % NOW).rpartition(b"=")[0], NOT_HEX),
    "sig alone": (over(b"").removeprefix(b"&"), "ts is missing"),
    "sig twice": (over(over(QUERY + b"&ts=%d" % NOW)), "sig is sent more than once"),
    "sig twice, the same": (changed(b"&sig=", b"&sig=0&sig="), "sig is sent more than once"),
    "sig not last": (signed() + b"&sub2=x", NOT_LAST),
    "sig not last, behind it only &": (signed() + b"&", NOT_LAST),
    "sig first": (b"sig=" + b"0" * 64 + b"&ts=%d&c=a" % NOW, NOT_LAST),
    "sig in capitals": (recoded(bytes.upper), NOT_HEX),
    "sig truncated": (recoded(lambda signature: signature[:-1]), NOT_HEX),
    "sig too long": (recoded(lambda signature: signature + b"0"), NOT_HEX),
    "sig in base64": (recoded(lambda signature: base64.b64encode(bytes.fromhex(signature.decode()))), NOT_HEX),
    "sig percent-encoded": (recoded(lambda signature: b"%%%02x" % signature[0] + signature[1:]), NOT_HEX),
    "sig with a space behind": (recoded(lambda signature: signature + b" "), NOT_HEX),
    "sig with a line break behind": (recoded(lambda signature: signature + b"\n"), NOT_HEX),
    "sig is unreplaced": (recoded(lambda _: b"{sig}"), NOT_HEX),
    "SIG": (changed(b"&sig=", b"&SIG="), "sig is missing"),
    "sig behind ;": (changed(b"&sig=", b";sig="), "sig is missing"),
    "sig behind &amp;": (changed(b"&sig=", b"&amp;sig="), "sig is missing"),
    "sig's last digit changed": (recoded(lambda sig: sig[:-1] + (b"1" if sig.endswith(b"0") else b"0")), NO_MATCH),
    "another sender's secret": (signed(secret=STRANGERS), NO_MATCH),
    "the secret's text as key": (signed(secret=Secret(SECRET.written().encode()[:64])), NO_MATCH),
    "value changed": (changed(b"value=1.50", b"value=9.50"), NO_MATCH),
    "a parameter more": (changed(b"c=", b"goal=sale&c="), NO_MATCH),
    "a parameter less": (changed(b"&sub=a%20b", b""), NO_MATCH),
    "another order": (changed(b"c=6f1c2a&value=1.50", b"value=1.50&c=6f1c2a"), NO_MATCH),
    "+ for %20": (changed(b"%20", b"+"), NO_MATCH),
    "percent-encoded anew": (changed(b"6f1c2a", b"%36f1c2a"), NO_MATCH),
    "percent-encoding in lower case": (changed(b"%2F", b"%2f", b"c=a%2Fb"), NO_MATCH),
    "percent-decoded": (changed(b"%7E", b"~", b"c=a%7Eb"), NO_MATCH),
    "a separator more": (changed(b"&ts=", b"&&ts="), NO_MATCH),
    "; for &": (changed(b"&value", b";value"), NO_MATCH),
    "ts changed": (changed(b"ts=%d" % NOW, b"ts=%d" % (NOW + 1)), NO_MATCH),
    "ts missing": (over(QUERY), "ts is missing"),
    "ts twice": (over(QUERY + b"&ts=%d&ts=%d" % (NOW, NOW)), "ts is sent more than once"),
    "ts behind ;": (over(QUERY + b";ts=%d" % NOW), "ts is missing"),
    "TS": (over(QUERY + b"&TS=%d" % NOW), "ts is missing"),
    "ts empty": (over(QUERY + b"&ts="), NOT_SECONDS),
    "ts without =": (over(QUERY + b"&ts"), NOT_SECONDS),
    "ts negative": (over(QUERY + b"&ts=-%d" % NOW), NOT_SECONDS),
    "ts with a sign": (over(QUERY + b"&ts=+%d" % NOW), NOT_SECONDS),
    "ts with a fraction": (over(QUERY + b"&ts=%d.0" % NOW), NOT_SECONDS),
    "ts with an exponent": (over(QUERY + b"&ts=1e9"), NOT_SECONDS),
    "ts with a zero in front": (over(QUERY + b"&ts=0%d" % NOW), NOT_SECONDS),
    "ts with an underscore": (over(QUERY + b"&ts=1_767_323_045"), NOT_SECONDS),
    "ts huge": (over(QUERY + b"&ts=" + b"9" * 5000), NOT_SECONDS),
    "ts in milliseconds": (over(QUERY + b"&ts=%d" % (NOW * 1000)), NOT_SECONDS + ": it seems to be in milliseconds"),
    "ts in Arabic digits": (over(QUERY + b"&ts=" + "١٧٦٧٣٢٣٠٤٥".encode()), NOT_SECONDS),
    "ts percent-encoded": (over(QUERY + b"&ts=%31767323045"), NOT_SECONDS),
    "ts as ISO 8601": (over(QUERY + b"&ts=2026-01-02T03:04:05Z"), NOT_SECONDS),
    "ts is unreplaced": (over(QUERY + b"&ts={timestamp}"), NOT_SECONDS),
    "ts with a space in front": (over(QUERY + b"&ts= %d" % NOW), NOT_SECONDS),
    "replayed later": (signed(at=NOW - 301), "expired: signed 301 s ago by ts, 300 s are allowed"),
    "replayed a day later": (signed(at=NOW - 86_400), "expired: signed 86400 s ago by ts, 300 s are allowed"),
    "ts 0": (over(QUERY + b"&ts=0"), NOT_SECONDS),
    "ts 1": (over(QUERY + b"&ts=1"), f"expired: signed {NOW - 1} s ago by ts, 300 s are allowed"),
    "from the future": (
        signed(at=NOW + 301),
        "signed 301 s in the future by ts: one of the two clocks is wrong",
    ),
    "a dot in the first name": (
        over(b"msg_1.c=a&ts=%d" % NOW),
        "the query does not begin with a name that has no dot in it, and =",
    ),
    "a first name without =": (
        over(b"msg_1.1&c=a&ts=%d" % NOW),
        "the query does not begin with a name that has no dot in it, and =",
    ),
    "a wrong signature that is also old": (signed(secret=STRANGERS, at=1), NO_MATCH),
}


@pytest.mark.parametrize(("query", "detail"), BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_any_other_query_is_refused_with_the_reason(query: bytes, detail: str) -> None:
    assert reason(query) == detail


def test_a_fraction_of_a_second_counts() -> None:
    check_query(signed(), LIVE, NOW + 300)
    assert reason(signed(), NOW + 300.5).startswith("expired: ")


UNSIGNED = {
    "signed": (signed(), QUERY),
    "nothing but the signature": (signed(b""), b""),
    "ts first": (b"ts=1&c=a&sig=2", b"c=a"),
    "empty parts, escapes and odd bytes stay": (b"&&c=%2f+%&;x=\xff&ts=1&sig=2", b"&&c=%2f+%&;x=\xff"),
    "names that are only alike": (b"tsx=1&sigs=2&TS=3&%74s=4&ts=1&sig=2", b"tsx=1&sigs=2&TS=3&%74s=4"),
    "without =": (b"c=a&ts&sig", b"c=a"),
    "not signed": (QUERY, QUERY),
    "empty": (b"", b""),
}


@pytest.mark.parametrize(("query", "rest"), UNSIGNED.values(), ids=UNSIGNED)
def test_the_signature_is_taken_out_of_a_query_and_nothing_else(query: bytes, rest: bytes) -> None:
    assert without_signature(query) == rest


@given(st.text("c=&+%;#\0é/", max_size=20).map(str.encode), st.integers(1, 9_999_999_999))
def test_every_query_that_can_be_signed_comes_back_to_the_byte(rest: bytes, at: int) -> None:
    query = b"c=" + rest
    whole = sign_query(query, SECRET, at)
    check_query(whole, [STRANGERS, SECRET], at)
    assert without_signature(whole) == query


@pytest.mark.parametrize("query", [b"c=a&ts=1", b"sig=1&c=a", b"c=a&sig", b"a.b=1", b"a.b&c=1", b"a.b"])
def test_a_query_that_would_be_refused_is_not_signed(query: bytes) -> None:
    with pytest.raises(ValueError, match="a query to be signed"):
        sign_query(query, SECRET, NOW)
