"""The clock that retention may go by, on every engine: what is believed at first, how it follows, and who decides."""

from datetime import timedelta

import pytest

from service.core.verdict import Entry, Probe
from service.storage.deletions.clock import FAR, ClockGuard
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine

CAME = builders.RECEIVED_AT
DAY = timedelta(days=1)
LATER = CAME + 500 * DAY


@pytest.fixture
def guard(engine: Engine, ledger: Ledger) -> ClockGuard:
    assert ledger
    return engine.database.deletions().clock


def test_an_empty_database_believes_the_first_clock(guard: ClockGuard) -> None:
    assert guard.believed() is None
    assert not guard.trusts(CAME)
    guard.begin(CAME)
    assert guard.believed() == CAME
    assert guard.trusts(CAME)


@pytest.mark.parametrize(
    "entry",
    [builders.postback(), builders.rejection(), Probe(CAME)],
    ids=["conversion", "rejection", "probe"],
)
def test_at_first_the_newest_row_tells_whatever_it_is(ledger: Ledger, guard: ClockGuard, entry: Entry) -> None:
    ledger.commit([entry])
    guard.begin(LATER)
    assert guard.believed() == CAME
    assert not guard.trusts(LATER)


def test_at_first_repeats_and_changes_of_a_status_tell_too(ledger: Ledger, guard: ClockGuard) -> None:
    ledger.commit([builders.postback("c=a&value=1&conversion_status=pending")])
    ledger.commit([builders.postback("c=a&value=1&conversion_status=approved", received_at=CAME + 40 * DAY)])
    guard.begin(LATER)
    assert guard.believed() == CAME + 40 * DAY


def test_what_was_imported_tells_nothing(ledger: Ledger, guard: ClockGuard) -> None:
    ledger.commit([builders.postback(received_at=LATER, door="import"), builders.postback("c=b&value=1")])
    guard.begin(CAME + FAR + DAY)
    assert guard.believed() == CAME


def test_only_the_first_start_begins(ledger: Ledger, guard: ClockGuard) -> None:
    guard.begin(CAME)
    ledger.commit([builders.postback(received_at=LATER)])
    guard.begin(LATER)
    assert guard.believed() == CAME


def test_it_follows_the_clock_and_never_back_by_itself(guard: ClockGuard) -> None:
    guard.begin(CAME)
    for moment in (CAME + FAR, CAME + 2 * FAR):
        assert guard.trusts(moment)
        assert guard.believed() == moment
    assert guard.trusts(CAME)
    assert guard.believed() == CAME + 2 * FAR
    assert guard.trusts(CAME + 2 * FAR + timedelta(minutes=59))
    assert guard.believed() == CAME + 2 * FAR


def test_beyond_thirty_days_only_a_person_moves_it_in_either_direction(guard: ClockGuard) -> None:
    guard.begin(CAME)
    beyond = CAME + FAR + timedelta(seconds=1)
    assert not guard.trusts(beyond)
    assert guard.believed() == CAME
    assert guard.accept(beyond) == CAME
    assert guard.trusts(beyond)
    guard.accept(CAME)
    assert guard.believed() == CAME


def test_the_audit_reads_the_same(engine: Engine, guard: ClockGuard) -> None:
    with engine.database.audit() as audit:
        assert audit.trusted_at() is None
    guard.begin(CAME)
    with engine.database.audit() as audit:
        assert audit.trusted_at() == CAME
