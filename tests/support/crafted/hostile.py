"""Owns requests that are made to cost much, by kind of door."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from urllib.parse import quote

from tests.support.crafted import odd_json
from tests.support.crafted.requests import (
    BATCH_BYTES,
    BODY_BYTES,
    BOUNDARY,
    CSV,
    FORM,
    HEAD_BYTES,
    JSON,
    MULTIPART,
    NDJSON,
    QUERY_BYTES,
    Pairs,
    Request,
    cells,
    encoded,
    packed,
    parts,
    plain_pairs,
    request,
)
from tests.support.crafted.texts import TEXTS

_FIELDS = ("c", "value", "currency", "goal", "transaction_id", "conversion_status")
_ROW = 250  # bytes of text in a row of many
_HUGE = 60_000  # in a row of its own


def _placed(text: str) -> Iterator[tuple[str, Pairs]]:
    """Yield postbacks with the text as each field, as a parameter and as the name of one."""
    for field in _FIELDS:
        yield field, [*(pair for pair in plain_pairs() if pair[0] != field), (field, text)]
    yield "a parameter", [*plain_pairs(), ("other", text)]
    yield "a name", [*plain_pairs(), (text, "1")]
    yield "a name without a value", [("c", "click-1"), (text, "1")]


def _texts(size: int) -> Iterator[tuple[str, str]]:
    for name, made in TEXTS.items():
        yield name, made(size)


def in_query() -> Iterator[Request]:
    """Yield GETs."""
    for name, made in TEXTS.items():
        for place, _ in _placed(""):
            raw = quote(made(QUERY_BYTES))
            shorter = made(max(8, QUERY_BYTES * QUERY_BYTES // max(1, len(raw))))
            pairs = dict(_placed(shorter))[place]
            yield request(f"{name} as {place}", f"/postback?{encoded(pairs)}"[: QUERY_BYTES + 900])
        plain = "".join(letter for letter in made(QUERY_BYTES) if "!" <= letter <= "~" and letter != "#")
        for field in ("c", "value", "goal", "x"):
            yield request(f"{name} as it is in {field}", f"/postback?c=1&value=1&{field}={plain}")
    for name, wire in _joined().items():
        yield request(name, f"/postback?{wire(QUERY_BYTES)}")
        yield request(f"{name} in a pixel", f"/pixel.gif?{wire(QUERY_BYTES)}")


def _joined() -> Mapping[str, Callable[[int], str]]:
    """Return forms and queries that are odd as a whole, of so many bytes."""
    return {
        "ampersands": lambda size: "&" * size,
        "255 ampersands": lambda size: "&" * 255 + "c=" + "a" * (size - 300),
        "equals": lambda size: "=" * size,
        "names": lambda size: "a&" * (size // 2),
        "256 names": lambda size: "&".join(f"n{n}{'a' * (size // 256 - 6)}" for n in range(256)),
        "256 times one name": lambda size: "&".join(f"x={'a' * (size // 256 - 3)}" for _ in range(256)),
        "256 times a field": lambda size: "&".join(f"value={n}{'%20' * (size // 800)}" for n in range(256)),
        "256 times one click": lambda size: "&".join("c=1" for _ in range(256)) + "a" * (size - 1024),
        "256 glued": lambda size: "&".join(f"n{n}=?value={'?a' * (size // 600)}" for n in range(256)),
        "256 escaped": lambda size: "&".join(f"%6e{n}={'%41' * (size // 900)}" for n in range(256)),
        "256 escaped ampersands": lambda size: "&".join(f"amp;n{n}={'a' * (size // 300)}" for n in range(256)),
        "keys": lambda size: "&".join(["key=pbk_0123456789ab_a"] * (size // 24)),
        "sig": lambda size: "&".join(["sig=a"] * (size // 6)),
        "key elsewhere": lambda size: "c=1&value=1&" + "a=pbk_" * (size // 6),
        "a broken escape at the end": lambda size: "c=" + "%41" * (size // 3 - 3) + "%",
        "no utf-8 at the end": lambda size: "c=" + "%41" * (size // 3 - 3) + "%ff",
    }


def in_form() -> Iterator[Request]:
    """Yield POSTs of forms."""
    for name, text in _texts(BODY_BYTES // 3):
        for place, pairs in _placed(text):
            yield request(f"{name} as {place}", "/postback", encoded(pairs).encode()[:64_000], FORM)
    for name, wire in _joined().items():
        yield request(name, "/postback", wire(BODY_BYTES).encode(), FORM)
        yield request(f"{name} with a query", "/postback?c=1&value=1", wire(BODY_BYTES).encode(), FORM)


def in_json() -> Iterator[Request]:
    """Yield POSTs of JSON."""
    for name, text in _texts(BODY_BYTES // 4):
        for place, pairs in _placed(text):
            body = json.dumps(dict(pairs), ensure_ascii=False).encode()
            yield request(f"{name} as {place}", "/postback", body[:64_000], JSON)
    for name, member in odd_json.members(BODY_BYTES).items():
        for place in ("value", "x", "c", "goal"):
            body = f'{{"c":"a","value":1,"{place}":{member}}}'.encode()
            yield request(f"{name} as {place}", "/postback", body, JSON)
        yield request(f"{name} with a query", "/postback?c=1&value=1", f'{{"x":{member}}}'.encode(), JSON)
    for name, whole in odd_json.objects(BODY_BYTES).items():
        yield request(name, "/postback", whole.encode(), JSON)


def in_multipart() -> Iterator[Request]:
    """Yield POSTs of multipart forms."""
    for name, text in _texts(BODY_BYTES // 4):
        for place, pairs in _placed(text):
            yield request(f"{name} as {place}", "/postback", parts(pairs)[:64_000], MULTIPART)
    size, head = BODY_BYTES, "Content-Disposition: form-data; name="
    heads = {
        "semicolons": f'{head}"{";" * size}"',
        "semicolons open": f'{head}"{";" * size}',
        "parameters": f"{head}a{'; a=b' * (size // 5)}",
        "continuations": head + "a" + "".join(f"; name*{n}=a" for n in range(size // 12)),
        "encoded continuations": head + "a" + "".join(f"; name*{n}*=%41" for n in range(size // 15)),
        "quotes": f'{head}"{chr(92) + chr(34)}{(chr(92) + chr(34)) * (size // 2)}"',
        "folded": f"{head}a\r\n {'b' * 60}" * (size // 110),
        "headers": f"{head}a" + "\r\nx: a" * (size // 6),
        "colons": f"{head}a\r\n" + ":" * size,
        "encoded words": f"{head}{'=?utf-8?q?a?= ' * (size // 14)}",
        "comments": f"{head}{'(' * size}",
    }
    for name, one in heads.items():
        yield request(
            f"head with {name}", "/postback", f"--{BOUNDARY}\r\n{one}\r\n\r\na\r\n--{BOUNDARY}--".encode(), MULTIPART
        )
    bodies = {
        "boundaries": f"--{BOUNDARY}\r\n" * (size // 13),
        "halves of boundaries": f"--{BOUNDARY}\r\n\r\n{'--bound' * (size // 7)}",
        "dashes": "-" * size,
        "256 parts": parts([("c", "1"), ("value", "1"), *((f"n{n}", "a") for n in range(250))]).decode(),
        "256 heads of 200 bytes": parts([(f"n{n}" + "a" * 140, "") for n in range(250)]).decode(),
        "empty parts": f"--{BOUNDARY}\r\n{head}\r\n\r\n\r\n" * 250 + f"--{BOUNDARY}--",
    }
    for name, body in bodies.items():
        yield request(name, "/postback", body.encode()[:64_000], MULTIPART)
    for boundary in ("a", "-" * 70, "=?utf-8?q?a?=", '"' + "a;" * 60 + '"'):
        yield request(f"boundary {boundary[:9]}", "/postback", b"a" * size, f"multipart/form-data; boundary={boundary}")


def in_headers() -> Iterator[Request]:
    """Yield GETs whose heads are odd: headers, cookies, hosts, types, paths."""
    names = (
        "cookie",
        "authorization",
        "x-api-key",
        "traceparent",
        "content-type",
        "content-encoding",
        "accept",
        "forwarded",
        "x-forwarded-for",
        "webhook-signature",
        "webhook-id",
        "user-agent",
        "x-name",
    )
    for (name, made), header in product([*TEXTS.items()][::4], names):
        text = "".join(letter for letter in made(HEAD_BYTES) if " " <= letter <= "~")
        yield request(f"{name} in {header}", "/postback?c=a&value=1", more=f"{header}: {text}\r\n")
    for name in names:
        many = f"{name}: a\r\n" * min(90, HEAD_BYTES // (len(name) + 5))
        yield request(f"{name} again and again", "/postback?c=a&value=1", more=many)
    for name, made in TEXTS.items():
        path = quote(made(QUERY_BYTES))[:QUERY_BYTES]
        yield request(f"{name} as a path", f"/{path}?c=1&value=1")
        yield request(f"{name} below a door", f"/postback/{path}?c=1&value=1")
    yield request("slashes", "/" * QUERY_BYTES)
    yield request("absolute", f"http://127.0.0.1/postback?c=1&value=1&x={'a' * QUERY_BYTES}")


def in_batch(form: str) -> Iterator[Request]:
    """Yield batches in one form (ndjson, array, csv): odd rows, many and few, and what is between rows."""
    kept: Mapping[str, Callable[[list[Pairs]], bytes]] = {
        "ndjson": lambda rows: b"\n".join(json.dumps(dict(row), ensure_ascii=False).encode() for row in rows),
        "array": lambda rows: json.dumps([dict(row) for row in rows], ensure_ascii=False).encode(),
        "csv": cells,
    }
    content_type, join = {"ndjson": NDJSON, "array": JSON, "csv": CSV}[form], kept[form]
    for number, (name, made) in enumerate(TEXTS.items()):
        for place, pairs in _placed(made(_ROW)):
            body = join([pairs] * max(1, BATCH_BYTES // len(join([pairs]))))
            yield packed(f"rows of {name} as {place}", body, content_type, ("", "gzip", "zstd")[number % 3])
        for place, pairs in list(_placed(made(_HUGE // 4)))[::3]:
            yield packed(f"a row of {name} as {place}", join([pairs]), content_type, "gzip")
    for (name, body), encoding in product(_bodies(form, BATCH_BYTES).items(), ("", "gzip", "zstd")):
        yield packed(name, body, content_type, encoding)


def _bodies(form: str, size: int) -> Mapping[str, bytes]:
    if form == "csv":
        marks = [
            b"\n",
            b"\r\n",
            b"\r",
            b" \n",
            b",",
            b",\n",
            b'"',
            b'""',
            b'"",',
            b'"\n',
            b'"a\n',
            b"a",
            b"a\n",
            b'a"b\n',
            b'"a"b\n',
            b"\xef\xbb\xbf\n",
            b"\0\n",
            b"\xff",
            b"=1\n",
            b"1,1\n",
            b'"1","1"\n',
        ]
        return {f"{piece!r}": b"c,value\n" + piece * (size // len(piece)) for piece in marks}
    odd_members = {name: f'{{"c":"a","value":1,"x":{member}}}' for name, member in odd_json.members(size).items()}
    odd_members |= {
        f"value of {name}": f'{{"c":"a","value":{member}}}' for name, member in odd_json.members(200).items()
    }
    one = {
        **odd_members,
        **odd_json.objects(size),
        **{f"small {name}": text for name, text in odd_json.objects(300).items()},
    }
    rows = {name: [text] * max(1, size // (len(text) + 1)) for name, text in one.items()}
    joined = {name: ",".join(many) for name, many in rows.items()}
    if form == "array":
        pieces = ["[", "[]", "{", "1", "1,", " ", "{},", '"",', "null,", ",", "]", '"', "\\", '{"c":"a"},']
        odd = {f"{piece!r}": f"[{piece * (size // len(piece))}1]" for piece in pieces}
        return {
            name: text.encode()
            for name, text in {**odd, **{name: f"[{text}]" for name, text in joined.items()}}.items()
        }
    lines = ["\n", " \n", "\r\n", "\v\f\n", "{}\n", "[]\n", "1\n", "{\n", '"\n', "a", " ", "\t", "{\r\n", "null\n"]
    odd = {f"{line!r}": line * (size // len(line)) for line in lines}
    return {
        name: text.encode() for name, text in {**odd, **{name: "\n".join(many) for name, many in rows.items()}}.items()
    }


KINDS: Mapping[str, Callable[[], Iterator[Request]]] = {
    "query": in_query,
    "headers": in_headers,
    "form": in_form,
    "json": in_json,
    "multipart": in_multipart,
    "ndjson": lambda: in_batch("ndjson"),
    "array": lambda: in_batch("array"),
    "csv": lambda: in_batch("csv"),
}
