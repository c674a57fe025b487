"""Owns how a rejected postback is shown: as JSON, and safe for a terminal.

What senders sent is hostile: it may hold escape sequences for a terminal.
"""

import base64
import re
from datetime import datetime
from typing import TYPE_CHECKING

from service.core.outcome import Outcome
from service.core.postback import answered_status
from service.operations.row_output import Cell, Types, utc

if TYPE_CHECKING:
    from service.storage.schema.tables import RejectedPostback

COLUMNS: Types = {
    "id": int,
    "received_at": datetime,
    "outcome": str,
    "status": int | None,
    "sender": str | None,
    "click_id": str | None,
    "detail": str,
    "door": str,
    "request_id": str,
    "replayed_at": datetime | None,
    "replay_outcome": str | None,
    "raw": str,
    "raw_encoding": str,
}
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def members(row: "RejectedPostback") -> dict[str, Cell]:
    """Return a row as JSON and exports show it: `raw` as text where it is text, else in base64."""
    raw, encoding = _raw(row.raw)
    values: tuple[Cell, ...] = (
        row.id,
        utc(row.received_at),
        row.outcome,
        sent(row),
        row.sender,
        row.click_id,
        row.detail,
        row.door,
        row.request_id,
        utc(row.replayed_at) if row.replayed_at else None,
        row.replay_outcome,
        raw,
        encoding,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _raw(raw: bytes) -> tuple[str, str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if _NOT_TEXT.search(text):
        return base64.b64encode(raw).decode(), "base64"
    return text, "text"


def sent(row: "RejectedPostback") -> int | None:
    """Return the HTTP status that was answered; None if nobody was, or for an outcome of another version's."""
    word = row.outcome.upper()
    return answered_status(row.door, Outcome[word]) if word in Outcome.__members__ else None


def answer(row: "RejectedPostback") -> str:
    """Say what was answered, for a person."""
    if row.door in {"import", "replay"}:
        return f"no HTTP answer: it came from {'an import' if row.door == 'import' else 'a replay'}"
    return f"HTTP {sent(row) or 'unknown'}"


def hint(word: str) -> str:
    """Return what the sender should do about an outcome."""
    return Outcome[word.upper()].hint if word.upper() in Outcome.__members__ else "an outcome of another version"


def printable(text: str | bytes) -> str:
    """Return a text in which nothing moves the cursor, changes a colour or the direction of writing."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def printable_lines(raw: bytes) -> list[str]:
    """Return raw input line by line; a line end of the sender's begins no line of ours."""
    return [f"  | {printable(line)}" for line in raw.replace(b"\r\n", b"\n").split(b"\n")]


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
