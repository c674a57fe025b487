"""A body is signed as Standard Webhooks says: any other is refused with the reason."""

import base64
import re

import pytest

from service.auth.signature import (
    Secret,
    check_webhook,
    sign_webhook,
)
from service.core.outcome import Rejected
from tests.support.signing import (
    BODY,
    LIVE,
    NOW,
    OLD,
    SECRET,
    STRANGERS,
    detail_of,
    v1,
    webhook,
)

# The example values of Standard Webhooks' own libraries.
PUBLISHED = Secret.read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

PUBLISHED_AT = 1_614_265_330

PUBLISHED_BODY = b'{"test": 2432232314}'

PUBLISHED_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(PUBLISHED_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


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


@pytest.mark.parametrize("message_id", ["", "a.b", "a=b", "a b", "é", "i" * 257, "a\n"])
def test_a_message_whose_id_would_be_refused_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="a message's id"):
        sign_webhook(message_id, BODY, SECRET, NOW)
