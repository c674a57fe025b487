"""Owns check: what would become of a postback URL if it were requested now. It is the straight line without *store*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from service.auth.access import Mode
from service.auth.authenticator import Authenticate, Authenticator, Caller
from service.auth.credentials import shown_in
from service.core.outcome import Diagnosis, Outcome
from service.core.postback import (
    BATCH_PATH,
    DOORS,
    POSTBACK_PATHS,
    ConversionKey,
    Door,
    Postback,
    RawPostback,
    sent_status,
)
from service.core.roster import KnownSender, Roster
from service.core.sender import Sender
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Understood, Verdict, Winner
from service.operations.errors import Refused
from service.operations.own_line import rehearsing, vouched
from service.storage.database import Database

_LOCALHOST = b"localhost"  # whom a URL without a host is for: the service on this machine


class Listening(NamedTuple):
    """What the running service goes by when it asks who sent a postback (Authenticator)."""

    auth: Mode
    host: str
    sender: Sender
    roster: Roster


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of it. `sender` is whose it would be, None if nobody can show that."""

    door: Door
    outcome: Outcome
    detail: str
    diagnosis: Diagnosis | None
    sender: str | None
    postback: Postback | None

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return sent_status(self.door, self.outcome)

    @property
    def hint(self) -> str:
        """What the sender should do."""
        return self.diagnosis.advice if self.diagnosis else self.outcome.hint

    @property
    def fields(self) -> dict[str, object] | None:
        """The fields that were understood and have a value; None if nothing was."""
        if self.postback is None:
            return None
        names = ("sender", "click_id", "value", "currency", "goal", "transaction_id", "is_test", "params")
        named = {name: getattr(self.postback, name) for name in names}
        return {name: dict(value) if name == "params" else value for name, value in named.items() if value}

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        return {
            "outcome": self.outcome.value,
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
            "mistake": self.diagnosis and self.diagnosis.mistake,
            "sender": self.sender,
            "fields": self.fields,
        }


async def check(url: str, whose: Listening | Sender, database: Database) -> Foreseen:
    """Return what would become of a URL: of the sender that its key makes it, or of one that somebody vouches for.

    Raises Refused for what is no URL of a postback, and StorageError when the database cannot be asked; without a
    database nothing is stored.
    """
    raw, query = _request(url)
    bare, credentials = shown_in(query, (), b"")
    raw = raw._replace(query=bare)
    heard: list[tuple[Understood, Verdict]] = []

    def told(_raws: object, understood: Sequence[Understood], verdicts: Sequence[Verdict]) -> None:
        heard.extend(zip(understood, verdicts, strict=True))

    asking = _Asking(database)
    authenticate = vouched(Caller(whose)) if isinstance(whose, Sender) else _authenticator(whose)
    await rehearsing(asking.winners, authenticate, told).receive(raw, credentials)
    ((one, verdict),) = heard
    diagnosis, sender = (None, None) if isinstance(one, Verdict) else (one.diagnosis, one.sender)
    postback = one if isinstance(one, Postback) else None
    detail = verdict.detail or asking.absent
    return Foreseen(raw.door, verdict.outcome, detail, verdict.diagnosis or diagnosis, sender, postback)


class _Asking:
    """Asks what is stored; `absent` says why there is nothing to ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.absent = ""

    def winners(self, postbacks: Sequence[Postback]) -> Mapping[ConversionKey, Winner]:
        if not postbacks:
            return {}
        try:
            return self._database.history().winners(postbacks)
        except StorageError as error:
            if error.kind != ErrorKind.NO_DATABASE:
                raise
            self.absent = f"not compared with what is stored: {error}"
            return {}


def _authenticator(listening: Listening) -> Authenticate:
    """Return who asks as the running service does, but not from which address it comes: that is not in a URL."""
    authenticator = Authenticator(listening.auth, listening.host, listening.sender)
    senders = {name: _from_anywhere(one) for name, one in listening.roster.senders.items()}
    authenticator.follow(replace(listening.roster, senders=senders))
    return authenticator


def _from_anywhere(registered: KnownSender) -> KnownSender:
    return replace(registered, networks=())


def _request(url: str) -> tuple[RawPostback, bytes]:
    """Return the request that a URL makes, and its whole query, with what proves its sender."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from None
    if parts.path not in DOORS:
        where = f"{parts.path or 'no path'}: postbacks go to {' or '.join(DOORS)}"
        raise Refused(f"{where}; this would be answered 404")
    if parts.path == BATCH_PATH:
        how = f"check a row of it as {POSTBACK_PATHS[0]}?…"
        raise Refused(f"{BATCH_PATH} takes a body and no parameters; {how}")
    return _raw(parts), parts.query.encode("utf-8", "surrogateescape")


def _raw(parts: SplitResult) -> RawPostback:
    return RawPostback(
        door=DOORS[parts.path],
        method="GET",
        path=parts.path,
        query=b"",
        content_type="",
        content_encoding="",
        body=b"",
        complete=True,
        host=parts.netloc.encode("utf-8", "surrogateescape") or _LOCALHOST,
        forwarded=False,
        client_ip="",
        received_at=datetime.now(UTC),
        request_id="",
        trace_id="",
    )
