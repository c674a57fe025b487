"""Owns how a person says which rows are meant: the filters that lists, exports and replays share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from service.auth.keys import id_in
from service.core.moment import past_moment
from service.core.outcome import Outcome
from service.core.secret_texts import ID_LENGTH
from service.operations.errors import Mistake, refuse_wrong
from service.storage.reads.conversions import Wanted
from service.storage.reads.quarantine import Chosen

__all__ = ["Chosen", "Filters", "Wanted"]  # what is meant, for whoever passes it on

_NO_TIME = "write a time as 2026-01-31, 2026-01-31T08:30, 2h or 7d, between 2000 and 2100"
_NO_KEY = f"no public id of a key: it is {ID_LENGTH} small letters and digits, those between pbk_ and the next _"
_KEPT = [outcome.value for outcome in Outcome if outcome.kept]


@dataclass(frozen=True, slots=True)
class Filters:
    """What is left empty excludes nothing. `since` is included, `until` is not: ISO times in UTC, or how long ago."""

    sender: str | None = None
    since: str | None = None
    until: str | None = None
    click_id: str | None = None
    key_id: str | None = None  # also a key, whole or cut off
    client_ip: str | None = None

    def rejected(self, outcomes: Sequence[str], now: datetime) -> Chosen:
        """Return which rejected postbacks are meant. Raises WrongValues."""
        wrong = (*_wrong_outcomes(outcomes), *self._wrong_times(now), *self._wrong_key(), *self._wrong_address())
        refuse_wrong(wrong)
        return Chosen(
            tuple(outcomes),
            self.sender,
            _read(self.since, now),
            _read(self.until, now),
            self.click_id,
            key_id=None if self.key_id is None else id_in(self.key_id),
            client_ip=self.client_ip,
        )

    def conversions(self, now: datetime, *, tests: bool = False) -> Wanted:
        """Return which conversions are meant, until now if nothing else is said. Raises WrongValues."""
        refuse_wrong(self._wrong_times(now))
        return Wanted(self.sender, self.click_id, _read(self.since, now), _read(self.until, now) or now, tests)

    def _wrong_times(self, now: datetime) -> Iterator[Mistake]:
        for field, text in (("since", self.since), ("until", self.until)):
            if text is not None and past_moment(text, now) is None:
                yield Mistake(field, text, _NO_TIME)

    def _wrong_key(self) -> Iterator[Mistake]:
        if self.key_id is not None and id_in(self.key_id) is None:
            secret = len(self.key_id) > ID_LENGTH  # perhaps
            yield Mistake("key_id", f"{self.key_id[:ID_LENGTH]}…" if secret else self.key_id, _NO_KEY)

    def _wrong_address(self) -> Iterator[Mistake]:
        if self.client_ip is not None and not _is_address(self.client_ip):
            yield Mistake("address", self.client_ip, "no IP address; it looks like 192.0.2.7 or 2001:db8::7")


def _is_address(text: str) -> bool:
    """Return whether a text is an IP address, as a proxy may have told it: also with a zone, a port, in brackets."""
    for host in (text, text.rpartition(":")[0]):
        try:
            ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            continue
        return True
    return False


def _wrong_outcomes(outcomes: Sequence[str]) -> Iterator[Mistake]:
    for word in sorted(set(outcomes) - set(_KEPT)):
        yield Mistake("outcome", word, f"nothing is kept under that word; there are {', '.join(_KEPT)}")


def _read(text: str | None, now: datetime) -> datetime | None:
    return None if text is None else past_moment(text, now)
