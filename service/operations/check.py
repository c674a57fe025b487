"""Owns check: what would become of a postback URL if it were requested now. It is the straight line without *store*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from service.auth.access import Mode, access_of, start_refusal
from service.auth.authenticator import Authenticate, Authenticator, Caller
from service.auth.credentials import NO_CREDENTIALS, Credentials, shown_in
from service.auth.keys import id_in
from service.core.outcome import Diagnosis, Family, Outcome
from service.core.postback import (
    BATCH_PATH,
    DOORS,
    HEALTH_PATH,
    POSTBACK_PATHS,
    ConversionKey,
    Door,
    Postback,
    RawPostback,
    door_path,
    missed_door,
    sent_status,
)
from service.core.roster import Roster
from service.core.sender import Sender
from service.core.unavailable import ErrorKind, StorageError
from service.core.verdict import Understood, Verdict, Winner
from service.operations.errors import Refused
from service.operations.own_line import rehearsing, vouched
from service.operations.pasted_url import pasted
from service.storage.database import Database

_SENT = "".join(map(chr, range(0x21, 0x7F)))  # as it is; what else there is every client encodes
_LOCALHOST = b"localhost"  # whom a URL without a host is for: the service on this machine


class Listening(NamedTuple):
    """What the running service goes by when it asks who sent a postback (Authenticator)."""

    auth: Mode
    host: str
    sender: Sender
    roster: Roster


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of it.

    `sender` is whose it would be, and `known_by` by what; None if nobody can show that. `notes` say what was not
    looked at. `supposed` is what would become of it as the postback of the sender that a person named, where the door
    would not take it for that one's.
    """

    door: Door
    outcome: Outcome
    detail: str
    diagnosis: Diagnosis | None
    sender: str | None
    postback: Postback | None
    known_by: str | None = None
    notes: tuple[str, ...] = ()
    supposed: "Foreseen | None" = None
    advice: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it would be accepted, and as the postback of the sender that was named, if one was."""
        return self.outcome.family is Family.ACCEPTED and self.supposed is None

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return sent_status(self.door, self.outcome, detail=self.detail)

    @property
    def hint(self) -> str:
        """What the sender should do."""
        return self.diagnosis.advice if self.diagnosis else self.advice or self.outcome.hint

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
            "known_by": self.known_by,
            "fields": self.fields,
            "notes": list(self.notes),
            "supposed": self.supposed and self.supposed.members(),
        }


async def check(
    url: str, listening: Listening, database: Database, *, key: str = "", supposed: Sender | None = None
) -> Foreseen:
    """Return what the door would answer to a URL, with the API key that a header would show beside it.

    `supposed`: the sender that a person says it is. If the door would not take it for that sender's, what would become
    of it then is told as well.

    Raises Refused for what is no URL of a postback, or is answered 404 and not kept, and StorageError when the database
    cannot be asked; without a database nothing is stored.
    """
    text, notes = pasted(url)
    raw, query, cut = _request(text)
    bare, credentials = shown_in(query, [(b"x-api-key", key.encode())] if key else (), b"")
    raw = raw._replace(query=bare)
    door = _Door(listening)
    answer = await _foreseen(raw, credentials, door, database) if door.may_know(raw, credentials) else None
    if answer is None:
        there = " or ".join(path for path in DOORS if path != BATCH_PATH)
        raise Refused(f"{raw.path or 'no path'}: postbacks go to {there}; this is {_to_a_stranger(raw)}, and not kept")
    notes = (*notes, *(["left out: what follows #, which is never sent"] if cut else []), *door.unasked(credentials))
    answer = replace(answer, known_by=door.known_by(credentials), notes=notes)
    if supposed is None or (door.caller and door.caller.sender == supposed):
        return answer
    return replace(answer, supposed=await _foreseen(raw, NO_CREDENTIALS, vouched(Caller(supposed)), database))


async def _foreseen(
    raw: RawPostback, credentials: Credentials, authenticate: Authenticate, database: Database
) -> Foreseen | None:
    """Return what would become of it; None: it came by a path that is no door's, and nobody known sent it."""
    heard: list[tuple[Understood, Verdict]] = []

    def told(_raws: object, understood: Sequence[Understood], verdicts: Sequence[Verdict]) -> None:
        heard.extend(zip(understood, verdicts, strict=True))

    asking = _Asking(database)
    line = rehearsing(asking.winners, authenticate, told)
    await (line.receive_stray if missed_door(raw.method, raw.path) else line.receive)(raw, credentials)
    if not heard:
        return None
    ((one, verdict),) = heard
    diagnosis, sender = (None, None) if isinstance(one, Verdict) else (one.diagnosis, one.sender)
    postback = one if isinstance(one, Postback) else None
    detail = verdict.detail or asking.absent
    return Foreseen(
        raw.door, verdict.outcome, detail, verdict.diagnosis or diagnosis, sender, postback, advice=verdict.advice
    )


def _to_a_stranger(raw: RawPostback) -> str:
    """Say how a request is answered that came to no door, and that nobody known sent."""
    if raw.path == HEALTH_PATH:
        return "answered 200, as a question after the service's health"
    if door_path(unquote(raw.path)) == BATCH_PATH:
        return f"answered 405: a batch is sent as POST, with its rows in the body (check one as {POSTBACK_PATHS[0]}?…)"
    return "answered 404"


class _Door:
    """Says who asks as the running service does, and remembers it; but from which address is not in a URL."""

    def __init__(self, listening: Listening) -> None:
        self._registered = listening.roster.senders
        self._no_start = start_refusal(listening.auth, listening.host, listening.roster)
        self._open = access_of(listening.auth, listening.host, listening.roster) == "open"
        self._authenticate = Authenticator(listening.auth, listening.host, listening.sender)
        senders = {name: replace(one, networks=()) for name, one in self._registered.items()}
        self._authenticate.follow(replace(listening.roster, senders=senders))
        self.caller: Caller | None = None

    async def __call__(self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS) -> Caller:
        """Return who sent it. Raises `Rejected`."""
        self.caller = await self._authenticate(raw, credentials)
        return self.caller

    def may_know(self, raw: RawPostback, credentials: Credentials) -> bool:
        """Tell whether it can be known who sent it; of what misses every door nobody else is asked."""
        at_door = missed_door(raw.method, raw.path) is None
        return at_door or credentials.shown or self._authenticate.at_once(raw, credentials) is not None

    def known_by(self, credentials: Credentials) -> str | None:
        """Say by what it is known whose it is; None if it is not."""
        if self.caller is None:
            return None
        if self._open:
            return "open mode: no key is asked for"
        if any(failed.check == "credentials" for failed in self.caller.would_reject):
            return "report-only credentials: it shows no good key for this door"
        return f"API key {id_in(credentials.keys[0])}" if credentials.keys else "signature"

    def unasked(self, credentials: Credentials) -> list[str]:
        """Say what was not looked at."""
        notes = [f"with these settings the service does not start: {self._no_start}"] if self._no_start else []
        if self._open and credentials.keys:
            notes.append("the key was not looked at: in open mode none is asked for")
        known = self._registered.get(self.caller.sender.name) if self.caller and not self._open else None
        if known and known.networks:
            networks = ", ".join(known.networks)
            notes.append(f"not checked: where it comes from; {known.sender.name} may send from {networks} only")
        return notes


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


def _request(url: str) -> tuple[RawPostback, bytes, bool]:
    """Return the request that a URL makes, its whole query, with what proves its sender, and whether a # cuts it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from None
    query = quote(parts.query.encode("utf-8", "surrogateescape"), safe=_SENT)
    return _raw(parts), query.encode(), bool(parts.fragment)


def _raw(parts: SplitResult) -> RawPostback:
    return RawPostback(
        door=DOORS[door_path(unquote(parts.path)) or POSTBACK_PATHS[0]],
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
