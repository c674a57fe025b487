"""Owns the words of an examination: what is to be examined, and what one check found."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from service.auth.authenticator import Mode
from service.core.roster import EMPTY_ROSTER, Roster
from service.core.unavailable import ErrorKind, StorageError
from service.storage.audit import Audit
from service.storage.database import Database


class State(StrEnum):
    """What a check came to; only `wrong` makes the examination fail."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, a sentence, and what to do unless it is all right."""

    name: str
    state: State
    sentence: str
    advice: str = ""


class Configured(Protocol):
    """The settings that an examination looks at: service.settings.Settings has them."""

    @property
    def host(self) -> str:
        """Address of the public listener."""

    @property
    def auth(self) -> Mode:
        """Who is let in: auto, required or open."""

    @property
    def workers(self) -> int:
        """How many processes share the public port."""

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
class Case:
    """What is examined. Without `operator_urls`, one for each worker, (offline) nothing is sent; times are seconds."""

    settings: Configured
    unknown_settings: Sequence[str]
    database: Database
    operator_urls: Sequence[str]
    public_url: str | None
    public_given: bool
    timeout: float
    seconds: float | None
    deep: bool
    probe: bool

    def audit(self) -> Audit:
        """Return the questions to the database, within the seconds of this case."""
        return self.database.audit(self.seconds)

    def roster(self) -> Roster | None:
        """Return who is registered, None if the database does not say."""
        try:
            return self.database.senders().rows().roster()
        except StorageError as error:
            return EMPTY_ROSTER if error.kind == ErrorKind.NO_DATABASE else None

    def asks_for_keys(self) -> bool:
        """Whether the service, with these settings, lets in only who has a key."""
        roster = self.roster()
        return self.settings.auth == "required" or (
            self.settings.auth == "auto" and roster is not None and roster.has_credentials
        )


Check = Callable[[], Finding]


def ok(name: str, sentence: str) -> Finding:
    """Say that all is well."""
    return Finding(name, State.OK, sentence)


def warning(name: str, sentence: str, advice: str) -> Finding:
    """Say what may become wrong."""
    return Finding(name, State.WARNING, sentence, advice)


def wrong(name: str, sentence: str, advice: str) -> Finding:
    """Say what is wrong, and what to do."""
    return Finding(name, State.WRONG, sentence, advice)


def not_checked(name: str, sentence: str, advice: str = "") -> Finding:
    """Say what could not be told, and why."""
    return Finding(name, State.NOT_CHECKED, sentence, advice)


def graded(name: str, sentence: str, advice: str, *, bad: bool, doubtful: bool) -> Finding:
    """Choose between wrong, warning and ok, in this order."""
    if bad:
        return wrong(name, sentence, advice)
    return warning(name, sentence, advice) if doubtful else ok(name, sentence)


def of_all(each: Sequence[Iterable[Finding]], whose: Sequence[str]) -> Iterator[Finding]:
    """Yield for each check one finding from those of several processes: the worst, and whose it is."""
    worst = [State.WRONG, State.WARNING, State.NOT_CHECKED, State.OK]
    for findings in zip(*each, strict=True):
        state = min((finding.state for finding in findings), key=worst.index)
        chosen = [(finding, name) for finding, name in zip(findings, whose, strict=True) if finding.state is state]
        first = chosen[0][0]
        if len(findings) == 1:
            yield first
        elif state is State.OK:
            yield ok(first.name, f"each of {len(findings)} workers: {first.sentence}")
        else:
            sentence = "; ".join(f"{name}: {finding.sentence}" for finding, name in chosen)
            yield Finding(first.name, state, sentence, first.advice)


def unread(name: str, error: StorageError) -> Finding:
    """Say why the database did not answer a question."""
    if error.kind == ErrorKind.INTERRUPTED:
        return not_checked(name, "would have taken too long", "Ask again with --deep, at a quiet time.")
    if error.kind == ErrorKind.NO_DATABASE:
        return not_checked(name, "there is no database")
    return wrong(name, str(error), "See the runbook for storage errors; restore the file if it is damaged.")


def guarded(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Run checks that read the database, each on its own: one that cannot read must not hide the next."""
    for name, check in checks:
        try:
            yield check()
        except StorageError as error:
            yield unread(name, error)
