"""Owns the tables: their columns, keys and types, as SQLModel declares them and the migrations build them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Identity, Index, Integer, LargeBinary, text
from sqlmodel import Field, SQLModel

from service.storage.schema.column_types import Number, Text, UtcDateTime


class ConversionKey(SQLModel):
    """The identity of a conversion (law 3). Natural, so that the same schema distributes on a sharded PostgreSQL."""

    sender: str = Field(sa_type=Text)
    is_test: bool
    click_id: str = Field(sa_type=Text)
    goal: str = Field(sa_type=Text)
    transaction_id: str = Field(sa_type=Text)


class Conversion(ConversionKey, table=True):
    """The accepted, stored fact. `value` is what was sent, `value_micros` the same amount in millionths."""

    __tablename__ = "conversion"
    __table_args__ = {"sqlite_with_rowid": False}  # one B-tree instead of two

    sender: str = Field(sa_type=Text, primary_key=True)
    is_test: bool = Field(primary_key=True)
    click_id: str = Field(sa_type=Text, primary_key=True)
    goal: str = Field(sa_type=Text, primary_key=True)
    transaction_id: str = Field(sa_type=Text, primary_key=True)
    value: str = Field(sa_type=Text)
    value_micros: int = Field(sa_type=BigInteger)
    currency: str | None = Field(sa_type=Text)
    params: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime = Field(sa_type=UtcDateTime)
    request_id: str = Field(sa_type=Text)
    door: str = Field(sa_type=Text)
    conversion_status: str | None = Field(default=None, sa_type=Text)
    drained_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StatusChange(ConversionKey, table=True):
    """A later status of a conversion, and the value that was sent with it; `number` counts them from 1.

    The number is part of the key, so that of two replicas that judge the same conversion one must judge again.
    """

    __tablename__ = "status_change"
    __table_args__ = {"sqlite_with_rowid": False}

    sender: str = Field(sa_type=Text, primary_key=True)
    is_test: bool = Field(primary_key=True)
    click_id: str = Field(sa_type=Text, primary_key=True)
    goal: str = Field(sa_type=Text, primary_key=True)
    transaction_id: str = Field(sa_type=Text, primary_key=True)
    number: int = Field(sa_type=Integer, primary_key=True)
    conversion_status: str = Field(sa_type=Text)
    value: str = Field(sa_type=Text)
    value_micros: int = Field(sa_type=BigInteger)
    currency: str | None = Field(sa_type=Text)
    params: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received_at: datetime = Field(sa_type=UtcDateTime)
    request_id: str = Field(sa_type=Text)
    door: str = Field(sa_type=Text)
    drained_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Correction(ConversionKey, table=True):
    """How a person had one row of a conversion's history read again: by whom, when and why. It replaces nothing.

    `number` is the row's: 0 is the conversion's own, others are those of its changes. `revision` counts its corrections
    from 1; the last of them says what the row is worth now.
    """

    __tablename__ = "correction"
    __table_args__ = {"sqlite_with_rowid": False}

    sender: str = Field(sa_type=Text, primary_key=True)
    is_test: bool = Field(primary_key=True)
    click_id: str = Field(sa_type=Text, primary_key=True)
    goal: str = Field(sa_type=Text, primary_key=True)
    transaction_id: str = Field(sa_type=Text, primary_key=True)
    number: int = Field(sa_type=Integer, primary_key=True)
    revision: int = Field(sa_type=Integer, primary_key=True)
    value: str = Field(sa_type=Text)
    value_micros: int = Field(sa_type=BigInteger)
    currency: str | None = Field(sa_type=Text)
    conversion_status: str | None = Field(sa_type=Text)
    corrected_at: datetime = Field(sa_type=UtcDateTime)
    corrected_by: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)


class Duplicate(ConversionKey, table=True):
    """A later arrival of a stored conversion with the same value: it changed nothing, and this says when it came.

    `request_id` is unique, so that a batch whose commit was ambiguous can be committed again.
    """

    __tablename__ = "duplicate"

    id: int | None = Field(default=None, sa_column=Column(Number, Identity(), primary_key=True))
    sender: str = Field(sa_type=Text)
    is_test: bool
    click_id: str = Field(sa_type=Text, index=True)
    goal: str = Field(sa_type=Text)
    transaction_id: str = Field(sa_type=Text)
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    request_id: str = Field(sa_type=Text, unique=True, index=True)
    door: str = Field(sa_type=Text)
    drained_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


def _some_of(name: str, told: str, *columns: str) -> Index:
    """Return an index of the rows that have a value in the column `told`."""
    some = text(f"{told} IS NOT NULL")
    return Index(name, *columns, sqlite_where=some, postgresql_where=some)


class RejectedPostback(SQLModel, table=True):
    """The kept input of a postback that was not accepted (or conflicts): `raw` is what was sent, byte for byte.

    Where the sender was refused, `key_id` is the public id of the key that was shown, `client_ip` where it came from.
    `shared`, if it is there, names the shared_input that `raw` begins with: the table has only what follows it.
    """

    __tablename__ = "rejected_postback"
    __table_args__ = (
        Index("ix_rejected_postback_share", "sender", "received_at", "id"),
        _some_of("ix_rejected_postback_replayed", "replayed_at", "sender", "received_at", "id"),
        _some_of("ix_rejected_postback_shared", "shared", "shared"),
    )

    id: int | None = Field(default=None, sa_column=Column(Number, Identity(), primary_key=True))
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    door: str = Field(sa_type=Text)
    sender: str | None = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)
    detail: str = Field(sa_type=Text)
    click_id: str | None = Field(sa_type=Text, index=True)
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    request_id: str = Field(sa_type=Text, unique=True, index=True)
    replayed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replay_outcome: str | None = Field(default=None, sa_type=Text)
    drained_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    key_id: str | None = Field(default=None, sa_type=Text)
    client_ip: str | None = Field(default=None, sa_type=Text)
    shared: str | None = Field(default=None, sa_type=Text)


class SharedInput(SQLModel, table=True):
    """What the rows of a batch or file begin with, kept once: request line, headers and the header of CSV.

    `digest` is made of sender and content. `used_at` is when a row was last written that begins so.
    """

    __tablename__ = "shared_input"

    digest: str = Field(sa_type=Text, primary_key=True)
    sender: str | None = Field(sa_type=Text)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    used_at: datetime = Field(sa_type=UtcDateTime)


class Replay(SQLModel, table=True):
    """A rejected postback that was sent through today's rules again: by whom, when, and what became of it.

    `request_id` is the new row's, in whatever table `outcome` says; `outcome` is null while it is under way.
    `rules` are the sender's by which it is judged, also when it is interrupted and begun again.
    """

    __tablename__ = "replay"

    rejected_request_id: str = Field(sa_type=Text, primary_key=True)
    request_id: str = Field(sa_type=Text, unique=True, index=True)
    outcome: str | None = Field(default=None, sa_type=Text)
    replayed_by: str = Field(sa_type=Text)
    replayed_at: datetime = Field(sa_type=UtcDateTime)
    rules: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))


class ImportedFile(SQLModel, table=True):
    """A file whose import was begun, and the sender's rules by which its rows are judged, whenever it is given again.

    `request_id` is what its rows are called, before their `-1`, `-2` and so on.
    """

    __tablename__ = "imported_file"

    request_id: str = Field(sa_type=Text, primary_key=True)
    name: str = Field(sa_type=Text)
    sender: str = Field(sa_type=Text)
    rules: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    begun_at: datetime = Field(sa_type=UtcDateTime)


class Deletion(SQLModel, table=True):
    """Rows that were deleted together: how many, of which table and outcome, why, by whom, and when they had come.

    `run` is an erasure, or a day of retention. `process` is how the rows' request ids begin (16 hex digits; empty for
    replayed rows), so that a process's counters can be compared with what is left. `deleted_at` is the last of them.
    """

    __tablename__ = "deletion"
    __table_args__ = (
        Index(
            "ix_deletion_erased",
            "deleted_at",
            sqlite_where=text("click_id_sha256 IS NOT NULL"),
            postgresql_where=text("click_id_sha256 IS NOT NULL"),
        ),
    )

    run: str = Field(sa_type=Text, primary_key=True)
    table_name: str = Field(sa_type=Text, primary_key=True)
    reason: str = Field(sa_type=Text, primary_key=True)
    outcome: str = Field(sa_type=Text, primary_key=True)
    process: str = Field(sa_type=Text, primary_key=True, index=True)
    rows: int = Field(sa_type=BigInteger)
    first_received_at: datetime = Field(sa_type=UtcDateTime)
    last_received_at: datetime = Field(sa_type=UtcDateTime)
    deleted_by: str = Field(sa_type=Text)
    deleted_at: datetime = Field(sa_type=UtcDateTime)
    click_id_sha256: str | None = Field(default=None, sa_type=Text)


class RegisteredSender(SQLModel, table=True):
    """A sender as it is registered: a preset, and in what it differs. `required` null is the preset's own.

    `fields` are parameter names of its own beside the preset's, `statuses` its words for a conversion status,
    `currencies` codes beside ISO 4217's, `placeholders` texts that are no click id and no transaction id, `never_keep`
    names whose values are dropped. Versions before 0008 leave these and `strict_status` null: none, and not strict.
    """

    __tablename__ = "sender"

    name: str = Field(sa_type=Text, primary_key=True)
    preset: str = Field(sa_type=Text)
    numbers: str = Field(sa_type=Text)
    fields: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    required: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    statuses: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    duplicates: str = Field(default="first", sa_type=Text)
    networks: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    rate_per_second: int | None = None
    report_only: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    oauth_subject: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    strict_status: bool | None = None
    currencies: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    placeholders: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    never_keep: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))


class ApiKey(SQLModel, table=True):
    """An API key by its public id: never the secret. It is never deleted, so that an old row can still be explained."""

    __tablename__ = "api_key"

    id: str = Field(sa_type=Text, primary_key=True)
    sender: str = Field(sa_type=Text)
    secret_sha256: str = Field(sa_type=Text)
    is_test: bool = False
    doors: list[str] = Field(sa_column=Column(JSON, nullable=False))
    label: str = Field(default="", sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str = Field(sa_type=Text)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SigningSecret(SQLModel, table=True):
    """A secret that a sender signs its requests with. It must be known to be checked, so it is kept as it is."""

    __tablename__ = "signing_secret"

    id: str = Field(sa_type=Text, primary_key=True)
    sender: str = Field(sa_type=Text)
    secret: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
