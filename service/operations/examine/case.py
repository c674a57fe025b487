"""Owns what is examined: the settings, the database and the addresses of one installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from service.auth.access import Mode
from service.core.roster import EMPTY_ROSTER, Roster
from service.core.unavailable import ErrorKind, StorageError
from service.operations.examine.http import checked_url, local_url
from service.storage.audit import Audit
from service.storage.database import Database, database_at

_READING_SECONDS = 10.0  # of one question to the database: a long read keeps the WAL from shrinking


class Configured(Protocol):
    """The settings that an examination needs; service.settings.Settings has them."""

    @property
    def host(self) -> str:
        """Address of the public listener."""

    @property
    def port(self) -> int:
        """Port of the public listener; 0 is any free one."""

    @property
    def operator_host(self) -> str:
        """Address of the operator listeners."""

    @property
    def operator_port(self) -> int:
        """Port of the first worker's operator listener; the others follow it."""

    @property
    def auth(self) -> Mode:
        """Who is let in: auto, required or open."""

    @property
    def workers(self) -> int:
        """How many processes share the public port."""

    @property
    def database_url(self) -> str:
        """Where the database is."""

    @property
    def spool(self) -> str:
        """Whether a spool stands behind the database: on or off."""

    @property
    def spool_dir(self) -> Path:
        """Where the journals are."""

    @property
    def spool_max_bytes(self) -> int:
        """Bytes that one journal may take."""

    @property
    def tls_cert(self) -> Path | None:
        """The public listener's certificate."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person who asks may choose; times are seconds.

    `operator_urls` and `public_url` replace those of the settings. `deep` reads everything, however long it takes.
    `probe` sends one real postback. `offline` sends nothing at all. `accept_clock` lets retention go by this clock.
    """

    operator_urls: Sequence[str] = ()
    public_url: str | None = None
    timeout: float = 3.0
    deep: bool = False
    probe: bool = False
    offline: bool = False
    accept_clock: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What is examined. Without `operator_urls` (one for each worker; offline there are none) nothing is sent."""

    settings: Configured
    unknown_settings: Sequence[str]
    database: Database
    operator_urls: Sequence[str]
    public_url: str | None
    choices: Choices

    @classmethod
    def of(cls, settings: Configured, unknown_settings: Sequence[str], choices: Choices) -> Self:
        """Return the case of an installation as its settings describe it. Raises UnusableUrl."""
        ports = range(settings.operator_port, settings.operator_port + settings.workers)
        operators = choices.operator_urls or [local_url(settings.operator_host, port, tls=False) for port in ports]
        tls = settings.tls_cert is not None
        local = local_url(settings.host, settings.port, tls=tls) if settings.port else None
        return cls(
            settings=settings,
            unknown_settings=unknown_settings,
            database=database_at(settings.database_url),
            operator_urls=[] if choices.offline else [checked_url(url) for url in operators],
            public_url=checked_url(choices.public_url) if choices.public_url else local,
            choices=choices,
        )

    @property
    def seconds(self) -> float | None:
        """How long one question to the database may take."""
        return None if self.choices.deep else _READING_SECONDS

    def audit(self) -> Audit:
        """Return the questions to the database, within the seconds of this case."""
        return self.database.audit(self.seconds)

    def roster(self) -> Roster | None:
        """Return the roster, None if the database cannot be read."""
        try:
            return self.database.senders().rows().roster()
        except StorageError as error:
            return EMPTY_ROSTER if error.kind == ErrorKind.NO_DATABASE else None

    def requires_keys(self) -> bool:
        """Whether the service, with these settings, accepts only requests with a key."""
        roster = self.roster()
        return self.settings.auth == "required" or (
            self.settings.auth == "auto" and roster is not None and roster.has_credentials
        )
