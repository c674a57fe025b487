"""Owns the cache of an issuer's keys: refreshed in the background, at once for a new key id, kept in an outage.

Whoever names a known key waits for nothing. Who names an unknown one waits for the one reading there is, a second of it
at most, and a name that the issuer does not have is remembered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

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
PATIENCE_SECONDS = 1.0  # of a reading, whoever waits for it: an answer must leave within 2
SKEW_SECONDS = 60.0  # a clock may be wrong by
MOST_ABSENT = 1024
MOST_WAITING = 128


class KeyName(NamedTuple):
    """How a token calls its key. `issued_ago` is how many seconds ago it says that it was made; None: it does not."""

    kid: str | None
    algorithm: str
    issued_ago: float | None = None


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
        self._began = float("-inf")
        self._waiting = 0
        self._absent: dict[tuple[str | None, str], float] = {}  # names, and until when the issuer is not asked for them

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

    def known(self, name: KeyName) -> bool:
        """Tell whether the named key is here."""
        return matching_key(self._usable(), name.kid, name.algorithm) is not None

    async def including(self, name: KeyName, ask: Callable[[], None] = lambda: None) -> Keys:
        """Return the keys, including the named one if the issuer has it: for an unknown name they are read again.

        They are read again at most once in 30 seconds. `ask` is called before, and what it raises ends the matter;
        not while no key is here: then every good token is unknown. Raises KeysUnavailable, also when the name may
        belong to a newer key that cannot be read.
        """
        if not self.known(name) and not self._is_absent(name):
            if self._usable():
                ask()
            await self._look_for(name)
        keys = self.current()
        doubt = "no answer yet" if self._under_way else self._trouble
        if doubt and not self.known(name) and not self._is_absent(name) and self._may_be_newer(name):
            raise KeysUnavailable(f"the token names no known key, and newer ones could not be read: {doubt}")
        return keys

    @property
    def _under_way(self) -> bool:
        return self._reading is not None and not self._reading.done()

    def _usable(self) -> Keys:
        with suppress(KeysUnavailable):
            return self.current()
        return ()

    def _is_absent(self, name: KeyName) -> bool:
        return self._clock() < self._absent.get(name[:2], float("-inf"))

    def _may_be_newer(self, name: KeyName) -> bool:
        """Tell whether a token may be signed by a key that was published after the last reading."""
        return name.issued_ago is None or name.issued_ago < self._clock() - self._as_of + SKEW_SECONDS

    async def _look_for(self, name: KeyName) -> None:
        """Read the keys again, or wait for the reading under way; remember if the issuer has no such key."""
        began = self._clock()
        if not self._under_way:
            if began - self._asked_at < UNKNOWN_SECONDS:
                return
            self._asked_at = began
        reading = self._refresh()
        patience = self._began + PATIENCE_SECONDS - began
        if patience > 0 and self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                await asyncio.wait([reading], timeout=patience)
            finally:
                self._waiting -= 1
        if self._as_of >= began and not self.known(name):
            while len(self._absent) >= MOST_ABSENT:
                del self._absent[next(iter(self._absent))]
            self._absent[name[:2]] = self._as_of + UNKNOWN_SECONDS

    async def _watch(self) -> None:
        while True:
            await asyncio.shield(self._refresh())
            await asyncio.sleep(AGAIN_SECONDS if self._trouble else REFRESH_SECONDS)

    def _refresh(self) -> asyncio.Task[None]:
        if self._reading is None or not self._under_way:
            self._began = self._clock()
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
