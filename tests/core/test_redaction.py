"""Redaction: no secret stays in what is kept, however it is written; all else stays, and it takes linear time."""

import gzip
import json
import sys
import time
import zlib
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import unquote

import pytest

from service.core.legible import legible
from service.core.redaction import redact
from tests.support.outside.disguised import EVERY, Written, left_of

PUBLIC = "0123456789ab"
KEY = f"pbk_{PUBLIC}_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef"
SIGNING = "whsec_q/Zt0+VhY1b2c3d4e5f6g7h8i9j0KkLlMmNnOoPpQq8="


def part(content: object) -> str:
    """Return a part of a token."""
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


TOKEN = f"{part({'alg': 'EdDSA', 'kid': 'k'})}.{part({'aud': 'https://a.example', 'exp': 1})}.{'Zx0_-kLm' * 10}abcdef"
SECRETS = {"key": KEY, "signing secret": SIGNING, "token": TOKEN}
AROUND = {
    "query": "c=a&value=1&sub=%s&x=1",
    "json": '{"c": "a", "token": "%s", "value": 1}',
    "csv": "c,value,key\r\na,1,%s\r\n",
    "multipart": '--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n%s\r\n--b--',
    "alone": "%s",
}


def as_meant(kept: bytes) -> bytes:
    """Return what is kept, and what it may be read as."""
    text = kept.decode("latin-1")
    squeezed = "".join(letter for letter in text if letter.isascii() and letter > " " and letter not in "\"'\\+")
    return "\n".join((text, unquote(text), unquote(unquote(text)), squeezed, unquote(squeezed))).encode("utf-8")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize("written", EVERY.values(), ids=EVERY)
def test_no_secret_stays_however_it_is_written(written: Written, around: str, secret: str) -> None:
    kept = redact((around % written(secret)).encode("latin-1"))
    assert b"redacted" in kept
    assert left_of(secret.removeprefix(f"pbk_{PUBLIC}_"), as_meant(kept)) == ""


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (f"c=a&sub=%70{KEY[1:]}&x=1", f"c=a&sub=pbk_{PUBLIC}_redacted&x=1"),
        (f'{{"key":"\\u0070{KEY[1:]}","c":"a"}}', f'{{"key":"pbk_{PUBLIC}_redacted","c":"a"}}'),
        (f"pbk_012345_{KEY[17:]}", f"pbk_012345_{KEY[17:]}"),
        (f"pbk_0123456789_{KEY[17:]}", "pbk_redacted"),
        (f"{KEY}{KEY}", f"pbk_{PUBLIC}_redacted"),
        (f"u=https://me:{KEY}@host/", f"u=https://me:pbk_{PUBLIC}_redacted@host/"),
        ("u=https://me:secret@host/&c=a", "u=https://me:redacted@host/&c=a"),
        ("u=https%3A%2F%2Fme%3Asecret%40host%2F", "u=https%3A%2F%2Fme%3Aredacted%40host%2F"),
        ('{"Authorization": "Digest 0123abcd", "c": "a"}', '{"Authorization": "redacted", "c": "a"}'),
        ("Authorization: Token 0123abcd\r\nHost: a", "Authorization: redacted\r\nHost: a"),
        (f"x=Basic {b64encode(b'me:secret').decode()}&c=a", "x=Basic redacted&c=a"),
        ("x=bearer+0123456789abcdef0&c=a", "x=bearer+redacted&c=a"),
        (f"pbk_{PUBLIC}_{KEY[17:25]} {KEY[25:]} is the key", f"pbk_{PUBLIC}_redacted is the key"),
        (f"Pbk_{PUBLIC}_{KEY[17:30]}", f"pbk_{PUBLIC}_redacted"),
    ],
)
def test_only_the_secret_is_replaced(sent: str, kept: str) -> None:
    assert redact(sent.encode()).decode() == kept


@pytest.mark.parametrize(
    "sent",
    [
        "c=a&value=1&sub=%70bk_1&x=100%25&y=%zz&z=%",
        "goal=Basic subscription&sub=bearer of news&u=https://host/a@b",
        f"c={part({'click': 'a', 'exp': 1})}&value=1",  # base64 of JSON is no token
        f"c={part({'alg': 'none'})}&value=1",  # neither is a head alone
        f"c={part({'alg': 'ES256'})}.{part({'click': 'a', 'iat': 1})}.{'Zx0_-kLm' * 10}&value=1",  # a click id
        f"x=pbk_{PUBLIC}_redacted&y=whsec_redacted&z=token_0123456789ab_redacted",
        '{"mail": "me@host.example", "quote": "a \\"b\\" \\u00e9", "html": "&amp;&lt;"}',
        "authorization=&c=a",
        "\xff\xfe%FF%FE",
    ],
)
def test_what_is_no_secret_stays_byte_for_byte(sent: str) -> None:
    assert redact(sent.encode("latin-1")) == sent.encode("latin-1")


def test_two_tokens_stay_two() -> None:
    other = TOKEN[:-1] + "0"
    kept = {redact(f"c={token}".encode()) for token in (TOKEN, TOKEN, other)}
    assert len(kept) == 2


def test_what_was_redacted_is_not_changed_again() -> None:
    for secret in SECRETS.values():
        once = redact(f"c=a&sub={secret}&x=1".encode())
        assert redact(once) == once


@pytest.mark.parametrize(
    "again",
    [
        *(
            "%41",
            "%25",
            "%2541%20a=",
            "\\",
            "\\u0041",
            '\\"',
            "&amp;",
            "&#65;",
            "pbk ",
            "p" + " " * 500,
            KEY,
            f"{KEY}&",
        ),
        *(
            "eyJ",
            "eyJ.",
            f"{part({'alg': 'x'})}.",
            "cGJrX",
            "bearer ",
            "basic YWI6Y2Q= ",
            "authorization: x;",
            "://a:b@",
        ),
        *("whsec_", "whsec_abcdefghij ", "%26%2395%3B", f"pbk_{PUBLIC}_a ", f"pbk_{PUBLIC}_a" + " " * 3000),
    ],
)
def test_redaction_is_linear(again: str) -> None:
    def seconds(size: int) -> float:
        sent = (again * (size // len(again) + 1))[:size].encode()
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            redact(sent)
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(16 * 1024) < 8 * max(seconds(4 * 1024), 0.0005)


BODY = f'{{"c":"a","value":1,"key":"{KEY}"}}'.encode()


@pytest.mark.parametrize("escape", ["%41", "%25", "%a%", "\\u0041", "\\n", "&#65;", "&shy;", "%", "\0"])
def test_nothing_is_called_for_each_escape(escape: str) -> None:
    sent, calls = (escape * 5000).encode(), 0

    def called(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(called)
    try:
        redact(sent)
    finally:
        sys.setprofile(None)
    assert calls < 500


def test_a_packed_body_is_kept_unpacked_and_without_its_secrets() -> None:
    wanted = BODY.replace(KEY.encode(), f"pbk_{PUBLIC}_redacted".encode())
    for encoding in ("gzip", ""):
        assert legible(gzip.compress(BODY), encoding, 1000) == wanted
    assert legible(b"a=1\r\n" + gzip.compress(BODY), "", 1000) == b"a=1\r\n" + wanted
    assert legible(wanted, "gzip", 1000) == wanted  # asked again


def test_a_packed_body_that_broke_off_is_kept_as_far_as_it_can_be_read() -> None:
    kept = legible(gzip.compress(BODY, mtime=0)[:-9], "gzip", 1000)
    assert kept.startswith(b'{"c":"a","value":1')
    assert KEY[17:30].encode() not in kept


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (zlib.compress(BODY), "deflate"),
        (zlib.compress(BODY), ""),
        (gzip.compress(gzip.compress(BODY)), "gzip"),
        (b"\x1f\x8b\x08 broken", "gzip"),
        (b"\x0b\x10\x80" + BODY, "br"),
        (b"PK\x03\x04\x14\x00\xff" + BODY, ""),
        (gzip.compress(BODY.decode().encode("utf-16")), "gzip"),
    ],
    ids=["deflate", "deflate unsaid", "twice", "broken", "brotli", "zip", "utf-16"],
)
def test_of_a_body_that_is_no_text_size_and_digest_are_kept(body: bytes, encoding: str) -> None:
    kept = legible(body, encoding, 1000)
    assert kept.startswith(b"[not kept: ")
    assert b" bytes that are no text, sha256 " in kept
    assert legible(kept, encoding, 1000) == kept


def test_no_more_of_a_packed_body_is_unpacked_than_is_kept() -> None:
    assert len(legible(gzip.compress(b"a" * 2**20), "gzip", 1000)) == 1000
