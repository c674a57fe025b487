"""Owns how a postback looks at each door, as bytes on the wire."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from tests.support.outside.model.mix import Postback
from tests.support.outside.wire import request

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


def _get(path: str) -> Callable[[Mapping[str, str], str], bytes]:
    return lambda fields, key: request(f"{path}?{urlencode(fields)}", headers={"X-API-Key": key})


def _form(fields: Mapping[str, str], key: str) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": _FORM}
    return request("/postback", method="POST", headers=headers, body=urlencode(fields).encode())


def _json(fields: Mapping[str, str], key: str) -> bytes:
    headers = {"X-API-Key": key, "Content-Type": _JSON}
    return request("/conversion", method="POST", headers=headers, body=json.dumps(fields).encode())


def _pixel(fields: Mapping[str, str], key: str) -> bytes:
    return request(f"/pixel.gif?{urlencode({**fields, 'key': key})}")


SINGLE: Mapping[str, tuple[str, Callable[[Mapping[str, str], str], bytes]]] = {
    "get": ("postback", _get("/postback")),
    "conversion": ("postback", _get("/conversion")),
    "form": ("postback", _form),
    "json": ("postback", _json),
    "pixel": ("pixel", _pixel),
}
"""For each way in: the door that rows name, and the request."""


def ndjson(postbacks: Sequence[Postback]) -> bytes:
    """Return a row for each."""
    return b"".join(json.dumps(dict(one.parameters)).encode() + b"\n" for one in postbacks)


def as_array(postbacks: Sequence[Postback]) -> bytes:
    """Return a JSON array."""
    return json.dumps([dict(one.parameters) for one in postbacks]).encode()


def as_csv(postbacks: Sequence[Postback]) -> bytes:
    """Return a header, and a record for each."""
    columns = sorted({name for one in postbacks for name in one.parameters})
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(one.parameters for one in postbacks)
    return out.getvalue().encode()


BATCH: Mapping[str, Callable[[Sequence[Postback]], bytes]] = {
    "application/x-ndjson": ndjson,
    _JSON: as_array,
    "text/csv": as_csv,
}


def batch(form: str, postbacks: Sequence[Postback], key: str, *, atomic: bool) -> bytes:
    """Return a request with a row for each, whose answer has one JSON object a line."""
    headers = {"X-API-Key": key, "Content-Type": form, "Accept": "application/x-ndjson"}
    target = "/postbacks?atomic=1" if atomic else "/postbacks"
    return request(target, method="POST", headers=headers, body=BATCH[form](postbacks))
