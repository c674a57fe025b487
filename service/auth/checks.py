"""Owns what else is asked of a known sender's requests: where they come from, their signature, how many come."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from service.auth.credentials import Credentials
from service.auth.limits import Limit, RateLimits, limit_of, retry_after
from service.auth.networks import Networks
from service.auth.signature import Secret, Sent
from service.auth.signature import check as check_signature
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback
from service.core.roster import Check, Registered, Roster

MOST_SENDERS = 10_000  # whose rates are known at once
_LARGE_BYTES = 256 * 1024  # of a body: signing it takes long enough for others to notice


@dataclass(frozen=True, slots=True)
class Demands:
    """What a sender's requests are held to, made once from its row."""

    networks: Networks | None = None
    secrets: tuple[Secret, ...] = ()
    limit: Limit | None = None


class Checks:
    """Holds requests to the demands of the roster that it was last told to follow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rates = RateLimits(limit_of(1), MOST_SENDERS)
        self._demands: Mapping[str, Demands] = {}

    def follow(self, roster: Roster) -> None:
        """Go by this roster from now on."""
        self._demands = {name: _demands(registered) for name, registered in roster.senders.items()}

    async def failed(
        self, raw: RawPostback, credentials: Credentials, registered: Registered, *, signed: bool
    ) -> list[tuple[Check, Rejected]]:
        """Return each check that the request fails, and why, up to the first that is not report-only.

        `signed`: its signature was found to be good already.
        """
        demands = self._demands.get(registered.sender.name, _NOTHING)
        failed: list[tuple[Check, Rejected]] = []
        checks: tuple[Check, ...] = ("address", "signature", "rate")
        for check in checks:
            try:
                if check == "address":
                    _address(raw, registered, demands)
                elif check == "rate":
                    self._rate(registered, demands)
                elif registered.signs and not signed:
                    await verify(credentials.signed, demands.secrets, raw)
            except Rejected as refusal:
                failed.append((check, refusal))
                if check not in registered.report_only:
                    break
        return failed

    def _rate(self, registered: Registered, demands: Demands) -> None:
        if demands.limit and (wait := self._rates.take(registered.sender.name, demands.limit, self._clock())):
            why = f"more than {demands.limit.rate:g} a second from {registered.sender.name}"
            raise Rejected(Outcome.RATE_LIMITED, why, retry_after(wait))

    def weigh(self, sender: str, postbacks: int) -> None:
        """Count postbacks that came in one request beside its first: what follows waits until they are paid off."""
        limit = self._demands.get(sender, _NOTHING).limit
        if limit and postbacks:
            self._rates.owe(sender, limit, self._clock(), postbacks)

    async def signer(self, raw: RawPostback, credentials: Credentials, roster: Roster) -> Registered:
        """Return the sender who signed a request that shows nothing else. Raises `Rejected`."""
        known = {name: demands.secrets for name, demands in self._demands.items() if demands.secrets}
        await verify(credentials.signed, tuple(chain.from_iterable(known.values())), raw)  # says what is wrong, once
        for name, secrets in known.items():
            with suppress(Rejected):
                await verify(credentials.signed, secrets, raw)
                return roster.senders[name]
        raise Rejected(Outcome.UNAUTHENTICATED, "no sender has the secret that this is signed with")


def _address(raw: RawPostback, registered: Registered, demands: Demands) -> None:
    if demands.networks is not None and not demands.networks.include(raw.client_ip):
        where = raw.client_ip or "an unknown address"
        raise Rejected(Outcome.FORBIDDEN, f"{registered.sender.name} does not send from {where}")


async def verify(sent: Sent | None, secrets: tuple[Secret, ...], raw: RawPostback) -> None:
    """Raise `Rejected` unless a request is signed with one of the secrets."""
    if sent is None:
        raise Rejected(Outcome.UNAUTHENTICATED, "not signed: it has neither ts and sig nor the webhook- headers")
    if not raw.complete:
        raise Rejected(Outcome.UNAUTHENTICATED, "the body broke off, so its signature cannot be checked")
    now = raw.received_at.timestamp()
    if len(sent.body) > _LARGE_BYTES:
        await asyncio.to_thread(check_signature, sent, secrets, now)
    else:
        check_signature(sent, secrets, now)


_NOTHING = Demands()


def _demands(registered: Registered) -> Demands:
    """Return what a row says. A list of networks or a secret that cannot be read lets nobody in."""
    try:
        networks = Networks.parse(",".join(registered.networks)) if registered.networks else None
    except ValueError:
        networks = Networks.parse("")
    secrets = []
    for text in registered.signing_secrets:
        try:
            secrets.append(Secret.read(text))
        except ValueError:
            continue
    limit = limit_of(registered.rate_per_second) if registered.rate_per_second else None
    return Demands(networks, tuple(secrets), limit)
