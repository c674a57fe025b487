"""Owns the copy of the roster beside the spool's journals: after a restart in an outage, keys are still known.

Hashes of keys, and signing secrets as they are: readable by the service's user only.
"""

from contextlib import suppress
from pathlib import Path

import orjson

from service.core.roster import Roster
from service.storage.new_file import new_file
from service.storage.schema.tables import ApiKey, RegisteredSender, SigningSecret
from service.storage.senders import Rows

FILE_NAME = "roster.json"
_VERSION = 1


class RosterCopy:
    """A file that is replaced as a whole, by whichever worker sees a change first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = b""

    def keep(self, rows: Rows) -> None:
        """Write what differs from what was written last. Raises OSError."""
        text = _encoded(rows)
        if text == self._kept:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(self.path, replaces=True) as part:
            part.write_bytes(text)
        self._kept = text

    def read(self) -> Roster | None:
        """Return the roster of the copy; None without one, or if it cannot be understood."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            members = orjson.loads(self.path.read_bytes())
            if members["version"] == _VERSION:
                return Rows(
                    [RegisteredSender.model_validate(row) for row in members["senders"]],
                    [ApiKey.model_validate(row) for row in members["keys"]],
                    [SigningSecret.model_validate(row) for row in members["secrets"]],
                ).roster()
        return None


def _encoded(rows: Rows) -> bytes:
    """Return the rows as JSON, without `last_used_at`, which changes with every use."""
    members = {
        "version": _VERSION,
        "senders": [row.model_dump() for row in rows.senders],
        "keys": [{**row.model_dump(), "last_used_at": None} for row in rows.keys],
        "secrets": [row.model_dump() for row in rows.secrets],
    }
    return orjson.dumps(members, option=orjson.OPT_INDENT_2)
