"""Owns the sending: so many workers, with one connection each, send the postbacks at the given rate and retry them."""

import asyncio
import itertools
import math
import random
import re
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio.lowlevel
import httpx2

from service.cli.send.tally import Answer, Tally
from service.cli.send.values import MACROS, invented_urls
from service.core import macros, retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BODY_KEPT = 2_000  # bytes of an answer that are kept to show; the rest is read and dropped, whatever its size
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a header's name, RFC 9110, 5.6.2
_IDLE = 2.0  # seconds that an unused connection is kept: fewer than servers keep it (uvicorn: 5), lest they close it
_PORTS = {None, *range(1, 2**16)}
_ERROR_WORDS: dict[type[httpx2.RequestError], str] = {
    httpx2.ConnectError: "connect_error",
    httpx2.ReadError: "read_error",
    httpx2.WriteError: "write_error",
    httpx2.RemoteProtocolError: "protocol_error",  # a connection closed before the answer, too
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send; `rate` is postbacks a second (0: as fast as they are answered), `timeout` seconds an attempt."""

    template: str
    count: int
    rate: float
    concurrency: int
    timeout: float
    policy: retry.RetryPolicy
    value: str | None = None
    seed: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    insecure: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a plan that cannot be carried out, with one sentence that says why."""
        if not 0 <= self.rate < math.inf:
            raise ValueError(f"a rate is a number from 0 up, not {self.rate}")
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"a time-out is a positive number of seconds, not {self.timeout}")
        macros.check(self.template, MACROS)
        _check_url(next(invented_urls(self.template, value=self.value, seed=self.seed)))


def parse_header(line: str) -> tuple[str, str]:
    """Split a `Name: value` line. Raises ValueError, without the value, which may be a secret."""
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not (colon and _TOKEN.fullmatch(name) and value.isascii() and value.isprintable()):
        raise ValueError("a header is written 'Name: value', in plain ASCII")
    return name, value


def _check_url(url: str) -> None:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"{url!r} is not an absolute http:// or https:// URL")
    if any(character.isspace() for character in url) or parsed.port not in _PORTS:
        raise ValueError(f"{url!r} holds white space or a port that does not exist")


async def play(plan: Plan, tally: Tally, on_finished: "Callable[[], None]") -> None:
    """Send every postback of the plan; `tally` counts all that happens, also when this is cancelled half way."""
    tls = _tls_context(insecure=plan.insecure)
    await _warm_up(plan, tls)
    tally.started()
    player = _Player(plan, tally, on_finished)
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(plan.concurrency, plan.count)):
                workers.create_task(player.work(tls))
    finally:
        tally.ended()


class _Player:
    """The state that all workers share: which postback is next, when it is due, and the random numbers."""

    def __init__(self, plan: Plan, tally: Tally, on_finished: "Callable[[], None]") -> None:
        self._plan = plan
        self._tally = tally
        self._on_finished = on_finished
        self._turns: Iterator[int] = iter(range(plan.count))
        self._urls = invented_urls(plan.template, value=plan.value, seed=plan.seed)
        # Its own generator: a retry must not shift the ids that a seed promises.
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._epoch = time.perf_counter()

    async def work(self, tls: ssl.SSLContext) -> None:
        """Send one postback after the other until none is left, all over one connection.

        A connection for each worker rather than a shared pool: httpcore's pool walks all its connections at every
        request, which halves the rate at 256 connections.
        """
        async with _client(self._plan, tls) as client:
            for turn in self._turns:
                await self._due(turn)
                await self._deliver(client, next(self._urls))

    async def _due(self, turn: int) -> None:
        """Wait until this postback is due. The schedule never shifts: a late one is sent at once, and counted."""
        if not self._plan.rate:
            return
        moment = self._epoch + turn / self._plan.rate
        await asyncio.sleep(moment - time.perf_counter())
        self._tally.lagged(time.perf_counter() - moment)

    async def _deliver(self, client: httpx2.AsyncClient, url: str) -> None:
        self._tally.begun()
        for attempt in itertools.count(1):
            answer = await self._attempt(client, url)
            decision = retry.decide(
                attempt,
                answer.as_response(),
                policy=self._plan.policy,
                now=datetime.now(UTC),
                jitter=self._jitter.random(),
            )
            if not isinstance(decision, retry.Retry):
                self._tally.finished(answer, accepted=isinstance(decision, retry.Delivered))
                self._on_finished()
                return
            self._tally.will_retry(answer)
            await asyncio.sleep(decision.delay.total_seconds())

    async def _attempt(self, client: httpx2.AsyncClient, url: str) -> Answer:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._plan.timeout), client.stream("GET", url) as response:
                body = await _start_of(response)
        except TimeoutError:
            return Answer(error="timeout", text=f"no complete answer within {self._plan.timeout:g} s")
        except httpx2.RequestError as error:
            return Answer(error=_ERROR_WORDS.get(type(error), type(error).__name__), text=str(error))
        return Answer(
            status=response.status_code,
            outcome=response.headers.get("X-Postback-Outcome"),
            request_id=response.headers.get("X-Request-Id"),
            retry_after=response.headers.get("Retry-After"),
            text=body.decode("utf-8", "replace"),
            seconds=time.perf_counter() - start,
        )


async def _start_of(response: httpx2.Response) -> bytes:
    """Read the whole body, so that the connection can be used again, and keep its beginning."""
    kept = bytearray()
    async for chunk in response.aiter_raw():
        kept += chunk[: _BODY_KEPT - len(kept)]
    return bytes(kept)


async def _warm_up(plan: Plan, tls: ssl.SSLContext) -> None:
    """Load what httpx2 and anyio import at their first use, which would count as latency of the first postback."""
    async with _client(plan, tls):
        await anyio.lowlevel.checkpoint()


def _client(plan: Plan, tls: ssl.SSLContext) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=tls,
        timeout=None,  # each attempt as a whole has a deadline instead: httpx2's starts anew at every byte
        limits=httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE),
        follow_redirects=False,
        trust_env=False,  # what is measured is the receiver, not a proxy
        headers=[("User-Agent", "postback-send"), ("Accept-Encoding", "identity"), *plan.headers],
    )


def _tls_context(*, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()  # honours SSL_CERT_FILE, for a private authority
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
