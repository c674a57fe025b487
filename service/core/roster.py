"""Owns the roster: every registered sender and every API key, as one immutable value.

Pure. The roster is read from the database in one go, replaced as a whole, and never changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from service.core.lifecycle import Status
from service.core.presets import EZMOB, PRESETS
from service.core.sender import DuplicatePolicy, Field, NumberFormat, Sender

KeyDoor = Literal["postback", "batch", "pixel"]
Check = Literal["credentials", "address", "signature", "rate"]

KEY_DOORS: tuple[KeyDoor, ...] = ("postback", "batch", "pixel")
CHECKS: tuple[Check, ...] = ("credentials", "address", "signature", "rate")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An API key as the roster knows it: never the secret, only its SHA-256. `doors` are those that it opens."""

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
class KnownSender:
    """A sender, and what its requests must satisfy. Failing a check in `report_only` is only counted."""

    sender: Sender
    networks: tuple[str, ...] = ()
    rate_per_second: int | None = None
    report_only: frozenset[Check] = frozenset()
    oauth_subject: str | None = None
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)  # the live ones
    signs: bool = False  # whether it ever had a secret: without a live one, none of its signatures is good
    disabled: bool = False

    @property
    def has_requirements(self) -> bool:
        """Whether its requests must satisfy anything beside showing credentials."""
        return bool(self.networks or self.signs or self.rate_per_second)


@dataclass(frozen=True, slots=True)
class Roster:
    """All registered senders by name, and all API keys by public id, revoked ones too."""

    senders: Mapping[str, KnownSender]
    keys: Mapping[str, KnownKey]
    by_secret: Mapping[bytes, KnownKey] = field(init=False, repr=False, compare=False)
    by_subject: Mapping[str, KnownSender] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the keys by the hashes of their secrets, and the senders by the subjects of their access tokens."""
        object.__setattr__(self, "by_secret", {key.secret_sha256: key for key in self.keys.values()})
        subjects = {one.oauth_subject: one for one in self.senders.values() if one.oauth_subject}
        object.__setattr__(self, "by_subject", subjects)

    @property
    def has_credentials(self) -> bool:
        """Whether a credential was ever registered.

        Revoked ones count: to revoke the last key, because it leaked, must not let everybody in.
        """
        others = (one.oauth_subject or one.signs for one in self.senders.values())
        return bool(self.keys) or any(others)

    @property
    def never_keep(self) -> frozenset[str]:
        """The names that any sender wants nobody to keep: what proves no sender may be anybody's."""
        return frozenset().union(*(one.sender.never_keep for one in self.senders.values()))

    @property
    def fallback_sender(self) -> KnownSender | None:
        """The sender to which requests without valid credentials are counted, while its keys are being rolled out."""
        found = (one for one in self.senders.values() if "credentials" in one.report_only and not one.disabled)
        return next(found, None)

    def first_expiry(self, now: datetime) -> datetime | None:
        """Return when the first of the live keys ends, None if none of them does."""
        return min(
            (key.expires_at for key in self.keys.values() if key.expires_at and self.is_valid(key, now)), default=None
        )

    def is_valid(self, key: KnownKey, now: datetime) -> bool:
        """Whether a key is accepted now: it is live, and its sender exists and is not disabled."""
        owner = self.senders.get(key.sender)
        return key.live(now) and owner is not None and not owner.disabled


EMPTY_ROSTER = Roster({}, {})


def sender_from_preset(  # noqa: PLR0913 - what a row says
    preset: str,
    name: str,
    *,
    numbers: NumberFormat = "point",
    fields: Mapping[str, Field] | None = None,
    required: frozenset[Field] | None = None,
    statuses: Mapping[str, Status] | None = None,
    duplicates: DuplicatePolicy = "first",
    strict_status: bool = False,
    currencies: frozenset[str] = frozenset(),
    placeholders: frozenset[str] = frozenset(),
    never_keep: frozenset[str] = frozenset(),
) -> Sender:
    """Return a sender that follows a preset, with parameter names and status words of its own beside the preset's.

    Its own names are preferred to the preset's.
    A preset of a newer version is unknown here; then only the sender's own names are understood.
    """
    base = PRESETS.get(preset) or replace(EZMOB, fields={})
    own = fields or {}
    named = {**own, **{name: field for name, field in base.fields.items() if name not in own}}
    return replace(
        base,
        name=name,
        numbers=numbers,
        fields=named,
        required=base.required if required is None else required,
        statuses={**base.statuses, **(statuses or {})},
        duplicates=duplicates,
        strict_status=strict_status,
        currencies=currencies,
        placeholders=placeholders,
        never_keep=never_keep,
    )
