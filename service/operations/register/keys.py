"""Owns API keys as people know them: made, listed, revoked, rotated; a key's text is told once, and never kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from service.auth.keys import NewKey, id_in, new_key
from service.core.platform_macros import query_to_paste
from service.core.presets import PRESETS
from service.core.roster import KEY_DOORS
from service.core.sender import Sender
from service.operations.errors import Ended, Mistake, Refused, refuse_wrong
from service.operations.register.names import near, nobody
from service.operations.register.senders import NewSender, put_sender
from service.storage.schema.tables import ApiKey
from service.storage.senders import Rows, Senders

_PATHS = {"postback": "/postback", "pixel": "/pixel.gif"}
_EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound


class KeyMembers(TypedDict):
    """A key as lists show it; its state is live, expired, revoked or sender_disabled."""

    id: str
    sender: str
    state: str
    is_test: bool
    doors: list[str]
    label: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The key that somebody wants: whose, what it opens, until when (None: for ever), and what it is for.

    Raises WrongValues.
    """

    sender: str
    is_test: bool = False
    doors: Sequence[str] = KEY_DOORS[:2]
    label: str = ""
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a door that there is not, before anything is opened."""
        strange = [one for one in self.doors if one not in KEY_DOORS]
        refuse_wrong(Mistake("door", one, f"there are {', '.join(KEY_DOORS)}") for one in strange)


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was just made: `text` is the key itself, `writes_like` how its sender writes, after which `preset`.

    `replaced` is the id of the key in whose place it was made, and when that one ends.
    """

    id: str
    text: str
    asked: Asked
    writes_like: Sender
    preset: str
    replaced: tuple[str, datetime] | None = None

    def __repr__(self) -> str:
        """Say which key it is, and never what opens the door."""
        return f"Made({self.id!r})"

    def postback_url(self, base: str) -> str:
        """Return the URL to hand over, in the sender's own names and macros; `base` is where senders reach us."""
        path = next((path for door, path in _PATHS.items() if door in self.asked.doors), None)
        if path is None or "click_id" not in self.writes_like.fields.values():
            return f"{base}/postbacks"
        return f"{base}{path}?{query_to_paste(self.writes_like, self.preset)}&key={self.text}"

    def members(self, base: str) -> dict[str, object]:
        """Return it as JSON shows it, this once."""
        asked = self.asked
        made: dict[str, object] = {"id": self.id, "key": self.text, "sender": asked.sender, "is_test": asked.is_test}
        made |= {"doors": asked.doors, "label": asked.label, "expires_at": asked.expires_at}
        made["postback_url"] = self.postback_url(base)
        if self.replaced:
            made["replaces"] = dict(zip(("id", "expires_at"), self.replaced, strict=True))
        return made


def create(registry: Senders, asked: Asked, by: str, now: datetime) -> Made:
    """Make a key; a sender that only a preset knows is registered on the way.

    Raises Refused for a sender that nobody knows, and StorageError.
    """
    known = {row.name for row in registry.rows().senders}
    if asked.sender not in known:
        if asked.sender not in PRESETS:
            name = asked.sender.lower()
            advice = f"`senders add {name}` registers it" if name == asked.sender else "names have small letters"
            raise Refused(nobody(asked.sender, [*PRESETS, *known], advice=advice))
        put_sender(registry, NewSender(asked.sender).row(now), new=True)
    made = new_key()
    registry.put_keys(_row(made, asked, by, now))
    return Made(made.id, made.text, asked, *_writing(registry.rows(), asked))


def rotate(registry: Senders, key_id: str, old_ends: datetime, by: str, now: datetime) -> Made:
    """Make a key like another one, which then ends at `old_ends` at the latest; both are live until then.

    The new one lives as long as the old one was made for. Raises Refused, Ended for a key that is not live any more,
    StorageError.
    """
    rows = registry.rows()
    old = _known(rows, key_id)
    state = _state(old, rows, now)
    if state not in ("live", "sender_disabled"):
        raise Ended(f"{old.id} is {state}: make a new one with `keys create {old.sender}`")
    expires_at = old.expires_at and now + (old.expires_at - old.created_at)
    asked, made = Asked(old.sender, old.is_test, list(old.doors), old.label, expires_at), new_key()
    old.expires_at = min(old_ends, old.expires_at or old_ends)
    registry.put_keys(old, _row(made, asked, by, now))
    return Made(made.id, made.text, asked, *_writing(rows, asked), (old.id, old.expires_at))


def revoke(registry: Senders, key_id: str, now: datetime) -> KeyMembers:
    """End a key for ever; it may be revoked already. A whole key will do for its id. Raises Refused, StorageError."""
    rows = registry.rows()
    row = _known(rows, key_id)
    row.revoked_at = row.revoked_at or now
    registry.put_keys(row)
    return _members(row, rows, now)


def listed(rows: Rows, sender: str | None, now: datetime) -> list[KeyMembers]:
    """Return all keys, or those of a sender, oldest first."""
    return [_members(row, rows, now) for row in rows.keys if sender in (None, row.sender)]


def base_url(host: str, port: int, *, tls: bool, public_url: str | None = None) -> str:
    """Return where senders reach the service: the public URL if there is one, or what the listener's address tells."""
    if public_url:
        return public_url.rstrip("/")
    if host in _EVERY_ADDRESS:
        return "https://YOUR-HOST"
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def _row(made: NewKey, asked: Asked, by: str, now: datetime) -> ApiKey:
    return ApiKey(
        id=made.id,
        sender=asked.sender,
        secret_sha256=made.secret_sha256,
        is_test=asked.is_test,
        doors=list(asked.doors),
        label=asked.label,
        created_at=now,
        created_by=by,
        expires_at=asked.expires_at,
    )


def _known(rows: Rows, key_id: str) -> ApiKey:
    """Return a key's row; a whole key will do, because whoever revokes it may have nothing else."""
    wanted = id_in(key_id)
    found = next((row for row in rows.keys if row.id == wanted), None)
    if found is None:
        meant = near(wanted or "", [row.id for row in rows.keys])
        raise Refused(f"there is no key of that id{meant}; `keys list` shows all")
    return found


def _writing(rows: Rows, asked: Asked) -> tuple[Sender, str]:
    """Return how a key's sender writes, and by which preset."""
    preset = next(row.preset for row in rows.senders if row.name == asked.sender)
    return rows.roster().senders[asked.sender].sender, preset


def _state(row: ApiKey, rows: Rows, now: datetime) -> str:
    if row.revoked_at:
        return "revoked"
    if row.expires_at and row.expires_at <= now:
        return "expired"
    disabled = {one.name for one in rows.senders if one.disabled_at}
    return "sender_disabled" if row.sender in disabled else "live"


def _members(row: ApiKey, rows: Rows, now: datetime) -> KeyMembers:
    return {
        "id": row.id,
        "sender": row.sender,
        "state": _state(row, rows, now),
        "is_test": row.is_test,
        "doors": row.doors,
        "label": row.label,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
    }
