"""Owns the roster: who is registered and by what each is known, as one immutable value.

Pure: it is read from the database in one go, swapped as a whole, and never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from service.core.lifecycle import Status
from service.core.sender import EZMOB, PRESETS, DuplicatePolicy, Field, NumberFormat, Sender

KeyDoor = Literal["postback", "batch", "pixel"]
Check = Literal["credentials", "address", "signature", "rate"]

KEY_DOORS: tuple[KeyDoor, ...] = ("postback", "batch", "pixel")
CHECKS: tuple[Check, ...] = ("credentials", "address", "signature", "rate")


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is known: never the secret, only its SHA-256. `doors` are those that it opens."""

    id: str
    sender: str
    secret_sha256: bytes
    is_test: bool = False
    doors: frozenset[str] = frozenset({"postback", "batch"})
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def live(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Registered:
    """A sender, and what is asked of its requests. What fails a check in `report_only` is accepted and counted."""

    sender: Sender
    networks: tuple[str, ...] = ()
    rate_per_second: int | None = None
    report_only: frozenset[Check] = frozenset()
    oauth_subject: str | None = None
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)  # the live ones
    signs: bool = False  # whether it ever had one: without a live one, nothing that it sends is signed
    disabled: bool = False

    @property
    def asked(self) -> bool:
        """Whether anything is asked of its requests beside its credentials."""
        return bool(self.networks or self.signs or self.rate_per_second)


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who is registered, by name, and all keys by their public ids, revoked ones too."""

    senders: Mapping[str, Registered]
    keys: Mapping[str, Key]
    by_secret: Mapping[bytes, Key] = field(init=False, repr=False, compare=False)
    by_subject: Mapping[str, Registered] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Have the keys by what is kept of their secrets, and the senders by what their access tokens name."""
        object.__setattr__(self, "by_secret", {key.secret_sha256: key for key in self.keys.values()})
        subjects = {one.oauth_subject: one for one in self.senders.values() if one.oauth_subject}
        object.__setattr__(self, "by_subject", subjects)

    @property
    def has_credentials(self) -> bool:
        """Whether anything was ever registered that proves a sender.

        What was revoked counts: to revoke the last one, because it leaked, must not open the door to everybody.
        """
        others = (one.oauth_subject or one.signs for one in self.senders.values())
        return bool(self.keys) or any(others)

    @property
    def lenient(self) -> Registered | None:
        """The sender to whom requests without valid credentials are counted, while its keys are being rolled out."""
        found = (one for one in self.senders.values() if "credentials" in one.report_only and not one.disabled)
        return next(found, None)

    def first_expiry(self, now: datetime) -> datetime | None:
        """Return when the first of the live keys ends, None if none of them does."""
        return min(
            (key.expires_at for key in self.keys.values() if key.expires_at and self.opens(key, now)), default=None
        )

    def opens(self, key: Key, now: datetime) -> bool:
        """Whether a key lets anybody in now."""
        owner = self.senders.get(key.sender)
        return key.live(now) and owner is not None and not owner.disabled


NOBODY = Roster({}, {})


def sender_like(  # noqa: PLR0913 - what a row says
    preset: str,
    name: str,
    *,
    numbers: NumberFormat = "point",
    fields: Mapping[str, Field] | None = None,
    required: frozenset[Field] | None = None,
    statuses: Mapping[str, Status] | None = None,
    duplicates: DuplicatePolicy = "first",
) -> Sender:
    """Return a sender that writes as a preset does, with parameter names and words of its own beside the preset's.

    A preset of a newer version is unknown here; then only its own names are understood.
    """
    base = PRESETS.get(preset) or replace(EZMOB, fields={})
    named = {**base.fields, **(fields or {})}
    return replace(
        base,
        name=name,
        numbers=numbers,
        fields=named,
        required=base.required if required is None else required,
        statuses={**base.statuses, **(statuses or {})},
        duplicates=duplicates,
    )
