"""Owns reading back a rejected postback's input as it arrived then, under the request_id of its replay."""

import hashlib
from typing import cast

from service.core.postback import INCOMPLETE, TEST_KEY, Door, RawPostback
from service.storage.schema.tables import RejectedPostback


def new_request_id(rejected_request_id: str) -> str:
    """Return the request_id of a rejected postback's replay: always the same, so that it is stored once."""
    return hashlib.sha256(f"replay {rejected_request_id}".encode()).hexdigest()[:32]


def raw_again(rejected: RejectedPostback) -> RawPostback:
    """Read back what RawPostback.as_sent wrote, as it arrived then. Raises ValueError for bytes it did not write."""
    top, _, body = rejected.raw.partition(b"\r\n\r\n")
    line, *headers = top.split(b"\r\n")
    described = dict(header.split(b": ", 1) for header in headers)
    method, target = line.decode("utf-8", "surrogateescape").split(" ", 1)
    path, _, query = target.partition("?")
    request_id = new_request_id(rejected.request_id)
    return RawPostback(
        door=cast("Door", rejected.door),
        method=method,
        path=path,
        query=query.encode("utf-8", "surrogateescape"),
        content_type=described.get(b"content-type", b"").decode("latin-1"),
        content_encoding=described.get(b"content-encoding", b"").decode("latin-1"),
        body=body,
        complete=INCOMPLETE not in described,
        host=b"",
        forwarded=False,
        client_ip="",
        received_at=rejected.received_at,
        request_id=request_id,
        trace_id=request_id,
        is_test=TEST_KEY in described,
    )
