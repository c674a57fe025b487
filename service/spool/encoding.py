"""Owns how an entry is written in the journal: one JSON object that a person can read, with the version of its form.

Not a pickle: a journal may outlive the version that wrote it, and be read by a person with the sqlite3 shell. What was
parsed is kept beside the raw input and never parsed again, because a newer parser must not take back a receipt.
"""

import json
from datetime import datetime
from typing import Any

from service.core.outcome import Outcome, explanation
from service.core.postback import Postback, RawPostback, Rejection

VERSION = 1
SPOOLED = str(Outcome.SPOOLED.value)

Kept = Postback | Rejection
_Members = dict[str, Any]
_OUTCOMES = {one.value: one for one in Outcome}


class Unreadable(Exception):  # noqa: N818 - what the row is
    """A journal's row is of another version, or was changed by hand."""


def outcome_of(entry: Kept) -> str:
    """Return the word that the sender is told while the entry waits: a rejection keeps its own."""
    return SPOOLED if isinstance(entry, Postback) else str(entry.outcome.value)


def encode(entry: Kept) -> str:
    """Return the entry as JSON text, in ASCII: bytes are written as the characters of the same numbers (latin-1)."""
    if isinstance(entry, Postback):
        members = entry._asdict()
        del members["diagnosis"]  # it is in the log, and in no row
        for field in _YOUNGER:
            if members[field] is None:
                del members[field]
    else:
        members = {field: getattr(entry, field) for field in ("raw", "sender", "outcome", "click_id")}
        members["detail"] = explanation(entry.detail, entry.diagnosis)
        if entry.key_id:
            members["key_id"] = entry.key_id  # code before migration 0009 reads the rest
    return json.dumps({**members, "raw": _encode_raw(entry.raw)}, separators=(",", ":"))


def decode(version: int, outcome: str, text: str) -> Kept:
    """Return the entry that was encoded under this outcome. Raises Unreadable."""
    if version != VERSION:
        raise Unreadable(f"version {version} of the journal's form; this code reads version {VERSION}")
    try:
        members: _Members = json.loads(text)
        members["raw"] = _decode_raw(members["raw"])
        if outcome == SPOOLED:
            return Postback(**members)
        return Rejection(**{**members, "outcome": _OUTCOMES[outcome]})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


_YOUNGER = ("conversion_status", "status_parameter")  # code before migration 0005, and 0008, reads what has none
_BYTES = ("query", "body", "host")


def _encode_raw(raw: RawPostback) -> _Members:
    members: _Members = raw._replace(body=raw.legible())._asdict()
    members.update({field: members[field].decode("latin-1") for field in _BYTES})
    if not raw.is_test:
        del members["is_test"]  # code before migration 0007 reads the rest
    return {**members, "received_at": raw.received_at.isoformat()}


def _decode_raw(members: _Members) -> RawPostback:
    members.update({field: members[field].encode("latin-1") for field in _BYTES})
    return RawPostback(**{**members, "received_at": datetime.fromisoformat(members["received_at"])})
