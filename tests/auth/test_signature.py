"""Signed postbacks: what is good, and of all that is not, each thing by its reason and without a secret in it."""

import base64
import hmac
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth.signature import (
    Secret,
    SignedRequest,
    check,
    check_query,
    check_webhook,
    new_secret,
    sign_query,
    sign_webhook,
    without_signature,
)
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.sender import EZMOB
from tests.support import builders

NOW = 1_767_323_045
SECRET, OLD, STRANGERS = Secret(b"s" * 32), Secret(b"o" * 24), Secret(b"x" * 64)
LIVE = [OLD, SECRET]
QUERY = b"c=6f1c2a&value=1.50&sub=a%20b"
BODY = b'{"c":"6f1c2a","value":"1.50"}'

# The example values of Standard Webhooks' own libraries.
PUBLISHED = Secret.read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
PUBLISHED_AT = 1_614_265_330
PUBLISHED_BODY = b'{"test": 2432232314}'
PUBLISHED_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(PUBLISHED_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def signed(query: bytes = QUERY, secret: Secret = SECRET, at: float = NOW) -> bytes:
    return sign_query(query, secret, at)


def over(content: bytes, secret: Secret = SECRET) -> bytes:
    """Sign whatever stands before &sig=, also what `sign_query` would not."""
    return content + b"&sig=" + hmac.digest(secret.key, content, "sha256").hex().encode()


def changed(old: bytes, new: bytes, query: bytes = QUERY) -> bytes:
    """Sign a query, and change it afterwards."""
    whole = signed(query)
    assert whole.count(old) == 1
    return whole.replace(old, new)


def recoded(recode: Callable[[bytes], bytes]) -> bytes:
    """Sign the query, and write the signature in another way."""
    content, _, signature = signed().rpartition(b"&sig=")
    return content + b"&sig=" + recode(signature)


def reason(query: bytes, now: float = NOW) -> str:
    """Return why a query is refused."""
    with pytest.raises(Rejected) as rejected:
        check_query(query, LIVE, now)
    return detail_of(rejected.value)


def detail_of(rejected: Rejected) -> str:
    """Return the reason, which must carry neither secret nor signature."""
    assert rejected.outcome is Outcome.UNAUTHENTICATED
    assert not re.search(r"[0-9A-Fa-f]{16}|whsec_|[0-9A-Za-z+/]{40}", rejected.detail)
    return rejected.detail


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


def webhook(**changes: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers for BODY, with changes by name (an underscore is a hyphen); None leaves one out."""
    headers = {**sign_webhook("msg_1", BODY, SECRET, NOW)}
    for name, value in changes.items():
        headers["webhook-" + name] = "" if value is None else value
    kept = {
        name: value for name, value in headers.items() if changes.get(name.removeprefix("webhook-"), "") is not None
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in kept.items()]


def v1(secret: Secret = SECRET, body: bytes = BODY, at: int = NOW, message_id: str = "msg_1") -> str:
    """Return one entry of webhook-signature."""
    content = f"{message_id}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.key, content, "sha256")).decode()


V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
ID_300 = "i" * 256
GOOD_WEBHOOKS = {
    "signed": webhook(),
    "with the older of two secrets": webhook(signature=v1(OLD)),
    "the second of two signatures": webhook(signature=f"{v1(STRANGERS)} {v1()}"),
    "beside a v1a": webhook(signature=f"{V1A} {v1()}"),
    "beside versions that nobody knows": webhook(signature=f"v2,abc {v1()} v99,def"),
    "with two spaces between": webhook(signature=f"{v1(STRANGERS)}  {v1()} "),
    "the last of sixteen": webhook(signature=" ".join([v1(STRANGERS)] * 15 + [v1()])),
    "300 s old": webhook(timestamp=str(NOW - 300), signature=v1(at=NOW - 300)),
    "300 s in the future": webhook(timestamp=str(NOW + 300), signature=v1(at=NOW + 300)),
    "the longest id": webhook(id=ID_300, signature=v1(message_id=ID_300)),
    "a UUID as id": webhook(
        id="e7a1f0c2-5b1d-4b7e-9a55-0a1b2c3d4e5f", signature=v1(message_id="e7a1f0c2-5b1d-4b7e-9a55-0a1b2c3d4e5f")
    ),
    "among other headers": [(b"host", b"a"), *webhook(), (b"webhook-topic", b"b")],
}


@pytest.mark.parametrize("headers", GOOD_WEBHOOKS.values(), ids=GOOD_WEBHOOKS)
def test_a_signed_webhook_is_taken(headers: list[tuple[bytes, bytes]]) -> None:
    check_webhook(headers, BODY, LIVE, NOW)


NO_SECRET = "no secret matches webhook-signature"
NO_V1 = "webhook-signature holds 0 signatures of version v1, not 1 to 16"
NO_ID = "webhook-id is not 1 to 256 visible ASCII characters without . and ="
NO_TIME = "webhook-timestamp is not a Unix time in whole seconds"
BAD_WEBHOOKS = {
    "not signed": ([], BODY, "not signed: there is no webhook-signature"),
    "only other headers": ([(b"host", b"a")], BODY, "not signed: there is no webhook-signature"),
    "no id": (webhook(id=None), BODY, "webhook-id is missing"),
    "no time": (webhook(timestamp=None), BODY, "webhook-timestamp is missing"),
    "no signature": (webhook(signature=None), BODY, "webhook-signature is missing"),
    "id twice": ([*webhook(), (b"webhook-id", b"msg_1")], BODY, "webhook-id is sent more than once"),
    "time twice": ([*webhook(), webhook()[1]], BODY, "webhook-timestamp is sent more than once"),
    "signature twice": ([*webhook(), webhook()[2]], BODY, "webhook-signature is sent more than once"),
    "id empty": (webhook(id=""), BODY, NO_ID),
    "id with a dot": (webhook(id="a.b", signature=v1(message_id="a.b")), BODY, NO_ID),
    "id with =": (webhook(id="a=b", signature=v1(message_id="a=b")), BODY, NO_ID),
    "id with a space": (webhook(id="a b", signature=v1(message_id="a b")), BODY, NO_ID),
    "id not ASCII": (webhook(id="\xe9"), BODY, NO_ID),
    "id too long": (webhook(id="i" * 257), BODY, NO_ID),
    "id changed": (webhook(id="msg_2"), BODY, NO_SECRET),
    "signature empty": (webhook(signature=""), BODY, NO_V1),
    "only v1a": (webhook(signature=V1A), BODY, NO_V1),
    "only unknown versions": (webhook(signature=v1().replace("v1", "v2")), BODY, NO_V1),
    "version in capitals": (webhook(signature=v1().replace("v1", "V1")), BODY, NO_V1),
    "no version": (webhook(signature=v1().removeprefix("v1,")), BODY, NO_V1),
    "= behind the version": (webhook(signature=v1().replace("v1,", "v1=")), BODY, NO_V1),
    "a space behind the version": (webhook(signature=v1().replace("v1,", "v1, ")), BODY, NO_SECRET),
    "signatures with a comma between": (webhook(signature=f"{v1(STRANGERS)},{v1()}"), BODY, NO_SECRET),
    "signatures with a tab between": (webhook(signature=f"{v1(STRANGERS)}\t{v1()}"), BODY, NO_SECRET),
    "too many signatures": (
        webhook(signature=" ".join([v1()] * 17)),
        BODY,
        "webhook-signature holds 17 signatures of version v1, not 1 to 16",
    ),
    "truncated": (webhook(signature=v1()[:-4]), BODY, NO_SECRET),
    "no padding": (webhook(signature=v1().rstrip("=")), BODY, NO_SECRET),
    "URL-safe base64": (
        webhook(id="msg_2", signature=v1(message_id="msg_2").replace("+", "-").replace("/", "_")),
        BODY,
        NO_SECRET,
    ),
    "hex": (
        webhook(signature="v1," + base64.b64decode(v1().removeprefix("v1,")).hex()),
        BODY,
        NO_SECRET,
    ),
    "the same bytes in other base64": (webhook(signature=v1()[:-2] + chr(ord(v1()[-2]) + 1) + "="), BODY, NO_SECRET),
    "another sender's secret": (webhook(signature=v1(STRANGERS)), BODY, NO_SECRET),
    "body changed": (webhook(), BODY.replace(b"1.50", b"9.50"), NO_SECRET),
    "body with a space more": (webhook(), BODY.replace(b":", b": "), NO_SECRET),
    "body with a line break behind": (webhook(), BODY + b"\n", NO_SECRET),
    "body missing": (webhook(), b"", NO_SECRET),
    "time changed": (webhook(timestamp=str(NOW + 1)), BODY, NO_SECRET),
    "time with a zero in front": (webhook(timestamp=f"0{NOW}", signature=""), BODY, NO_V1),
    "replayed later": (
        webhook(timestamp=str(NOW - 301), signature=v1(at=NOW - 301)),
        BODY,
        "expired: signed 301 s ago by webhook-timestamp, 300 s are allowed",
    ),
    "from the future": (
        webhook(timestamp=str(NOW + 301), signature=v1(at=NOW + 301)),
        BODY,
        "signed 301 s in the future by webhook-timestamp: one of the two clocks is wrong",
    ),
    "time negative": (webhook(timestamp="-1", signature=v1(at=-1)), BODY, NO_TIME),
    "time in milliseconds": (
        webhook(timestamp=str(NOW * 1000), signature=v1(at=NOW * 1000)),
        BODY,
        NO_TIME + ": it seems to be in milliseconds",
    ),
    "time huge": (webhook(timestamp=str(10**40), signature=v1(at=10**40)), BODY, NO_TIME),
}


@pytest.mark.parametrize(("headers", "body", "detail"), BAD_WEBHOOKS.values(), ids=BAD_WEBHOOKS)
def test_any_other_webhook_is_refused_with_the_reason(
    headers: list[tuple[bytes, bytes]], body: bytes, detail: str
) -> None:
    with pytest.raises(Rejected) as rejected:
        check_webhook(headers, body, LIVE, NOW)
    assert detail_of(rejected.value) == detail


def test_the_tables_are_about_what_they_say() -> None:
    assert re.search("[+/]", v1(message_id="msg_2"))
    assert base64.b64decode(v1()[3:]) == base64.b64decode(BAD_WEBHOOKS["the same bytes in other base64"][0][2][1][3:])


def test_standard_webhooks_own_example_is_taken_and_made_the_same() -> None:
    assert (
        sign_webhook("msg_p5jXN8AQM9LWM0D4loKWxJek", PUBLISHED_BODY, PUBLISHED, PUBLISHED_AT + 0.9) == PUBLISHED_HEADERS
    )
    headers = [(name.encode(), value.encode()) for name, value in PUBLISHED_HEADERS.items()]
    check_webhook(headers, PUBLISHED_BODY, [PUBLISHED], PUBLISHED_AT + 300)


TYPE = "application/json"
GOOD_REQUESTS = {
    "a query": SignedRequest(signed(), "", [], b""),
    "a query, among other headers": SignedRequest(signed(), "text/plain", [(b"host", b"a")], b""),
    "a body": SignedRequest(b"", TYPE, webhook(), BODY),
    "a body with a charset": SignedRequest(b"", "Application/JSON ; charset=utf-8", webhook(), BODY),
    "a batch": SignedRequest(b"", "application/x-ndjson", webhook(), BODY),
}
ALONE = "the query beside the signed body is not signed with it: send everything in the body"
READ_AS = "what a body is read as is not signed, so a signed one is JSON or NDJSON"
BAD_REQUESTS = {
    "nothing": (SignedRequest(b"", "", [], b""), "not signed: the query has neither ts nor sig"),
    "a query": (SignedRequest(QUERY, "", [], b""), "not signed: the query has neither ts nor sig"),
    "a body": (SignedRequest(b"", TYPE, [], BODY), "not signed: there is no webhook-signature"),
    "a body beside a signed query": (
        SignedRequest(signed(), TYPE, [], BODY),
        "not signed: there is no webhook-signature",
    ),
    "a query beside a signed body": (SignedRequest(QUERY, TYPE, webhook(), BODY), ALONE),
    "a signed query beside a signed body, perhaps another's": (SignedRequest(signed(), TYPE, webhook(), BODY), ALONE),
    "a query beside a signed body that is empty": (
        SignedRequest(QUERY, TYPE, webhook(signature=v1(body=b"")), b""),
        ALONE,
    ),
    "a signed query beside a bad webhook": (SignedRequest(signed(), "", webhook(id="msg_2"), b""), NO_SECRET),
    "a form": (SignedRequest(b"", "application/x-www-form-urlencoded", webhook(), BODY), READ_AS),
    "CSV": (SignedRequest(b"", "text/csv", webhook(), BODY), READ_AS),
    "no type": (SignedRequest(b"", "", webhook(), BODY), READ_AS),
    "two types": (SignedRequest(b"", "text/csv, application/json", webhook(), BODY), READ_AS),
}


@pytest.mark.parametrize("sent", GOOD_REQUESTS.values(), ids=GOOD_REQUESTS)
def test_a_request_is_taken_when_all_of_it_is_signed_together(sent: SignedRequest) -> None:
    check(sent, LIVE, NOW)


@pytest.mark.parametrize(("sent", "detail"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_request_of_which_a_part_is_not_signed_with_the_rest_is_refused(sent: SignedRequest, detail: str) -> None:
    with pytest.raises(Rejected) as rejected:
        check(sent, LIVE, NOW)
    assert detail_of(rejected.value) == detail


def test_a_signed_body_would_say_something_else_to_another_reader() -> None:
    """Why its type must be JSON: a parameter that a stranger chose, inside the JSON of an honest sender."""
    body = b'{"c":"6f1c2a","value":"1.50","sub":"&c=strangers&value=99&"}'
    assert parse(builders.posted(body), EZMOB).click_id == "6f1c2a"
    as_form = "application/x-www-form-urlencoded"
    assert parse(builders.posted(body, as_form), EZMOB).click_id == "strangers"
    headers = [(name.encode(), value.encode()) for name, value in sign_webhook("msg_1", body, SECRET, NOW).items()]
    check(SignedRequest(b"", TYPE, headers, body), LIVE, NOW)
    with pytest.raises(Rejected, match="JSON"):
        check(SignedRequest(b"", as_form, headers, body), LIVE, NOW)


def test_without_a_live_secret_nothing_is_good() -> None:
    for sent in (GOOD_REQUESTS["a query"], GOOD_REQUESTS["a body"]):
        with pytest.raises(Rejected, match="no secret matches"):
            check(sent, [], NOW)


@given(st.binary(max_size=20), st.binary(max_size=40), st.sampled_from([b"=", b".", b"&", b""]))
def test_what_a_webhook_signs_is_never_a_signed_query_nor_the_other_way(head: bytes, tail: bytes, joint: bytes) -> None:
    content = head + joint + b"%d" % NOW + b"." + tail + b"&ts=%d" % NOW
    mac = hmac.digest(SECRET.key, content, "sha256")
    message_id, _, rest = content.partition(b".")
    timestamp, _, body = rest.partition(b".")
    signature = b"v1," + base64.b64encode(mac)
    headers = [(b"webhook-id", message_id), (b"webhook-timestamp", timestamp), (b"webhook-signature", signature)]
    as_query = accepts(lambda: check_query(content + b"&sig=" + mac.hex().encode(), LIVE, NOW))
    as_webhook = accepts(lambda: check_webhook(headers, body, LIVE, NOW))
    assert not (as_query and as_webhook)


def accepts(checking: Callable[[], None]) -> bool:
    """Tell whether a check lets something pass."""
    try:
        checking()
    except Rejected:
        return False
    return True


def test_one_content_that_could_be_either_is_neither() -> None:
    """Without its two rules each would take the other's signature: this is a query and a webhook at once."""
    content = b"msg_1.%d.c=a&value=1&ts=%d" % (NOW, NOW)
    assert reason(over(content)) == "the query does not begin with a name that has no dot in it, and ="
    check_webhook(
        [
            (b"webhook-id", b"msg_1"),
            (b"webhook-timestamp", b"%d" % NOW),
            (b"webhook-signature", v1(body=b"c=a&value=1&ts=%d" % NOW).encode()),
        ],
        b"c=a&value=1&ts=%d" % NOW,
        LIVE,
        NOW,
    )


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


@pytest.mark.parametrize("message_id", ["", "a.b", "a=b", "a b", "é", "i" * 257, "a\n"])
def test_a_message_whose_id_would_be_refused_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="a message's id"):
        sign_webhook(message_id, BODY, SECRET, NOW)


def test_a_new_secret_has_256_bits_and_is_read_as_it_is_written() -> None:
    made = [new_secret() for _ in range(100)]
    assert {len(secret.key) for secret in made} == {32}
    assert len(set(made)) == 100
    assert [Secret.read(secret.written()) for secret in made] == made
    assert all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret.written()) for secret in made)


BAD_SECRETS = {
    "empty": "",
    "no prefix": base64.b64encode(bytes(32)).decode(),
    "a public key": "whpk_" + base64.b64encode(bytes(32)).decode(),
    "the prefix alone": "whsec_",
    "no base64": "whsec_" + "*" * 44,
    "no padding": "whsec_" + base64.b64encode(bytes(32)).decode().rstrip("="),
    "a space in front": " whsec_" + base64.b64encode(bytes(32)).decode(),
    "a line break behind": "whsec_" + base64.b64encode(bytes(32)).decode() + "\n",
    "not ASCII": "whsec_é" + base64.b64encode(bytes(32)).decode(),
    "23 bytes": "whsec_" + base64.b64encode(bytes(23)).decode(),
    "65 bytes": "whsec_" + base64.b64encode(bytes(65)).decode(),
}


@pytest.mark.parametrize("text", BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="signing secret") as error:
        Secret.read(text)
    assert not text.removeprefix("whsec_") or text not in str(error.value)


def test_a_secret_does_not_show_when_it_is_printed() -> None:
    assert {f"{SECRET}", repr(SECRET), f"{[SECRET]}"} == {"Secret()", "[Secret()]"}
