"""Owns hostile requests, by kind: what a stranger, a careless sender or a malicious one with a good key may send.

A kind takes a source of chance and a good key, and returns requests that nobody has sent before.
"""

import gzip
import json
import random
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from urllib.parse import quote

from tests.support.outside.registering import FORM, JSON, NDJSON, posted
from tests.support.outside.signing import signed_query, webhook
from tests.support.outside.wire import request

Kind = Callable[[random.Random, str], list[bytes]]

ISSUER, AUDIENCE = "https://issuer.example", "https://postback.example"
_SECRET = "whsec_q/Zt0+VhY1b2c3d4e5f6g7h8i9j0KkLlMmNnOoPpQq8="
_UNPACKED = 16 * 2**20  # of a batch: as much as a batch may have
_ROWS = 50_000
_CSV = "text/csv"
_HARMFUL = [
    "\x1b]0;owned\x07\x1b[2J",
    "\x9b31m",
    "\u2028\u2029\x85",
    "\u202egpj.exe\u2066",
    "\u200b\ufeff",
    "=cmd|'/c calc'!A1",
    ";=cmd|'/c calc'!A1",
    "\uff1d1+1",
    "+1\t@SUM(A1)",
    "<script>alert(1)</script>",
    "'; DROP TABLE conversion; --",
    "{{7*7}}${jndi:ldap://x/a}",
    'a level=critical event="deleted"',
    "\r\nSet-Cookie: a=b",
    "%s%n" * 20,
]


def text(some: random.Random, length: int = 24) -> str:
    """Return letters and digits that nobody has sent before."""
    return "".join(some.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


def by_strangers(some: random.Random, _: str = "") -> list[bytes]:
    """Return one request of each kind that proves no sender."""
    query, now = f"c={text(some)}&value=1", time.time() + some.randint(-900, 900)
    key, jwt = f"pbk_{text(some, 12)}_{text(some, 42)}", f"eyJhbGciOiJFUzI1NiJ9.{text(some, 90)}.{text(some, 86)}"
    body = f'{{"c":"{text(some)}","value":1,"x":"{text(some, 3000)}"}}'.encode()
    return [
        request(f"/postback?{query}&key={key}"),
        request(f"/conversion?{query}&{text(some)}={text(some, 4000)}"),
        request(f"/postback?{query}", headers={"Authorization": f"Bearer {jwt}"}),
        request(f"/postback?{query}", headers={"X-API-Key": key, f"X-{text(some)}": text(some), "Cookie": text(some)}),
        request(f"/postback?{signed_query(_SECRET, query, now)}"),
        request(f"/pixel.gif?{query}", host=text(some), headers={"traceparent": text(some)}),
        request("/postback", method="POST", headers=webhook(_SECRET, body, now), body=body),
        posted("/postback", body, f"application/{text(some)}", {"Content-Encoding": text(some)}),
        posted("/postback", b"c=" + body, FORM, {"X-Forwarded-For": text(some)}),
        posted("/postbacks", body * 5, NDJSON, {"Authorization": f"Bearer {key}"}),
        posted(f"/postbacks?{text(some)}", body, JSON, {}),
        request(f"/{text(some)}?{query}"),
        request(f"/postback/{text(some)}"),
        request(f"/postback?{query}", method=text(some, 8).upper()),
        request(f"/postback?{query}", method=some.choice(["PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])),
        f"{text(some)} {text(some)}\r\n\r\n".encode(),
    ]


def to_wrong_paths(some: random.Random, key: str) -> list[bytes]:
    """Return requests to what is no door, from strangers and from a known sender."""
    query = f"c={text(some)}&value=1"
    paths = ["/.env", "/metrics", "/api/v1/conversions", "/postback/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"]
    paths += ["//evil.example/postback", f"/{'a/' * 2000}", f"/{text(some, 7000)}", f"/postbackz/{text(some)}"]
    asked = [request(f"{path}?{query}") for path in paths]
    asked += [request(f"{path}?{query}&key={key}") for path in paths]
    return [*asked, posted(f"/{text(some)}", query.encode() + b"&x=" + b"x" * 60_000, FORM, {"X-API-Key": key})]


@cache
def _packed(line: bytes, head: bytes = b"", size: int = _UNPACKED) -> bytes:
    return gzip.compress(head + line * ((size - len(head)) // len(line)), 9)


def _batch(body: bytes, media_type: str, key: str) -> bytes:
    return posted("/postbacks", body, media_type, {"Content-Encoding": "gzip", "X-API-Key": key, "Connection": "close"})


def blank_batches(_: random.Random, key: str) -> list[bytes]:
    """Return batches of some KiB that unpack to 16 MiB with hardly a row."""
    return [
        _batch(_packed(b"  \n"), NDJSON, key),
        _batch(_packed(b"\r\n", b"c,value\r\n"), _CSV, key),
        _batch(_packed(b" \t\r\n", b"[", _UNPACKED), JSON, key),
        _batch(_packed(b"\0"), NDJSON, key),
    ]


def wide_headers(some: random.Random, key: str) -> list[bytes]:
    """Return a batch of some hundred bytes whose 50,000 rejected rows have a header of 2 KiB in common."""
    header = ",".join(f"h{some.randrange(900) + 100}x{number:03}" for number in range(200)).encode()[:2000]
    return [_batch(gzip.compress(header + b"\n" + b"x\n" * _ROWS), _CSV, key)]


def dear_rows(some: random.Random, key: str) -> list[bytes]:
    """Return single postbacks and rows that once cost far more than their bytes."""
    amount, deep = "$1" + " " * 990, "[" * 2000 + "]" * 2000
    many = "&".join(f"p{number}={text(some, 4)}" for number in range(254))
    known = {"X-API-Key": key}
    rows = [
        b'{"c":"%b","value":"%bx"}\n' % (text(some).encode(), amount.encode()),
        b'{"c":"%b","value":1,"x":%b}\n' % (text(some).encode(), deep.encode()),
        b'{"c":"%b","value":1e-9999999999}\n' % text(some).encode(),
        b'{"c":"%b","value":1,"x":"%b"}\n' % (text(some).encode(), b"\\ud83d\\ude00" * 300),
    ]
    return [
        request(f"/postback?c={text(some)}&value={quote(amount)}x&key={key}"),
        request(f"/postback?c={text(some)}&value=1&{many}", headers=known),
        request(f"/postback?{'&' * 4000}c={text(some)}&value=1&{'%25' * 900}={'%25' * 100}", headers=known),
        posted("/postback", rows[1], JSON, known),
        posted("/postback", b'{"c":1,"value":1,"x":%b}' % (b'{"a":' * 9000 + b"1" + b"}" * 9000), JSON, known),
        posted("/postback", b"c=a&value=1&" + b"%26%3D&amp;" * 5000, FORM, known),
        posted("/postback", b"--b\r\n" * 12_000, "multipart/form-data; boundary=b", known),
        *(_batch(gzip.compress(row * 200), NDJSON, key) for row in rows),
    ]


def unknown_tokens(some: random.Random, _: str) -> list[bytes]:
    """Return requests with tokens that look good and name a key that their issuer does not have."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "scope": "postback", "client_id": "acme", "exp": int(time.time()) + 3600}
    tokens = [
        ".".join((_part({"alg": "EdDSA", "kid": text(some), "typ": "at+jwt"}), _part(claims), text(some, 86)))
        for _ in range(5)
    ]
    bearers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    asked = [request(f"/postback?c={text(some)}&value=1", headers=bearer) for bearer in bearers[:4]]
    return [*asked, posted("/postbacks", b'{"c":"x","value":1}\n', NDJSON, bearers[4])]


def _part(content: Mapping[str, object]) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def harmful_values(some: random.Random, key: str) -> list[bytes]:
    """Return postbacks with what bites who looks at it: in a terminal, a spreadsheet, a page, a line of a log."""
    known, value = {"X-API-Key": key}, some.choice(_HARMFUL)
    encoded, own = quote(value), text(some)
    row = json.dumps({"c": f"{own}-{value}", "value": value, "goal": value, value: value}).encode()
    return [
        request(f"/postback?c={own}&value=1&goal={encoded}&{encoded}={encoded}&key={key}"),
        request(f"/postback?c={encoded}&value={encoded}&currency={encoded}", headers=known),
        request(f"/postback?c={own}&value=1&conversion_status={encoded}&test={encoded}", headers=known),
        posted("/postback", row, JSON, known),
        posted("/postbacks", row + b"\n" + row.replace(b"c", b"goal") + b"\n", NDJSON, known),
        posted("/postbacks", f'c,value,x\n"{own}",1,"{value}"\n"{value}",1,\n'.encode(), _CSV, known),
    ]


def misplaced_secrets(some: random.Random, key: str) -> list[bytes]:
    """Return requests that hold a good key where no key belongs, as it is and encoded."""
    known, own = {"X-API-Key": key}, text(some)
    twice, basic = quote(quote(key.replace("_", "%5F"))), b64encode(f"me:{key}".encode()).decode()
    escaped = key.replace("_", "\\u005f").encode()
    return [
        request(f"/postback?c={own}&value=1&token={key}&next={twice}", headers=known),
        request(f"/postback?c={own}&value={key}&{key}=1", headers=known),
        request(f"/nowhere/{key}?c={own}&value=1", headers=known),
        request("/postback?value=1", headers={"X-Secret": key, "Cookie": key, "Authorization": f"Basic {basic}"}),
        posted("/postback", f"c={own}&value=x&secret={twice}&html=&#112;{key[1:]}".encode(), FORM, known),
        posted("/postback", b'{"c":"%b","value":1,"t":"%b"}' % (own.encode(), escaped), JSON, known),
        posted("/postback", gzip.compress(key.encode()), JSON, {**known, "Content-Encoding": "gzip"}),
        posted("/postbacks", b'{"t":"%b"}\n{"c":"%b","t":"%b"}\n' % (escaped, key.encode(), escaped), NDJSON, known),
        posted("/postbacks", f"c,value,{key}\n{own},x,{key}\n".encode(), _CSV, known),
    ]


SMALL: Mapping[str, Kind] = {
    "strangers": by_strangers,
    "wrong paths": to_wrong_paths,
    "dear rows": dear_rows,
    "unknown tokens": unknown_tokens,
    "harmful values": harmful_values,
    "misplaced secrets": misplaced_secrets,
}
"""What is sent again and again on a connection that is kept."""
LARGE: Mapping[str, Kind] = {"blank batches": blank_batches, "wide headers": wide_headers}
"""What is small on the wire and large behind it."""
