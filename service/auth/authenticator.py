"""Owns the decision who sent a postback: by its credentials, or in open mode direct requests to a loopback name.

The order is: which sender is it (an API key; the place for tokens and signatures is `_identify`), may it use this door,
and then what else is asked of that sender (`checks`). What fails a check that the sender has as report-only is accepted
and told.
"""

import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from service.auth.credentials import NOTHING, Credentials
from service.auth.keys import find_key
from service.log import Log
from service.outcome import Outcome, Rejected
from service.postback import RawPostback
from service.roster import Check, Registered, Roster
from service.sender import EZMOB, Sender
from service.storage.engine import StorageError

Mode = Literal["auto", "required", "open"]
Stance = Literal["open", "required", "unknown"]
Refusal = Rejected | None

_KEY_COMMAND = "python -m service keys create ezmob"
UNKNOWN_ROSTER = "ROSTER"  # the kind of StorageError that says: who is registered has not been read yet


class StartRefused(Exception):  # noqa: N818 - a decision, not an error
    """The service may not start with this combination of address and credentials; the message says what to do."""


class WouldReject(NamedTuple):
    """A check that failed and was only reported, and the outcome that it would have been."""

    check: Check
    outcome: Outcome


class Caller(NamedTuple):
    """Who sent a postback; `is_test`: with a key for tests; `refusal` is why it is not accepted all the same."""

    sender: Sender
    is_test: bool = False
    refusal: Refusal = None
    would_reject: tuple[WouldReject, ...] = ()


class Authenticate(Protocol):
    """The question who sent a postback. Raises `Rejected` for nobody known, StorageError when it cannot be told now."""

    async def __call__(self, raw: RawPostback, credentials: Credentials = NOTHING, /) -> Caller:
        """Return who it is."""


class Proof(NamedTuple):
    """Whose credentials they are, what to call them in a detail, which doors they open; `key_id` is an API key's."""

    registered: Registered
    what: str
    doors: frozenset[str]
    is_test: bool = False
    key_id: str = ""


class SenderCheck(NamedTuple):
    """One more question about a request of a known sender: why it is refused, or None."""

    name: Check
    refusal: Callable[[RawPostback, Credentials, Registered], Refusal]


class Authenticator:
    """Authenticates by the roster that it was last told to follow. `used` hears of each key that let somebody in."""

    def __init__(self, mode: Mode, host: str, sender: Sender, log: Log, checks: Sequence[SenderCheck] = ()) -> None:
        self.used: Callable[[str, datetime], None] = lambda _key, _at: None
        self._mode: Mode = mode
        self._host = host
        self._sender = sender
        self._log = log.logger
        self._checks = checks
        self._roster: Roster | None = None
        self._lenient: Registered | None = None
        self._stance: Stance = "unknown"
        self._introduced = False

    def assert_may_start(self) -> None:
        """Raise StartRefused when mode, address and roster do not go together."""
        if refusal := start_refusal(self._mode, self._host, self._roster):
            raise StartRefused(refusal)

    def follow(self, roster: Roster | None) -> None:
        """Go by this roster from now on (None: it could not be read yet), and say so where that changes the rules."""
        before, self._stance = self._stance, _stance(self._mode, self._host, roster)
        self._roster = roster
        self._lenient = roster.lenient if roster else None
        if self._introduced and self._stance != before:
            self.introduce()

    def introduce(self) -> None:
        """Say in the log who is let in, now and whenever that changes."""
        self._introduced = True
        level, event, detail = _SAID[self._stance]
        self._log.log(level, event, detail=detail)

    async def __call__(self, raw: RawPostback, credentials: Credentials = NOTHING) -> Caller:
        """Return who sent a postback. API keys are looked up in memory, and nothing is awaited for them."""
        roster = self._roster
        if self._stance == "open":
            return Caller(authenticate_open(raw, self._sender))
        if roster is None:
            return self._without_roster(raw, credentials)
        try:
            proof = await self._identify(raw, credentials, roster)
        except Rejected as rejected:
            if self._lenient is None:
                raise
            failed = WouldReject("credentials", rejected.outcome)
            return self._checked(raw, credentials, self._lenient, Caller(self._lenient.sender, would_reject=(failed,)))
        registered = proof.registered
        caller = Caller(registered.sender, proof.is_test)
        if refusal := _door_refusal(raw, proof):
            if registered.disabled or "credentials" not in registered.report_only:
                return caller._replace(refusal=refusal)
            caller = caller._replace(would_reject=(WouldReject("credentials", refusal.outcome),))
        if proof.key_id:
            self.used(proof.key_id, raw.received_at)
        return self._checked(raw, credentials, registered, caller)

    async def _identify(self, raw: RawPostback, credentials: Credentials, roster: Roster) -> Proof:
        """Return whose credentials these are: the place where another kind of them is asked. Raises `Rejected`."""
        if credentials.number > 1:
            raise Rejected(Outcome.UNAUTHENTICATED, "two different credentials in one request: send one of them")
        if credentials.token:
            raise Rejected(Outcome.UNAUTHENTICATED, "the bearer token is not an API key: they begin with pbk_")
        if not credentials.keys:
            raise Rejected(Outcome.UNAUTHENTICATED, "no API key was sent")
        return _proof_by_key(credentials.keys[0], raw.received_at, roster)

    def _checked(self, raw: RawPostback, credentials: Credentials, registered: Registered, caller: Caller) -> Caller:
        """Ask what else is asked of this sender's requests; the first refusal that is not report-only stands."""
        for name, refusal_of in self._checks:
            if refusal := refusal_of(raw, credentials, registered):
                if name not in registered.report_only:
                    return caller._replace(refusal=refusal)
                failed = WouldReject(name, refusal.outcome)
                caller = caller._replace(would_reject=(*caller.would_reject, failed))
        return caller

    def _without_roster(self, raw: RawPostback, credentials: Credentials) -> Caller:
        """Judge while nobody knows who is registered: a 401 would make a sender give up, and it is not its fault.

        Where no key may ever have been made, a direct request without one is what it always was.
        """
        if self._mode == "auto" and is_loopback(self._host) and not credentials.number:
            try:
                return Caller(authenticate_open(raw, self._sender))
            except Rejected:
                pass
        raise StorageError("who is registered could not be read since the start: the database is away", UNKNOWN_ROSTER)


def start_refusal(mode: Mode, host: str, roster: Roster | None) -> str | None:
    """Say why the service may not start like this, None if it may. An unknown roster keeps nobody from starting."""
    if mode == "open" or roster is None or roster.has_credentials:
        return None
    if mode == "required":
        return (
            "POSTBACK_AUTH=required: no API key is registered, so every postback would be refused. Make one with "
            f"`{_KEY_COMMAND}`, or use POSTBACK_AUTH=auto on a loopback address."
        )
    if is_loopback(host):
        return None
    return (
        f"POSTBACK_HOST={host}: no API key is registered, and without one anybody who reaches this address could store "
        f"conversions. Make one with `{_KEY_COMMAND}`, or bind a loopback address such as 127.0.0.1."
    )


def _stance(mode: Mode, host: str, roster: Roster | None) -> Stance:
    """Once something is registered, `auto` means required; on a public address it never means open."""
    if mode == "open":
        return "open"
    if roster is None:
        return "unknown"
    return "open" if mode == "auto" and is_loopback(host) and not roster.has_credentials else "required"


_SAID: dict[Stance, tuple[int, str, str]] = {
    "open": (30, "open_mode", "no API key is asked for: every direct request to a loopback name is accepted"),
    "required": (20, "keys_required", "only requests with valid credentials are accepted"),
    "unknown": (40, "roster_unknown", "the database is away and no copy of the roster is here: keys cannot be checked"),
}


def _proof_by_key(text: str, now: datetime, roster: Roster) -> Proof:
    key = find_key(text, roster.by_secret)
    if not key.live(now):
        ended, at = ("was revoked", key.revoked_at) if key.revoked_at else ("expired", key.expires_at)
        when = f" at {at:%Y-%m-%d %H:%M} UTC" if at else ""
        raise Rejected(Outcome.UNAUTHENTICATED, f"API key {key.id} {ended}{when}")
    registered = roster.senders.get(key.sender)
    if registered is None:
        raise Rejected(Outcome.UNAUTHENTICATED, f"API key {key.id} belongs to no registered sender")
    return Proof(registered, f"API key {key.id}", key.doors, key.is_test, key.id)


def _door_refusal(raw: RawPostback, proof: Proof) -> Refusal:
    if proof.registered.disabled:
        return Rejected(Outcome.FORBIDDEN, f"the sender {proof.registered.sender.name} is disabled")
    if raw.door not in proof.doors:
        opened = ", ".join(sorted(proof.doors))
        return Rejected(Outcome.FORBIDDEN, f"{proof.what} is for the door {opened}, and not for {raw.door}")
    return None


def authenticate_open(raw: RawPostback, sender: Sender = EZMOB) -> Sender:
    """Take a direct request to a loopback name for the sender's; raise `Rejected` for any other.

    A proxy in front, or a web page whose name was rebound to 127.0.0.1, reaches a loopback listener too: the first
    shows by its forwarding header, the second by its Host.
    """
    if raw.forwarded:
        raise Rejected(Outcome.UNAUTHENTICATED, "open mode, and the request came through a proxy")
    if not _is_loopback_authority(raw.host):
        raise Rejected(Outcome.UNAUTHENTICATED, f"open mode, and the Host is {raw.host[:80]!r}")
    return sender


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be reached from this machine."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _is_loopback_authority(authority: bytes) -> bool:
    host = authority.decode("latin-1")
    name, colon, port = host.rpartition(":")
    return is_loopback(name if colon and port.isdigit() else host)
