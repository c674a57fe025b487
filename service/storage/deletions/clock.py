"""Owns by which clock rows may go: by none that is far ahead of the last moment at which it was believed.

A clock that is years ahead makes every row too old. So the moment is noted in the database, where a start with another
clock finds it.
"""

from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Select, bindparam, func, select, text, update
from sqlmodel import col

from service.core.moment import minute
from service.core.program import PROGRAM
from service.storage.pool import Pool
from service.storage.schema.column_types import UtcDateTime
from service.storage.schema.housekeeping import TrustedClock, WriteProbe
from service.storage.schema.tables import (
    Conversion,
    Duplicate,
    RejectedPostback,
    StatusChange,
)
from service.storage.turns import IMMEDIATE, Turns, take_turn

FAR = timedelta(days=30)
APART = timedelta(minutes=5)  # by which a machine's clock and the server's may differ when a person erases
_FOLLOWED = timedelta(hours=1)  # by which the noted moment may be behind: it is not written at every look
_ID = 1  # of the one row


class ClockGuard:
    """Knows until when the clock was believed. Every method may block, and raises StorageError."""

    def __init__(self, reads: Pool, writes: Pool, turns: Turns = IMMEDIATE) -> None:
        self._reads = reads
        self._writes = writes
        self._turns = turns

    def believed(self) -> datetime | None:
        """Return the last moment at which the clock was believed, None before the first start."""
        with self._reads.session() as session:
            return session.connection().execute(select(col(TrustedClock.trusted_at))).scalar()

    def begin(self, now: datetime) -> None:
        """Note the first moment, if none is noted: when the newest row came; on an empty database it is now.

        To be called before this process commits anything by its own clock, so it takes no turn.
        """
        if self.believed() is None:
            with self._writes.transaction() as connection:
                connection.execute(_NOTE_FIRST, {"moment": self._newest(now) or now})

    def trusts(self, now: datetime) -> bool:
        """Say whether retention may delete by this clock; if so, it is believed until now."""
        believed = self.believed()
        if believed is None or now - believed > FAR:
            return False
        if now - believed > _FOLLOWED:
            take_turn(self._turns, partial(self._follow, now))
        return True

    def doubt(self, now: datetime) -> str | None:
        """Say why nothing may be erased by this machine's clock, and what to do; None if it may. Writes nothing."""
        believed = self.believed() or self._newest(now)
        if believed and now - believed > FAR:
            told = f"this clock says {minute(now)}, and one was last believed at {minute(believed)}"
            return f"{told}: set the clock, or, if it is right, run `{PROGRAM} doctor --accept-clock`"
        with self._reads.session() as session:
            theirs = clock_of(session.connection())
        if abs(now - theirs) > APART:
            return f"this clock says {minute(now)}, and the server's {minute(theirs)}: set the one that is wrong"
        return None

    def accept(self, now: datetime) -> datetime | None:
        """Believe this clock, however far it is from what was believed; return what that was."""

        def note() -> None:
            with self._writes.transaction() as connection:
                connection.execute(_NOTE, {"moment": now})

        believed = self.believed()
        take_turn(self._turns, note)
        return believed

    def _follow(self, now: datetime) -> None:
        """Note this moment, unless another replica's is later or a person set it back meanwhile."""
        moment = col(TrustedClock.trusted_at)
        with self._writes.transaction() as connection:
            connection.execute(update(TrustedClock).where(moment < now, moment >= now - FAR).values(trusted_at=now))

    def _newest(self, now: datetime) -> datetime | None:
        """Return when the newest row came; imported rows tell of other times.

        Conversions and their changes have no index on their age. They are read only if nothing else came lately.
        """
        indexed = (_last(Duplicate), _last(RejectedPostback), select(func.max(col(WriteProbe.probed_at))))
        newest = self._latest(*indexed)
        if newest and now - newest <= FAR:
            return newest
        return self._latest(*indexed, _last(Conversion), _last(StatusChange))

    def _latest(self, *statements: Select[datetime]) -> datetime | None:
        with self._reads.session() as session:
            found = [session.connection().execute(statement).scalar() for statement in statements]
        return max((moment for moment in found if moment), default=None)


def clock_of(connection: Connection) -> datetime:
    """Return the moment by the server's clock, which all hosts share; a file has only that of its one writer."""
    if connection.dialect.name == "postgresql":
        moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return moment
    return datetime.now(UTC)


def _last(table: type[Conversion | StatusChange | Duplicate | RejectedPostback]) -> Select[datetime]:
    return select(func.max(col(table.received_at))).where(col(table.door) != "import")


_MOMENT = bindparam("moment", type_=UtcDateTime)
_INSERT = f"INSERT INTO trusted_clock (id, trusted_at) VALUES ({_ID}, :moment) ON CONFLICT (id) DO "  # noqa: S608 - our own number
_NOTE_FIRST = text(f"{_INSERT} NOTHING").bindparams(_MOMENT)
_NOTE = text(f"{_INSERT} UPDATE SET trusted_at = excluded.trusted_at").bindparams(_MOMENT)
