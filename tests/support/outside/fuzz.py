"""Owns fuzzed requests, many thousands a second: to every door, in every format, whole or with some bytes changed."""

import gzip
import json
import random
import zlib
from collections.abc import Callable, Sequence
from urllib.parse import quote_from_bytes

Made = tuple[bytes, str]  # a body and its media type

_NAMES = [b"c", b"value", b"currency", b"goal", b"transaction_id", b"txid", b"conversion_status", b"test", b"key"]
_NAMES += [b"sub1", b"c ", b"C", b"", b"value[]", b"\xff", b"amp;value", b"__proto__", b"payout", b"x" * 300]
_TEXTS = [b"", b"1", b"1.50", b"-0", b"1e999", b"NaN", b"1,50", b"$1", b"null", b"{value}", b"%7Bclick_id%7D", b"USD"]
_TEXTS += [
    b"approved",
    b"refunded",
    b"click-1",
    b"a b",
    b"\0",
    b"\r\n",
    b"\x1b[2J",
    b"=cmd|'/c'!A1",
    b"&#61;",
    b"&amp;",
]
_TEXTS += ["ünïcode \u2028\u202e\U0001f600".encode(), b"\xed\xa0\x80", b"\xc0\xaf", b"%", b"%zz", b"%25%32%35", b"'\""]
_TEXTS += [
    b"9" * 40,
    b"x" * 600,
    b"whsec_AAAA",
    b"pbk_aaaaaaaaaaaa_bbbb",
    b"[[[[",
    b"\\ud800",
    b"{{7*7}}",
    b"undefined",
]
_VALUES: list[object] = [None, True, False, 0, -1, 1.5, 10**30, 1e300, float("nan"), [], {}, [1], {"a": [None]}, "1.50"]
_TYPES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/csv"]
_TYPES += ["application/x-ndjson", "text/plain", "", "text/html", "application/json; charset=utf-16", "a/b/c", "\xff"]
_PATHS = [b"/postback", b"/conversion", b"/pixel.gif", b"/postbacks"] * 4
_PATHS += [
    b"/postback/",
    b"//conversion",
    b"/POSTBACKS/",
    b"/pixel.gif/",
    b"/healthz",
    b"/nowhere",
    b"/postback/x",
    b"/",
]
_PATHS += [b"/%70ostback", b"/postback;a=b", b"/../postback", b"/postbacks?atomic=1&"]
_METHODS = ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "get", "BREW", "GET", "POST"]
_HEADERS = [
    ("Accept", "text/csv"),
    ("Accept", "*/*;q=0"),
    ("Cookie", "a=b;;c"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("traceparent", "ff-" + "z" * 50),
    ("X-Forwarded-For", "1.2.3.4, [::1], unknown"),
    ("Forwarded", 'for="_x";proto=https'),
    ("Content-Encoding", "br"),
    ("Content-Encoding", "gzip, gzip"),
    ("Content-Type", "application/json"),
    ("If-None-Match", "*"),
    ("Range", "bytes=0-0,-1"),
    ("webhook-signature", "v1,AAAA"),
    ("webhook-timestamp", "9" * 30),
    ("Authorization", "Bearer a.b.c"),
    ("Authorization", "Basic \xff\xfe"),
    ("X-Long", "x" * 5000),
]
_NOT_IN_A_TARGET = bytes(range(33)) + b"\x7f"


class Fuzz:
    """Makes requests from a seed; most of them have a good key, one of `keys`: for pixels, and for all other doors."""

    def __init__(self, seed: int, keys: tuple[str, str]) -> None:
        self._some = random.Random(seed)  # noqa: S311 - the same requests each time
        self._seed, self._keys, self._made = seed, keys, 0

    def request(self) -> bytes:
        """Return one request, whatever is in it: its beginning and end are where HTTP says."""
        some = self._some
        path = some.choice(_PATHS)
        rows, pixel = b"postbacks" in path.lower(), b"pixel" in path.lower()
        method = "POST" if rows else "GET" if pixel else some.choice(("GET", "POST"))
        method = method if some.random() < 0.95 else some.choice(_METHODS)
        headers = [("Host", "127.0.0.1"), *some.choices(_HEADERS, k=some.choice((0, 0, 0, 0, 1, 2)))]
        headers += [("X-API-Key", self._keys[not pixel])] if some.random() < 0.95 else []
        query, body = self._query(), b""
        if method == "POST" or some.random() < 0.05:
            body, media_type = some.choice(_BATCHES if rows else _BODIES)(self)
            query = query if some.random() < (0.05 if rows else 0.3) else b""
            body = self._mangled(body)
            if rows or some.random() < 0.05:
                body, encoding = some.choice(_ENCODINGS)(body)
                headers += [("Content-Encoding", encoding)] if encoding else []
            headers.append(("Content-Type", media_type if some.random() < 0.9 else some.choice(_TYPES)))
        target = path + (b"?" if b"?" not in path and query else b"") + query
        return self._framed(method, target.translate(None, _NOT_IN_A_TARGET), headers, body)

    def raw(self) -> bytes:
        """Return what may be no HTTP at all: a few requests with some bytes changed, or noise."""
        if self._some.random() < 0.1:
            return self._some.randbytes(self._some.randrange(300))
        whole = b"".join(self.request() for _ in range(self._some.randrange(1, 4)))
        return self._changed(whole) if self._some.random() < 0.9 else whole

    def rows(self, count: int) -> bytes:
        """Return a file of CSV with so many rows, some of them changed."""
        lines = [self._mangled(b",".join(self._texts(3))).replace(b"\n", b" ") for _ in range(count)]
        return b"\n".join([b"c,value,goal", *lines])

    def _framed(self, method: str, target: bytes, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
        lines = [f"{name}: {text}".encode("latin-1") for name, text in headers]
        if body and self._some.random() < 0.1:
            lines.append(b"Transfer-Encoding: chunked")
            at = self._some.randrange(1, len(body) + 1)
            pieces = [piece for piece in (body[:at], body[at:], b"") if piece]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        elif body or method == "POST":
            lines.append(b"Content-Length: %d" % len(body))
        return method.encode() + b" " + target + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _texts(self, count: int) -> list[bytes]:
        """Return an own click id, an amount and more, most of them as they should be."""
        some, self._made = self._some, self._made + 1
        good = [b"f%d-%d-%d" % (self._seed, self._made, some.randrange(99)), b"%d.5" % some.randrange(99), b"sale"]
        return [text if some.random() < 0.8 else some.choice(_TEXTS) for text in good[:count]]

    def _pairs(self) -> list[tuple[bytes, bytes]]:
        some = self._some
        more = some.choice((0, 0, 0, 0, 1, 2, 300 if some.random() < 0.02 else 5))
        odd = [(some.choice(_NAMES), some.choice(_TEXTS)) for _ in range(more)]
        pairs = [*zip(_NAMES, self._texts(2), strict=False), *odd]
        some.shuffle(pairs)
        return pairs

    def _query(self) -> bytes:
        some, safe = self._some, self._some.choice(("", "", "=&%+", "{}[]:/?"))
        halves = ((quote_from_bytes(name, safe), quote_from_bytes(text, safe)) for name, text in self._pairs())
        query = some.choice(("&", "&", "&", "&", "&", "&&", ";", "&amp;")).join(
            f"{name}={text}" for name, text in halves
        )
        return self._mangled(query.encode())

    def _object(self) -> bytes:
        some = self._some
        members = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in self._pairs()]
        told = {name: text if some.random() < 0.8 else some.choice(_VALUES) for name, text in members}
        return json.dumps(told, ensure_ascii=some.random() < 0.5).encode()

    def _mangled(self, data: bytes) -> bytes:
        return self._changed(data) if self._some.random() < 0.15 else data  # most stay as they are

    def _changed(self, data: bytes) -> bytes:
        some = self._some
        for _ in range(some.choice((1, 1, 2, 4))):
            at, to = sorted((some.randrange(len(data) + 1), some.randrange(len(data) + 1)))
            to = min(to, at + some.choice((1, 2, 8, 64)))
            piece = some.choice((b"", some.choice(_TEXTS), some.randbytes(3), data[at:to] * 3))
            data = data[:at] + piece + data[some.choice((at, to)) :]
        return data

    def form(self) -> Made:
        """Return a form."""
        return self._query(), _TYPES[1]

    def json(self) -> Made:
        """Return an object."""
        return self._object(), _TYPES[0]

    def deep(self) -> Made:
        """Return what is nested."""
        depth = self._some.choice((5, 100, 3000))
        return b'{"c":"a","value":1,"x":%b1%b}' % (b"[" * depth, b"]" * depth), _TYPES[0]

    def multipart(self) -> Made:
        """Return a form in parts."""
        parts = [b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % pair for pair in self._pairs()]
        return b"".join(parts) + b"--b--\r\n", _TYPES[2]

    def ndjson(self) -> Made:
        """Return rows, a line each."""
        return b"\n".join(self._object() for _ in range(self._some.randrange(9))), _TYPES[4]

    def array(self) -> Made:
        """Return rows in an array."""
        return b"[" + b",".join(self._object() for _ in range(self._some.randrange(9))) + b"]", _TYPES[0]

    def csv(self) -> Made:
        """Return rows below a header."""
        return self.rows(self._some.randrange(9)), _TYPES[3]


def _as_zstd(body: bytes) -> bytes:
    """Return a frame of one block that is not compressed (RFC 8878)."""
    size = len(body)
    return b"\x28\xb5\x2f\xfd\xa0" + size.to_bytes(4, "little") + (size << 3 | 1).to_bytes(3, "little") + body


_BODIES: Sequence[Callable[[Fuzz], Made]] = [
    Fuzz.form,
    Fuzz.json,
    Fuzz.multipart,
    Fuzz.form,
    Fuzz.json,
    Fuzz.deep,
    Fuzz.csv,
]
_BATCHES: Sequence[Callable[[Fuzz], Made]] = [Fuzz.ndjson, Fuzz.array, Fuzz.csv, Fuzz.json, Fuzz.form]
_ENCODINGS: Sequence[Callable[[bytes], tuple[bytes, str]]] = [
    *[lambda body: (body, "")] * 4,
    lambda body: (gzip.compress(body, 1), "gzip"),
    lambda body: (_as_zstd(body), "zstd"),
    lambda body: (gzip.compress(body, 1)[:-3], "gzip"),
    lambda body: (gzip.compress(body, 1) + gzip.compress(body, 1), "GZIP"),
    lambda body: (zlib.compress(body), "deflate"),
    lambda body: (body, "gzip"),
]
