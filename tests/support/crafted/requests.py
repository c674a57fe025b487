"""Owns how requests are made, and ordinary ones by kind of door, as large as those that are made to cost much."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple
from urllib.parse import quote_plus

from backports import zstd

QUERY_BYTES, HEAD_BYTES, BODY_BYTES, BATCH_BYTES = 7 * 1024, 12 * 1024, 60 * 1024, 60 * 1024
FORM, JSON, NDJSON, CSV = "application/x-www-form-urlencoded", "application/json", "application/x-ndjson", "text/csv"
BOUNDARY = "-boundary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
CLICK = "5f1c0000-9b7e-4d3a-8f1e-{:012d}"
_clicks = count(1)

Pairs = Sequence[tuple[str, str]]


class Request(NamedTuple):
    """One request: what makes it dear, and its bytes on the wire."""

    name: str
    wire: bytes


def request(name: str, target: str, body: bytes = b"", content_type: str = "", more: str = "") -> Request:
    """Return a GET, or with a body a POST, after which the connection is closed."""
    head = f"{'POST' if content_type else 'GET'} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{more}"
    if content_type:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return Request(name, head.encode() + b"\r\n" + body)


def packed(name: str, body: bytes, content_type: str, encoding: str) -> Request:
    pack: Mapping[str, Callable[[bytes], bytes]] = {"gzip": partial(gzip.compress, mtime=0), "zstd": zstd.compress}
    more = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    sent = pack[encoding](body) if encoding else body
    return request(f"{name}{' in ' if encoding else ''}{encoding}", "/postbacks", sent, content_type, more)


def encoded(pairs: Pairs) -> str:
    """Return pairs as a form has them."""
    return "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in pairs)


def parts(pairs: Pairs) -> bytes:
    """Return pairs as a multipart form has them."""
    heads = ((f'Content-Disposition: form-data; name="{name}"', text) for name, text in pairs)
    fields = "".join(f"--{BOUNDARY}\r\n{head}\r\n\r\n{text}\r\n" for head, text in heads)
    return f"{fields}--{BOUNDARY}--\r\n".encode()


def cells(rows: Sequence[Pairs]) -> bytes:
    """Return rows below a header, every cell quoted as it must be."""
    lines = [",".join(name for name, _ in rows[0])]
    lines += [",".join('"' + text.replace('"', '""') + '"' for _, text in row) for row in rows]
    return "\n".join(lines).encode()


def headers(size: int, text: str) -> str:
    """Return headers as a browser behind proxies sends them."""
    per = 120
    return "".join(f"x-name-{number}: {(text * per)[: per - 20]}\r\n" for number in range(min(60, size // per)))


def plain_pairs() -> Pairs:
    """Return what a postback has."""
    return [("c", CLICK.format(next(_clicks))), ("value", "1.50"), ("currency", "EUR"), ("goal", "sale")]


def _filling(size: int, text: str) -> Pairs:
    """Return a postback with so many parameters as are allowed, or as there is room for."""
    per = max(len(text), size // 250)
    others = [(f"parameter_{number}", (text * (per // len(text) + 1))[: per - 14]) for number in range(size // per)]
    return [*plain_pairs(), *others[:250]]


def _rows(size: int, row: Callable[[], Pairs], length: int) -> list[Pairs]:
    return [row() for _ in range(size // length)]


_SENTENCE, _CYRILLIC = "Blue shoes, size 42. ", "Синие кроссовки, размер 42. "
_CART = {"sku": "SHOE-42", "name": "Blue shoes", "quantity": 1, "price": 49.90}


def ordinary() -> dict[str, list[Request]]:
    """Return ordinary requests by kind, as large as what is made to cost much: accepted ones, and a rejected one."""
    wrong = [("c", "click-1"), ("value", "1,50 EUR")]
    cart = {**dict(plain_pairs()), "items": [_CART] * (BODY_BYTES // 70)}
    bad = {**dict(wrong), "items": [_CART] * (BODY_BYTES // 70)}
    sold, refused = _rows(BATCH_BYTES, plain_pairs, 100), _rows(BATCH_BYTES, lambda: wrong, 60)
    batches = [("accepted", sold), ("rejected", refused)]
    lines = {name: [json.dumps(dict(row)).encode() for row in rows] for name, rows in batches}
    forms = [
        _filling(BODY_BYTES, _SENTENCE),
        _filling(BODY_BYTES // 6, _CYRILLIC),
        [*wrong, *_filling(BODY_BYTES, _SENTENCE)[2:]],
    ]
    fields = [_filling(BODY_BYTES * 3 // 4, _SENTENCE), [*wrong, *_filling(BODY_BYTES * 3 // 4, _SENTENCE)[2:]]]
    queries = [_filling(QUERY_BYTES, _SENTENCE), [*wrong, *_filling(QUERY_BYTES // 2, _SENTENCE)[2:]]]
    return {
        "query": [request("query", f"/postback?{encoded(pairs)}"[:8000]) for pairs in queries],
        "headers": [
            request("headers", "/postback?c=a&value=1", more=headers(HEAD_BYTES, _SENTENCE)),
            request("a wrong path", f"/postbak?{encoded(queries[1])}"),
        ],
        "form": [request("form", "/postback", encoded(pairs).encode()[:64000], FORM) for pairs in forms],
        "json": [request("json", "/postback", json.dumps(one).encode(), JSON) for one in (cart, bad)],
        "multipart": [request("multipart", "/postback", parts(pairs)[:64000], MULTIPART) for pairs in fields],
        "ndjson": [packed("ndjson", b"\n".join(rows), NDJSON, "") for rows in lines.values()],
        "array": [packed("array", b"[" + b",".join(rows) + b"]", JSON, "") for rows in lines.values()],
        "csv": [packed("csv", cells(rows), CSV, "") for _, rows in batches],
    }


def rows_of_a_group(count: int) -> Request:
    """Return a batch of so many ordinary rows."""
    lines = [json.dumps(dict(plain_pairs())).encode() for _ in range(count)]
    return packed("a group", b"\n".join(lines), NDJSON, "")
