"""Owns what is kept of senders, their keys and secrets: read in one go as a roster, changed a transaction at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import bindparam, inspect, text
from sqlmodel import Session, col, select

from service.core.lifecycle import Status
from service.core.roster import Check, KnownKey, KnownSender, Roster, sender_from_preset
from service.core.sender import DuplicatePolicy, Field, NumberFormat
from service.storage.pool import Pool
from service.storage.reads.history import SENDERS
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.tables import (
    ApiKey,
    Conversion,
    ImportedFile,
    RegisteredSender,
    RejectedPostback,
    SigningSecret,
)
from service.storage.turns import IMMEDIATE, Turns, take_turn

_USED = text("""
    UPDATE api_key SET last_used_at = :at WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :at)
""").bindparams(bindparam("at", type_=UtcDateTime))


_OF = (Conversion, ApiKey, SigningSecret, ImportedFile, RejectedPostback)  # what says whose it is, the small first


class Contradiction(Exception):  # noqa: N818 - a decision, not an error
    """A change that would leave something nobody could understand; the message says what."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that is registered, as it is stored."""

    senders: Sequence[RegisteredSender] = ()
    keys: Sequence[ApiKey] = ()
    secrets: Sequence[SigningSecret] = ()

    def roster(self) -> Roster:
        """Return what authentication needs of it."""
        secrets: dict[str, list[str]] = {}
        for one in self.secrets:
            if one.revoked_at is None:
                secrets.setdefault(one.sender, []).append(one.secret)
        signing = {one.sender for one in self.secrets}
        senders = {
            row.name: _registered(row, secrets.get(row.name, ()), signs=row.name in signing) for row in self.senders
        }
        return Roster(senders, {row.id: _key(row) for row in self.keys})


class Senders:
    """Reads and changes. Every method blocks and raises StorageError.

    On SQLite a change is one short transaction on a connection that never checkpoints, beside whoever serves the file;
    `turns` gives the serving process's own changes their turns among the commits.
    """

    def __init__(self, reads: Pool, writes: Pool, turns: Turns = IMMEDIATE) -> None:
        self._reads = reads
        self._writes = writes
        self._turns = turns

    def rows(self) -> Rows:
        """Return everything, as it was at one moment; nothing where the tables are not there yet."""
        with self._reads.session() as session:
            connection = session.connection()
            postgres = connection.dialect.name == "postgresql"
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" if postgres else "BEGIN")
            if not inspect(connection).has_table("signing_secret"):  # the last that its migration makes
                return Rows()
            return Rows(
                session.exec(select(RegisteredSender).order_by(col(RegisteredSender.name))).all(),
                session.exec(select(ApiKey).order_by(col(ApiKey.created_at), col(ApiKey.id))).all(),
                session.exec(
                    select(SigningSecret).order_by(col(SigningSecret.created_at), col(SigningSecret.id))
                ).all(),
            )

    def with_conversions(self) -> Sequence[str]:
        """Return the names under which conversions are stored; an index tells."""
        with self._reads.session() as session:
            return session.connection().execute(SENDERS).scalars().all()

    def has_rows(self, name: str) -> bool:
        """Say whether anything that is kept is of this name. What is rejected has no index on it."""
        with self._reads.session() as session:
            return any(
                session.exec(select(col(table.sender)).where(table.sender == name).limit(1)).first() for table in _OF
            )

    def put_sender(self, row: RegisteredSender, *, new: bool) -> None:
        """Store a sender. Raises Contradiction if a new name is taken, or if two would take in strangers."""

        def put(session: Session) -> None:
            names = {other.name: other for other in session.exec(select(RegisteredSender))}
            if new and row.name in names:
                raise Contradiction(f"{row.name} is registered already; change it with `senders set {row.name}`")
            lenient = [name for name, other in names.items() if name != row.name and "credentials" in other.report_only]
            if lenient and "credentials" in row.report_only:
                raise Contradiction(
                    f"{lenient[0]} has credentials as report-only; a stranger can be taken for one sender only"
                )
            same = [
                name
                for name, other in names.items()
                if name != row.name and row.oauth_subject is not None and other.oauth_subject == row.oauth_subject
            ]
            if same:
                raise Contradiction(f"{same[0]} has the oauth_subject {row.oauth_subject} already")
            session.merge(row)

        self._change(put)

    def put_keys(self, *rows: ApiKey) -> None:
        """Store keys, new ones and changed ones, all or none."""
        self._put(rows)

    def put_secrets(self, *rows: SigningSecret) -> None:
        """Store signing secrets, new ones and changed ones, all or none."""
        self._put(rows)

    def note_used(self, used: Mapping[str, datetime]) -> None:
        """Note when keys let somebody in; a moment earlier than the one that is known changes nothing."""

        def note() -> None:
            with self._writes.transaction() as connection:
                connection.execute(_USED, [{"id": key, "at": at} for key, at in used.items()])

        take_turn(self._turns, note)

    def _put(self, rows: Sequence[ApiKey] | Sequence[SigningSecret]) -> None:
        def put(session: Session) -> None:
            for row in rows:
                session.merge(row)

        self._change(put)

    def _change(self, change: Callable[[Session], None]) -> None:
        def work() -> None:
            with self._writes.transaction() as connection, Session(connection) as session:
                change(session)
                session.flush()

        take_turn(self._turns, work)


def _registered(row: RegisteredSender, secrets: Sequence[str], *, signs: bool) -> KnownSender:
    """Return a row as authentication and parsing see it."""
    sender = sender_from_preset(
        row.preset,
        row.name,
        numbers=cast("NumberFormat", row.numbers),
        fields=cast("Mapping[str, Field]", row.fields),
        required=None if row.required is None else cast("frozenset[Field]", frozenset(row.required)),
        statuses=cast("Mapping[str, Status]", row.statuses),
        duplicates=cast("DuplicatePolicy", row.duplicates),
        strict_status=bool(row.strict_status),
        currencies=frozenset(row.currencies or ()),
        placeholders=frozenset(row.placeholders or ()),
        never_keep=frozenset(row.never_keep or ()),
    )
    return KnownSender(
        sender,
        tuple(row.networks),
        row.rate_per_second,
        cast("frozenset[Check]", frozenset(row.report_only)),
        row.oauth_subject,
        tuple(secrets),
        signs,
        row.disabled_at is not None,
    )


def _key(row: ApiKey) -> KnownKey:
    digest = bytes.fromhex(row.secret_sha256)
    return KnownKey(row.id, row.sender, digest, row.is_test, frozenset(row.doors), row.expires_at, row.revoked_at)
