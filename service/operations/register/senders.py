"""Owns registering senders: who may send, how each of them writes, and what is asked of its requests."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict, get_args

from service.auth.networks import Networks
from service.core.lifecycle import STATUSES
from service.core.never_keep import is_named
from service.core.presets import PRESETS
from service.core.roster import CHECKS
from service.core.sender import DuplicatePolicy, Field, NumberFormat
from service.operations.errors import Mistake, Refused, refuse_wrong
from service.operations.register.names import NOT_REGISTERED, nobody
from service.storage import senders as storage
from service.storage.schema.tables import RegisteredSender
from service.storage.senders import Rows, Senders

Added = Literal["fields", "statuses", "currencies", "placeholders", "never_keep"]  # lists that grow by what is given
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_FIELDS = get_args(Field)
_COLUMNS = {"rate": "rate_per_second"}  # that are not called as what is given
_CURRENCY = re.compile(r"[A-Za-z0-9]{3,10}")
_RESERVED = ("key", "test")  # parameters of every sender's: the credential, and the mark of a test


class SenderMembers(TypedDict):
    """A registered sender as JSON shows it; `statuses` are its own words, `signing_secrets` how many are live."""

    name: str
    preset: str
    numbers: str
    fields: Mapping[str, str]
    required: list[str]
    networks: list[str]
    rate_per_second: int | None
    report_only: list[str]
    duplicates: str
    statuses: Mapping[str, str]
    strict_status: bool
    currencies: list[str]
    placeholders: list[str]
    never_keep: list[str]
    oauth_subject: str | None
    created_at: datetime
    disabled_at: datetime | None
    live_keys: int
    signing_secrets: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be different about a sender; None leaves it as it is. Raises WrongValues.

    `fields` and `statuses` go from the sender's words to ours. These two, `currencies`, `placeholders` and `never_keep`
    are added to what is there, and a known word is changed; those that `emptied` names are emptied first. The other
    lists replace what was there, and an empty list or text takes it away: the preset's rules hold again, nothing is
    asked. A rate of 0 is any number.
    """

    preset: str | None = None
    numbers: NumberFormat | None = None
    fields: Mapping[str, str] | None = None
    required: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    rate: int | None = None
    report_only: Sequence[str] | None = None
    duplicates: DuplicatePolicy | None = None
    statuses: Mapping[str, str] | None = None
    strict_status: bool | None = None
    currencies: Sequence[str] | None = None
    placeholders: Sequence[str] | None = None
    never_keep: Sequence[str] | None = None
    oauth_subject: str | None = None
    emptied: Collection[Added] = ()

    def __post_init__(self) -> None:
        """Refuse what nobody could understand, before anything is opened."""
        refuse_wrong(self._mistakes())

    def apply_to(self, row: RegisteredSender) -> None:
        """Put what is given into the row."""
        row.preset = self.preset or row.preset
        row.numbers = self.numbers or row.numbers
        row.duplicates = self.duplicates or row.duplicates
        for words in self.emptied:
            setattr(row, words, {} if words in ("fields", "statuses") else None)
        for name, value in self._columns(row):
            if getattr(self, name) is not None:
                setattr(row, _COLUMNS.get(name, name), value)

    def _columns(self, row: RegisteredSender) -> Iterator[tuple[str, object]]:
        """Yield what the row says of each of the others, if it is given."""
        yield "fields", {**row.fields, **(self.fields or {})}
        yield "statuses", row.statuses | {theirs.lower(): ours for theirs, ours in (self.statuses or {}).items()}
        yield "strict_status", self.strict_status
        yield "currencies", _with(row.currencies, [code.upper() for code in self.currencies or ()])
        yield "placeholders", _with(row.placeholders, [text.lower() for text in self.placeholders or ()])
        yield "never_keep", _with(row.never_keep, [name.strip().lower() for name in self.never_keep or ()])
        yield "required", list(self.required or ()) or None
        yield "networks", [str(Networks.parse(one)) for one in self.networks or ()]
        yield "report_only", list(self.report_only or ())
        yield "rate", self.rate or None
        yield "oauth_subject", self.oauth_subject or None

    def _mistakes(self) -> Iterator[Mistake]:
        yield from _unknown("preset", [self.preset] if self.preset else [], list(PRESETS))
        yield from _wrong_fields(self.fields or {})
        yield from _unknown("require", self.required or (), _FIELDS)
        yield from _wrong_networks(self.networks or ())
        yield from _wrong_statuses(self.statuses or {})
        yield from _wrong_currencies(self.currencies or ())
        yield from _wrong_names(self.never_keep or ())
        yield from _unknown("report_only", self.report_only or (), CHECKS)


@dataclass(frozen=True, slots=True)
class NewSender:
    """A sender that is not registered yet. Raises Refused for a name that cannot be one.

    It writes as the preset that the changes name does, or the one of its name, or ezmob.
    """

    name: str
    changes: Changes = field(default_factory=Changes)

    def __post_init__(self) -> None:
        """Refuse the name before anything is opened."""
        if not _NAME.fullmatch(self.name) or self.name == "unknown":
            raise Refused(
                f"{self.name!a}: a name is lower-case letters, digits, and _ . - between them, and not unknown"
            )

    def row(self, now: datetime) -> RegisteredSender:
        """Return it as it will be stored."""
        preset = self.name if self.name in PRESETS else "ezmob"
        row = RegisteredSender(name=self.name, preset=preset, numbers="point", created_at=now)
        self.changes.apply_to(row)
        return row


def add(registry: Senders, new: NewSender, now: datetime) -> SenderMembers:
    """Register a sender. Raises Refused if its name is taken, and StorageError."""
    return _put(registry, new.row(now), now, new=True)


def change(registry: Senders, name: str, changes: Changes, now: datetime) -> SenderMembers:
    """Change a sender. Raises Refused and StorageError."""
    row = _known(registry.rows(), name)
    changes.apply_to(row)
    return _put(registry, row, now, new=False)


def disable(registry: Senders, name: str, now: datetime) -> SenderMembers:
    """Refuse everything that a sender sends, whatever its keys. Raises Refused and StorageError."""
    row = _known(registry.rows(), name)
    row.disabled_at = row.disabled_at or now
    return _put(registry, row, now, new=False)


def enable(registry: Senders, name: str, now: datetime) -> SenderMembers:
    """Let a disabled sender send again. Raises Refused and StorageError."""
    row = _known(registry.rows(), name)
    row.disabled_at = None
    return _put(registry, row, now, new=False)


def listed(rows: Rows, now: datetime) -> list[SenderMembers]:
    """Return everybody who is registered, by name."""
    return [_members(row, rows, now) for row in rows.senders]


def show(rows: Rows, name: str, now: datetime) -> SenderMembers:
    """Return everything about one sender. Raises Refused."""
    return _members(_known(rows, name), rows, now)


def put_sender(registry: Senders, row: RegisteredSender, *, new: bool) -> None:
    """Store a sender. Raises Refused where storage would be left with what nobody could understand; StorageError."""
    try:
        registry.put_sender(row, new=new)
    except storage.Contradiction as refused:
        raise Refused(str(refused)) from refused


def _put(registry: Senders, row: RegisteredSender, now: datetime, *, new: bool) -> SenderMembers:
    _refuse_what_is_required(row)
    put_sender(registry, row, new=new)
    return show(registry.rows(), row.name, now)


def _known(rows: Rows, name: str) -> RegisteredSender:
    found = next((row for row in rows.senders if row.name == name), None)
    if found is None:
        raise Refused(nobody(name, (row.name for row in rows.senders), NOT_REGISTERED))
    return found


def _with(known: Sequence[str] | None, more: Sequence[str]) -> list[str] | None:
    """Return each word once, the known ones first; None for no word."""
    return list(dict.fromkeys([*(known or ()), *more])) or None


def _unknown(field: str, given: Sequence[str], known: Sequence[str]) -> Iterator[Mistake]:
    return (Mistake(field, one, f"there are {', '.join(known)}") for one in given if one not in known)


def _wrong_fields(fields: Mapping[str, str]) -> Iterator[Mistake]:
    for theirs, ours in fields.items():
        if ours not in _FIELDS:
            sentence = f"it looks like aff_sub=click_id; ours are {', '.join(_FIELDS)}"
            yield Mistake("field", f"{theirs}={ours}", sentence)
        elif not theirs or theirs in _RESERVED:
            sentence = f"a parameter cannot be called that ({', '.join(_RESERVED)} are every sender's)"
            yield Mistake("field", f"{theirs}={ours}", sentence)


def _wrong_networks(networks: Sequence[str]) -> Iterator[Mistake]:
    for one in networks:
        try:
            Networks.parse(one)
        except ValueError as error:
            yield Mistake("network", one, str(error))


def _wrong_statuses(statuses: Mapping[str, str]) -> Iterator[Mistake]:
    for theirs, ours in statuses.items():
        if not theirs or ours not in STATUSES:
            sentence = f"it looks like paid_out=approved; ours are {', '.join(STATUSES)}"
            yield Mistake("status", f"{theirs}={ours}", sentence)


def _wrong_currencies(currencies: Sequence[str]) -> Iterator[Mistake]:
    for one in currencies:
        if not _CURRENCY.fullmatch(one):
            yield Mistake("currency", one, "a code is 3 to 10 letters and digits, such as USDT")


def _wrong_names(names: Sequence[str]) -> Iterator[Mistake]:
    for name in names:
        if not name.strip() or name.strip().lower() in _RESERVED:
            sentence = f"it is the name of a parameter ({', '.join(_RESERVED)} are every sender's)"
            yield Mistake("never_keep", name, sentence)


def _refuse_what_is_required(row: RegisteredSender) -> None:
    """Refuse a sender whose postbacks would all be rejected, because what they must have is dropped."""
    sender = Rows([row]).roster().senders[row.name].sender
    for name, named in sender.fields.items():
        if named in sender.required and is_named(name, sender.never_keep):
            raise Refused(f"{name} cannot be dropped: it is the {named} of {row.name}, which it must send")


def _members(row: RegisteredSender, rows: Rows, now: datetime) -> SenderMembers:
    roster = rows.roster()
    sender = roster.senders[row.name].sender
    return {
        "name": row.name,
        "preset": row.preset,
        "numbers": row.numbers,
        "fields": dict(sender.fields),
        "required": sorted(sender.required),
        "networks": row.networks,
        "rate_per_second": row.rate_per_second,
        "report_only": row.report_only,
        "duplicates": row.duplicates,
        "statuses": row.statuses,
        "strict_status": sender.strict_status,
        "currencies": sorted(sender.currencies),
        "placeholders": sorted(sender.placeholders),
        "never_keep": sorted(sender.never_keep),
        "oauth_subject": row.oauth_subject,
        "created_at": row.created_at,
        "disabled_at": row.disabled_at,
        "live_keys": sum(key.sender == row.name and key.live(now) for key in roster.keys.values()),
        "signing_secrets": sum(one.sender == row.name and one.revoked_at is None for one in rows.secrets),
    }
