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
    sign_webhook,
)
from service.core.outcome import Rejected
from service.core.parsing import parse
from service.core.presets import EZMOB
from tests.support import builders
from tests.support.signing import (
    BODY,
    LIVE,
    NOW,
    QUERY,
    SECRET,
    detail_of,
    over,
    reason,
    signed,
    v1,
    webhook,
)

TYPE = "application/json"

GOOD_REQUESTS = {
    "a query": SignedRequest(signed(), "", [], b""),
    "a query, among other headers": SignedRequest(signed(), "text/plain", [(b"host", b"a")], b""),
    "a body": SignedRequest(b"", TYPE, webhook(), BODY),
    "a body with a charset": SignedRequest(b"", "Application/JSON ; charset=utf-8", webhook(), BODY),
    "a batch": SignedRequest(b"", "application/x-ndjson", webhook(), BODY),
}

NO_SECRET = "no secret matches webhook-signature"
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


@pytest.mark.parametrize("other", ["application/x-www-form-urlencoded", "text/csv", "multipart/form-data; boundary=x"])
def test_a_signed_body_could_say_something_else_under_another_type(other: str) -> None:
    """Why its type must be JSON: a parameter that a stranger chose, inside the body of an honest sender."""
    body = b'{"c":"6f1c2a","value":"1.50","sub":"&c=strangers&value=99&"}'
    for content_type in (TYPE, "application/x-www-form-urlencoded"):
        assert parse(builders.posted(body, content_type), EZMOB).click_id == "6f1c2a"
    headers = [(name.encode(), value.encode()) for name, value in sign_webhook("msg_1", body, SECRET, NOW).items()]
    for content_type in (TYPE, f"{TYPE}; charset=utf-8;", "text/json"):
        check(SignedRequest(b"", content_type, headers, body), LIVE, NOW)
    with pytest.raises(Rejected, match="JSON"):
        check(SignedRequest(b"", other, headers, body), LIVE, NOW)


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
