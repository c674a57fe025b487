"""Owns the cache of an issuer's keys: refreshed in the background, at once for a new key id, kept in an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from service.auth.oauth.discovery import CannotRead
from service.auth.oauth.issuer import KeysUnavailable
from service.auth.oauth.jwks import VerifyingKey, matching_key, read_keys

Keys = tuple[VerifyingKey, ...]

# A key that is gone must be gone here within a minute, also when a reading takes its time and the next two fail.
REFRESH_SECONDS = 25.0
AGAIN_SECONDS = 5.0
READING_SECONDS = 5.0
OUTAGE_SECONDS = 3600.0
UNKNOWN_SECONDS = 30.0
PATIENCE_SECONDS = 1.0  # an answer must leave within 2


def ignore_trouble(_: str | None) -> None:
    """Do nothing about a failure, or its end."""


class IssuerKeys:
    """The keys of one issuer. `read` returns its JWK Set or raises CannotRead; `clock` counts seconds.

    `tell` is called with the reason when reading begins to fail (or fails for another reason), and with None when it
    works again. The keys are used for an hour after the last success.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str | None], None] = ignore_trouble,
    ) -> None:
        self._read = read
        self._clock = clock
        self._tell = tell
        self._keys: Keys = ()
        self._as_of = float("-inf")
        self._asked_at = float("-inf")
        self._trouble: str | None = None
        self._reading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read in the background. The issuer need not be there: the service starts without its keys."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            tasks = [task for task in (watching, self._reading) if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def current(self) -> Keys:
        """Return the keys: the same tuple as long as they are the same. Raises KeysUnavailable."""
        if self._clock() - self._as_of > OUTAGE_SECONDS:
            never = self._as_of == float("-inf")
            since = "have not been read yet" if never else "could not be read for an hour"
            raise KeysUnavailable(f"the issuer's keys {since}: {self._trouble or 'no answer so far'}")
        if not self._keys:
            raise KeysUnavailable("the issuer publishes no key for RS256, ES256 or EdDSA")
        return self._keys

    async def including(self, kid: str | None, algorithm: str) -> Keys:
        """Return the keys, including the named one if the issuer has it: for an unknown name they are read again.

        They are read again at most once in 30 seconds, and each caller waits a second at most. Raises
        KeysUnavailable, also when the name may belong to a newer key that cannot be read.
        """
        if matching_key(self._usable(), kid, algorithm) is None:
            await self._ask()
        keys = self.current()
        doubt = "no answer yet" if self._under_way else self._trouble
        if doubt and matching_key(keys, kid, algorithm) is None:
            raise KeysUnavailable(f"the token names no known key, and newer ones could not be read: {doubt}")
        return keys

    @property
    def _under_way(self) -> bool:
        return self._reading is not None and not self._reading.done()

    def _usable(self) -> Keys:
        with suppress(KeysUnavailable):
            return self.current()
        return ()

    async def _ask(self) -> None:
        if not self._under_way:
            if self._clock() - self._asked_at < UNKNOWN_SECONDS:
                return
            self._asked_at = self._clock()
        await asyncio.wait([self._refresh()], timeout=PATIENCE_SECONDS)

    async def _watch(self) -> None:
        while True:
            await asyncio.shield(self._refresh())
            await asyncio.sleep(AGAIN_SECONDS if self._trouble else REFRESH_SECONDS)

    def _refresh(self) -> asyncio.Task[None]:
        if self._reading is None or not self._under_way:
            self._reading = asyncio.create_task(self._read_once())
        return self._reading

    async def _read_once(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(READING_SECONDS):
                keys = read_keys(await self._read())
        except TimeoutError:
            self._report(f"no answer within {READING_SECONDS:.0f} seconds")
        except (CannotRead, ValueError) as error:
            self._report(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, the known keys stand and the next reading comes
            self._report(repr(error))
        else:
            self._keys = self._keys if keys == self._keys else keys
            self._as_of = began
            self._report(None)

    def _report(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._tell(trouble)
