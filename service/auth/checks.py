"""Owns the checks of a known sender's requests beyond credentials: their network, their signature, their rate."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from service.auth.credentials import Credentials
from service.auth.limits import Limit, RateLimits, limit_of, retry_after
from service.auth.networks import Networks
from service.auth.signature import Secret
from service.auth.signature import check as check_signature
from service.core.outcome import Outcome, Rejected
from service.core.postback import RawPostback
from service.core.roster import Check, KnownKey, KnownSender, Roster

MOST_SENDERS = 10_000  # whose rates are tracked at once
_LARGE_BYTES = 256 * 1024  # of a body: hashing a larger one would delay other requests
_LARGE_AT_ONCE = 2  # hashed, each by a thread with a copy of its own

IdentifiedBy = Literal["credential", "signature", "default"]  # a good key or token, or the sender of what shows none


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a sender's requests must satisfy, made once from its row."""

    networks: Networks | None = None
    secrets: tuple[Secret, ...] = ()
    limit: Limit | None = None


class Checks:
    """Checks requests against the requirements in the roster that it was last given to follow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rates = RateLimits(limit_of(1), MOST_SENDERS)
        self._requirements: Mapping[str, Requirements] = {}
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    def follow(self, roster: Roster) -> None:
        """Use this roster from now on."""
        self._requirements = {name: _requirements(registered) for name, registered in roster.senders.items()}

    async def failed(
        self,
        raw: RawPostback,
        credentials: Credentials,
        registered: KnownSender,
        *,
        identified_by: IdentifiedBy,
    ) -> list[tuple[Check, Rejected]]:
        """Return each check that the request fails, and why, up to the first that is not report-only."""
        name = registered.sender.name
        requirements = self._requirements.get(name, _NO_REQUIREMENTS)
        failed: list[tuple[Check, Rejected]] = []
        checks: tuple[Check, ...] = ("address", "signature", "rate")
        for check in checks:
            try:
                if check == "address":
                    _address(raw, registered, requirements)
                elif check == "rate":
                    self._rate(registered, requirements)
                elif registered.signs and identified_by != "signature":
                    claimed = name if identified_by == "credential" else None
                    await self._verify(credentials, requirements.secrets, raw, claimed)
            except Rejected as refusal:
                failed.append((check, refusal.with_traceback(None)))  # it leads to the body, and back to this list
                if check not in registered.report_only:
                    break
        return failed

    def _rate(self, registered: KnownSender, requirements: Requirements) -> None:
        if requirements.limit and (wait := self._rates.take(registered.sender.name, requirements.limit, self._clock())):
            why = f"more than {requirements.limit.rate:g} a second from {registered.sender.name}"
            raise Rejected(Outcome.RATE_LIMITED, why, retry_after(wait))

    def charge(self, sender: str, postbacks: int) -> None:
        """Take the further postbacks of one request from the sender's rate: later requests wait for them."""
        limit = self._requirements.get(sender, _NO_REQUIREMENTS).limit
        if limit and postbacks:
            self._rates.charge(sender, limit, self._clock(), postbacks)

    async def signer(self, raw: RawPostback, credentials: Credentials, roster: Roster) -> KnownSender:
        """Return the sender who signed a request without other credentials. Raises `Rejected`."""
        known = {name: needed.secrets for name, needed in self._requirements.items() if needed.secrets}
        await self._verify(credentials, tuple(chain.from_iterable(known.values())), raw)  # says what is wrong, once
        for name, secrets in known.items():
            with suppress(Rejected):
                await self._verify(credentials, secrets, raw)
                return roster.senders[name]
        raise Rejected(Outcome.UNAUTHENTICATED, "no sender has the secret that this is signed with")

    async def _verify(
        self, credentials: Credentials, secrets: tuple[Secret, ...], raw: RawPostback, claimed: str | None = None
    ) -> None:
        """Raise `Rejected` unless a request is signed with one of the secrets; its body is read for that if need be.

        `claimed` is the sender whose good key or token was shown. Many large bodies may be here at once. They wait for
        their turn where their room can be taken from them, and are copied only then.
        """
        sent, complete, now = credentials.signed, raw.complete, raw.received_at.timestamp()
        if sent is None:
            raise Rejected(Outcome.UNAUTHENTICATED, "not signed: it has neither ts and sig nor the webhook- headers")
        read = credentials.body if secrets else None
        if read:
            body = await read(claimed)
            complete, sent = body is not None, sent._replace(body=body or b"")
            del body
        if not complete:
            raise Rejected(Outcome.UNAUTHENTICATED, "the body broke off, so its signature cannot be checked")
        if len(sent.body) <= _LARGE_BYTES:
            check_signature(sent, secrets, now)
            return
        if read:
            sent = sent._replace(body=b"")
        async with self._large:
            if read:
                sent = sent._replace(body=await read(claimed) or b"")
            await asyncio.to_thread(check_signature, sent, secrets, now)


def door_refusal(raw: RawPostback, registered: KnownSender, key: KnownKey | None) -> Rejected | None:
    """Return why a known sender may not use a door; None: it may."""
    if registered.disabled:
        return Rejected(Outcome.FORBIDDEN, f"the sender {registered.sender.name} is disabled")
    if key and raw.door not in key.doors:
        opened = ", ".join(sorted(key.doors))
        return Rejected(Outcome.FORBIDDEN, f"API key {key.id} is for the door {opened}, and not for {raw.door}")
    return None


def _address(raw: RawPostback, registered: KnownSender, requirements: Requirements) -> None:
    if requirements.networks is not None and not requirements.networks.contains(raw.client_ip):
        where = raw.client_ip or "an unknown address"
        raise Rejected(Outcome.FORBIDDEN, f"{registered.sender.name} does not send from {where}")


_NO_REQUIREMENTS = Requirements()


def _requirements(registered: KnownSender) -> Requirements:
    """Return the requirements of a sender. A list of networks or a secret that cannot be read lets nobody in."""
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
    return Requirements(networks, tuple(secrets), limit)
