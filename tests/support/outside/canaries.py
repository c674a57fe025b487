"""Owns canaries: secrets that are sent once each, in a place and a way of writing, and the search for what is left."""

import gzip
import json
import random
import re
import string
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from tests.support.outside.disguised import BARE, WRITTEN
from tests.support.outside.registering import FORM, JSON, NDJSON, posted
from tests.support.outside.wire import request

LONGEST = 12  # characters of a secret that may stay: as many as a public id has
CSV, PARTS = "text/csv", "multipart/form-data; boundary=b"
_RUN = re.compile(rb"[0-9A-Za-z]{13,}")
_SPLITS = bytes([*range(0x21), *range(0x7F, 0x100), *b"\"'\\+"])

Place = Callable[[str, dict[str, str]], bytes]


class Canary(NamedTuple):
    """A secret, in what it was sent, and the letters of it that may be nowhere."""

    name: str
    secret: str
    letters: str


def _letters(chance: random.Random, count: int) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits, k=count))


def _token(letters: str) -> str:
    parts = ({"alg": "EdDSA", "kid": "k"}, {"aud": "https://postback.example", "exp": 1})
    head, payload = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{payload}.{letters}"


KINDS: dict[str, tuple[int, Callable[[str], str]]] = {
    "key": (42, lambda letters: f"pbk_0123456789ab_{letters}"),
    "signing secret": (44, lambda letters: f"whsec_{letters}"),
    "token": (86, _token),
}


def _get(target: str) -> Place:
    def asked(written: str, headers: dict[str, str]) -> bytes:
        for letter in '% \t&#;+\\"{}<>':
            if letter != "%":
                written = written.replace(letter, f"%{ord(letter):02X}")
        return request(target.replace("$", written), headers=headers)

    return asked


def _post(path: str, content_type: str, body: str, pack: Callable[[bytes], bytes] = bytes, **more: str) -> Place:
    def asked(written: str, headers: dict[str, str]) -> bytes:
        return posted(path, pack(body.replace("$", written).encode("latin-1")), content_type, {**headers, **more})

    return asked


def _quoted(written: str, headers: dict[str, str]) -> bytes:
    cell = f'"{written.replace(chr(34), chr(34) * 2)}"'
    return posted("/postbacks", f"c,value,sub\na,1,{cell}\nb,x,{cell}\n".encode("latin-1"), CSV, headers)


_PART = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
_PACKED = {"Content-Encoding": "gzip"}
QUERIES: dict[str, Place] = {
    "a parameter": _get("/postback?c=a&value=1&sub=$"),
    "a parameter of what is rejected": _get("/postback?c=a&value=x&sub=$"),
    "the click id": _get("/postback?c=$&value=1"),
    "the value": _get("/conversion?c=a&value=$"),
    "the goal": _get("/postback?c=a&value=1&goal=$"),
    "the currency": _get("/postback?c=a&value=1&currency=$"),
    "a name": _get("/postback?c=a&value=1&$=1"),
    "KEY": _get("/postback?c=a&value=1&KEY=$"),
    "a pixel": _get("/pixel.gif?c=a&value=1&sub=$"),
    "a path": _get("/postback/$?c=a&value=1"),
    "a long URL": _get(f"/postback?x={'x' * 8200}&sub=$"),
}
BODIES: dict[str, Place] = {
    "a form": _post("/postback", FORM, "c=a&value=1&sub=$"),
    "JSON": _post("/postback", JSON, '{"c":"a","value":1,"sub":"$"}'),
    "JSON that is rejected": _post("/postback", JSON, '{"c":"a","value":"x","in":{"sub":["$"]}}'),
    "JSON that is broken": _post("/postback", JSON, '{"c":"a","value":1,"sub":"$'),
    "a name in JSON": _post("/postback", JSON, '{"c":"a","value":"x","$":1}'),
    "a part": _post("/postback", PARTS, _PART.format("c", "a") + _PART.format("sub", "$") + "--b--"),
    "a part's name": _post("/postback", PARTS, _PART.format("$", "a") + "--b--"),
    "text": _post("/postback", "text/plain", "this is the key: $ ."),
    "a long body": _post("/postback", FORM, "sub=$&x=" + "x" * 70_000),
    "a long body, cut": _post("/postback", FORM, "x=" + "x" * (65_536 - 40) + "&$"),
    "a packed body": _post("/postback", JSON, '{"c":"a","value":1,"sub":"$"}', gzip.compress, **_PACKED),
    "a packed body, unsaid": _post("/postback", JSON, '{"c":"a","value":1,"sub":"$"}', gzip.compress),
    "a body that broke off": _post(
        "/postbacks", NDJSON, '{"sub":"$"}\n' * 3, lambda b: gzip.compress(b)[:-9], **_PACKED
    ),
    "rows": _post("/postbacks", NDJSON, '{"c":"a","value":1,"sub":"$"}\n{"c":"b","value":"x","sub":"$"}\n'),
    "packed rows": _post("/postbacks", NDJSON, '{"c":"a","value":"x","sub":"$"}\n' * 3, gzip.compress, **_PACKED),
    "all or none": _post("/postbacks?atomic=1", NDJSON, '{"c":"a","value":"x","sub":"$"}\n'),
    "cells": _post("/postbacks", CSV, "c,value,sub\na,1,$\nb,x,$\n"),
    "quoted cells": _quoted,
    "a header of CSV": _post("/postbacks", CSV, "c,value,$\na,x,1\n"),
    "a wrong charset": _post("/postback", "application/json; charset=utf-16", '{"c":"a","sub":"$"}'),
}


ROWS = ("rows", "packed rows", "all or none", "cells", "a header of CSV")


def canaries(every: int = 1) -> Iterator[tuple[Canary, Place, str]]:
    """Yield each canary with its place and as it is written there; only one in so many."""
    chance, number = random.Random(1), 0  # noqa: S311 - the same in every run
    for places, writings in ((QUERIES, WRITTEN), (BODIES, {**WRITTEN, **BARE})):
        for where, place in places.items():
            for how, write in writings.items():
                if where in ROWS and "\n" in write("x" * 90):
                    continue  # a line end there ends the row, so the secret is in two of them
                for kind, (count, make) in KINDS.items():
                    number += 1
                    if number % every == 0:
                        letters = _letters(chance, count)
                        yield Canary(f"{kind}, in {where}, {how}", make(letters), letters), place, write(make(letters))


def left_in(kept: Iterable[bytes], sent: Iterable[Canary]) -> set[str]:
    """Return the names of those of which more letters are left than a public id has, however they are written."""
    width = LONGEST + 1
    windows = {
        one.letters[at : at + width].encode(): one.name for one in sent for at in range(len(one.letters) - LONGEST)
    }
    return {
        windows[window]
        for text in kept
        for view in {text, unquote_to_bytes(text), text.translate(None, _SPLITS), text.replace(b"\\u00", b"%")}
        for run in _RUN.findall(unquote_to_bytes(view))
        for window in (run[at : at + width] for at in range(len(run) - LONGEST))
        if window in windows
    }
