"""Owns authentication: who sent a postback, by its credentials, or in open mode by a direct request to a loopback name.

The order is: identify the sender (by an API key, a token or a signature), check the door, then check what else this
sender requires (checks.py). A failed check that is report-only for the sender is accepted and reported. Requests
without valid credentials are rate-limited by address.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import NamedTuple, Protocol

from service.auth.access import ACCESS_LINES, Access, Mode, StartRefused, access_of, start_refusal
from service.auth.checks import Checks, IdentifiedBy, door_refusal
from service.auth.credentials import NO_CREDENTIALS, Credentials, key_elsewhere
from service.auth.keys import verified_key
from service.auth.limits import RateLimits, bucket_of, limit_of, retry_after
from service.auth.networks import is_loopback
from service.auth.oauth.issuer import KeysUnavailable
from service.auth.open_mode import authenticate_open
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback
from service.core.roster import Check, KnownKey, KnownSender, Roster
from service.core.sender import Sender
from service.core.unavailable import Unavailable
from service.telemetry.log import Log

Refusal = Rejected | None


class RosterUnknown(Unavailable):
    """The roster was never read: the database has been unavailable since the start, and there is no copy."""


class WouldReject(NamedTuple):
    """A report-only check that failed, and the outcome that it would have had."""

    check: Check
    outcome: Outcome


class Caller(NamedTuple):
    """Who sent a postback.

    `is_test`: the key is for tests; `key_id` is its public id, where the sender is known by one. `refusal`: why a known
    sender's postback is rejected all the same. `charge` takes the further postbacks of a batch from the sender's rate
    limit: it is called with their number.
    """

    sender: Sender
    is_test: bool = False
    refusal: Refusal = None
    would_reject: tuple[WouldReject, ...] = ()
    charge: Callable[[int], None] = lambda _: None
    key_id: str | None = None


class Authenticate(Protocol):
    """Authenticates a postback. Raises `Rejected` for an unknown caller, Unavailable if that cannot be decided now."""

    async def __call__(self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS, /) -> Caller:
        """Return the caller."""


_NO_PROOF = "no API key was sent, and nothing else that proves its sender"


class _Identified(NamedTuple):
    """The sender of a request, and by what it is known; `key` is the API key, if it is by one.

    `plain`: nothing more is asked of it than a key that is good for the door.
    """

    registered: KnownSender
    key: KnownKey | None
    by: IdentifiedBy
    caller: Caller  # if nothing is wrong
    plain: bool


def _identified(registered: KnownSender, key: KnownKey | None = None, by: IdentifiedBy = "credential") -> _Identified:
    caller = Caller(registered.sender, key is not None and key.is_test, key_id=key.id if key else None)
    return _Identified(registered, key, by, caller, plain=not (registered.has_requirements or registered.disabled))


def _registered(key: KnownKey, roster: Roster) -> _Identified:
    """Return the sender of a key. Raises `Rejected`."""
    registered = roster.senders.get(key.sender)
    if registered is None:
        why = f"API key {key.id} belongs to no registered sender"
        raise Rejected(Outcome.UNAUTHENTICATED, why, is_test=key.is_test)
    return _identified(registered, key)


# A bearer token → its subject. Calls the last before it asks the issuer; raises Rejected, KeysUnavailable.
Verify = Callable[[str, datetime, Callable[[], None]], Awaitable[str]]


class Authenticator:
    """Authenticates by the roster that it was last given to follow. `used` is called with each key that was accepted.

    `verify` verifies bearer tokens, where an issuer is configured; `strangers` is how many unauthenticated postbacks a
    second one address may send (0: any number) before the answer is 429.
    """

    def __init__(  # noqa: PLR0913 - what decides
        self,
        mode: Mode,
        host: str,
        sender: Sender,
        log: Log | None = None,
        *,
        verify: Verify | None = None,
        strangers: int = 0,
    ) -> None:
        self.used: Callable[[str, datetime], None] = lambda _key, _at: None
        self.never_keep: frozenset[str] = frozenset()  # of what proves no sender
        self._mode: Mode = mode
        self._host = host
        self._sender = sender
        self._log = log.logger if log else None
        self._verify = verify
        self._checks = Checks()
        self._strangers = limit_of(strangers) if strangers else None
        self._addresses = RateLimits(self._strangers or limit_of(1))
        self._roster: Roster | None = None
        self._found: dict[str, _Identified] = {}  # by their API keys
        self._fallback: KnownSender | None = None
        self._access: Access = "unknown"
        self._announced = False

    def assert_may_start(self) -> None:
        """Raise StartRefused when mode, address and roster do not go together."""
        if refusal := start_refusal(self._mode, self._host, self._roster):
            raise StartRefused(refusal)

    def follow(self, roster: Roster | None) -> None:
        """Use this roster from now on (None: it could not be read yet); log it if that changes who is let in."""
        before, self._access = self._access, access_of(self._mode, self._host, roster)
        self._roster = roster
        self._found = {}
        self._fallback = roster.fallback_sender if roster else None
        self.never_keep = roster.never_keep if roster else self.never_keep
        self._anybody = Caller(replace(self._sender, never_keep=self.never_keep))
        if roster:
            self._checks.follow(roster)
        if self._announced and self._access != before:
            self.log_access()

    def log_access(self) -> None:
        """Log who is let in, now and whenever that changes."""
        self._announced = True
        level, event, detail = ACCESS_LINES[self._access]
        if self._log:
            self._log.log(level, event, detail=detail)

    def at_once(self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS) -> Caller | None:
        """Return who sent a postback, if that needs no waiting and nothing is wrong; None: ask who it is."""
        if self._access == "open":
            try:
                authenticate_open(raw, self._sender)
            except Rejected:
                return None
            return self._anybody
        keys, token, _, _ = credentials
        found = self._found.get(keys[0]) if len(keys) == 1 and not token else None
        if found is None or not found.plain:
            return None
        _, key, _, caller, _ = found
        if key is None or raw.door not in key.doors or not key.live(raw.received_at):
            return None
        self.used(key.id, raw.received_at)
        return caller

    async def __call__(self, raw: RawPostback, credentials: Credentials = NO_CREDENTIALS) -> Caller:
        """Return who sent a postback."""
        wait = cache(lambda: self._charged(raw.client_ip))  # once a request
        try:
            if self._access == "open":
                authenticate_open(raw, self._sender)
                return self._anybody
            if self._roster is None:
                return self._without_roster(raw, credentials)
            return await self._who(raw, credentials, self._roster, wait)
        except Rejected as rejected:
            raise self._of_a_stranger(rejected, wait()) from None

    async def _who(
        self, raw: RawPostback, credentials: Credentials, roster: Roster, wait: Callable[[], float]
    ) -> Caller:
        try:
            found = await self._identify(raw, credentials, roster, wait)
        except (Rejected, Unavailable) as error:
            if self._fallback is None:
                raise
            outcome = error.outcome if isinstance(error, Rejected) else Outcome.STORAGE_UNAVAILABLE
            is_test = isinstance(error, Rejected) and error.is_test
            caller = Caller(self._fallback.sender, is_test, would_reject=(WouldReject("credentials", outcome),))
            return await self._checked(raw, credentials, _identified(self._fallback, by="default"), caller)
        return await self._checked(raw, credentials, found, self._admitted(raw, found))

    def _admitted(self, raw: RawPostback, found: _Identified) -> Caller:
        """Return the caller, with a refusal if it may not use this door."""
        registered, key, _, caller, _ = found
        if refusal := door_refusal(raw, registered, key):
            if registered.disabled or "credentials" not in registered.report_only:
                return caller._replace(refusal=refusal)
            caller = caller._replace(would_reject=(WouldReject("credentials", refusal.outcome),))
        if key:
            self.used(key.id, raw.received_at)
        return caller

    def _charged(self, client_ip: str) -> float:
        """Charge an address for an unauthenticated request; return the seconds to wait if it sends too many."""
        limit = self._strangers
        return self._addresses.take(bucket_of(client_ip), limit, time.monotonic()) if limit else 0.0

    def _of_a_stranger(self, rejected: Rejected, wait: float) -> Rejected:
        """Return the rejection of an unauthenticated request, or `rate_limited` if its address sends too many."""
        if not wait or self._strangers is None:
            return rejected
        why = f"more than {self._strangers.rate:g} a second from one address, and: {rejected.detail}"
        return Rejected(Outcome.RATE_LIMITED, why, retry_after(wait), is_test=rejected.is_test)

    async def _identify(
        self, raw: RawPostback, credentials: Credentials, roster: Roster, wait: Callable[[], float]
    ) -> _Identified:
        """Return whose credentials these are. Raises `Rejected`, and Unavailable if that cannot be decided now."""
        if credentials.number > 1:
            raise Rejected(Outcome.UNAUTHENTICATED, "two different credentials in one request: send one of them")
        if credentials.keys:
            return self._by_key(raw, credentials.keys[0], roster)
        if credentials.token:
            return await self._by_token(raw, credentials.token, roster, wait)
        if credentials.signed:
            return _identified(await self._checks.signer(raw, credentials, roster), by="signature")
        elsewhere = key_elsewhere(raw.query, raw.body)
        why = f"no API key was sent where one belongs: {elsewhere}" if elsewhere else _NO_PROOF
        raise Rejected(Outcome.UNAUTHENTICATED, why)

    async def _by_token(self, raw: RawPostback, token: str, roster: Roster, wait: Callable[[], float]) -> _Identified:
        def ask() -> None:
            if wait():
                raise Rejected(Outcome.UNAUTHENTICATED, "the token names no known key")

        if self._verify is None:
            raise Rejected(Outcome.UNAUTHENTICATED, "the bearer token is not an API key: they begin with pbk_")
        try:
            subject = await self._verify(token, raw.received_at, ask)
        except KeysUnavailable as error:
            raise KeysUnavailable(f"the token cannot be checked now: {error}") from None
        registered = roster.by_subject.get(subject)
        if registered is None:
            raise Rejected(Outcome.FORBIDDEN, f"a good token, and no sender has the oauth_subject {subject[:80]!a}")
        return _identified(registered)

    def _by_key(self, raw: RawPostback, shown: str, roster: Roster) -> _Identified:
        """Return whose API key this is. A good one is remembered: to hash it again costs a tenth of a request."""
        found = self._found.get(shown)
        if found is None:
            found = self._found[shown] = _registered(verified_key(shown, roster.by_secret), roster)
        key = found.key
        if key and not key.live(raw.received_at):
            ended, at = ("was revoked", key.revoked_at) if key.revoked_at else ("expired", key.expires_at)
            when = f" at {at:%Y-%m-%d %H:%M} UTC" if at else ""
            raise Rejected(Outcome.UNAUTHENTICATED, f"API key {key.id} {ended}{when}", is_test=key.is_test)
        return found

    async def _checked(self, raw: RawPostback, credentials: Credentials, found: _Identified, caller: Caller) -> Caller:
        """Check this sender's other requirements; the first refusal that is not report-only stands."""
        registered = found.registered
        if caller.refusal or not registered.has_requirements:
            return caller
        name = registered.sender.name
        caller = caller._replace(charge=lambda postbacks: self._checks.charge(name, postbacks))
        for check, refusal in await self._checks.failed(raw, credentials, registered, identified_by=found.by):
            if check not in registered.report_only:
                return caller._replace(refusal=refusal)
            caller = caller._replace(would_reject=(*caller.would_reject, WouldReject(check, refusal.outcome)))
        return caller

    def _without_roster(self, raw: RawPostback, credentials: Credentials) -> Caller:
        """Authenticate while the roster is unknown: a 401 would make a sender give up, and the fault is ours.

        On a loopback address in mode auto, a direct request without credentials is accepted, as in open mode.
        """
        if self._mode == "auto" and is_loopback(self._host) and not credentials.number:
            try:
                return Caller(authenticate_open(raw, self._sender))
            except Rejected:
                pass
        raise RosterUnknown("who is registered could not be read since the start: the database is away")
