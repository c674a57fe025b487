"""Owns what rows of a batch or file begin with alike: kept once, and put before each again when it is read.

It is cut off and put back as bytes, so nobody needs to know what it is: request line, headers and the header of CSV.
"""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.orm.attributes import set_committed_value

from service.core.bodies import CSV
from service.core.postback import Postback, Rejection
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.tables import RejectedPostback

_LEAST_BYTES = 256  # a shorter beginning takes hardly more in each row than the digest that names it
_DIGITS = 32


class Shared(NamedTuple):
    """A row of shared_input."""

    digest: str
    sender: str | None
    content: bytes
    used_at: datetime


class Beginnings:
    """The beginnings of one commit's rows."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Shared] = {}

    def cut(self, entry: Postback | Rejection) -> tuple[bytes, str | None]:
        """Return what a row keeps of its input, and the digest of what it shares, if it is long enough."""
        raw = entry.raw.as_sent()
        if entry.raw.content_type != CSV or "-" not in entry.raw.request_id:
            return raw, None
        end = raw.find(b"\n", raw.find(b"\r\n\r\n") + 4) + 1
        if end < _LEAST_BYTES:
            return raw, None
        content = raw[:end]
        shared = self.rows.get(content)
        if shared is None:
            named = (entry.sender or "").encode() + b"\0" + content
            digest = hashlib.sha256(named).hexdigest()[:_DIGITS]
            shared = self.rows[content] = Shared(digest, entry.sender, content, datetime.now(UTC))
        return raw[end:], shared.digest


def whole(row: RejectedPostback, content: bytes | None) -> RejectedPostback:
    """Put before its input what it shares."""
    if content:
        set_committed_value(row, "raw", content + row.raw)
    return row


def forget_unused(connection: Connection, before: datetime | None = None) -> None:
    """Delete what no row begins with any more. While others write, only what was last used `before` a moment."""
    if before is None:
        connection.execute(_FORGET)
    else:
        connection.execute(_FORGET_SOME, {"before": before})


_FORGET = text("""
    DELETE FROM shared_input WHERE NOT EXISTS (SELECT 1 FROM rejected_postback WHERE shared = digest)
""")
# The age is asked of the row itself as well: whoever uses it meanwhile has changed it.
_FORGET_SOME = text("""
    DELETE FROM shared_input WHERE used_at < :before AND digest IN (
        SELECT digest FROM shared_input
        WHERE used_at < :before AND NOT EXISTS (SELECT 1 FROM rejected_postback WHERE shared = digest)
        LIMIT 500
    )
""").bindparams(bindparam("before", type_=UtcDateTime))
