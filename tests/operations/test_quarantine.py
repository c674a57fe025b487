"""Looking at what was not accepted, on every engine: newest first, one whole, with what came later."""

from datetime import timedelta

import pytest

from service.core.outcome import Outcome
from service.operations import quarantine
from service.operations.errors import NotFound
from service.operations.selection import Chosen
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine


@pytest.fixture(autouse=True)
def _stored(ledger: Ledger) -> None:
    later = builders.RECEIVED_AT + timedelta(hours=1)
    ledger.commit([builders.rejection(Outcome.INVALID_VALUE, "a"), builders.rejection(Outcome.INVALID_VALUE, "b")])
    ledger.commit([builders.postback("c=a&value=1", received_at=later)])


def test_the_newest_are_told_with_how_many_more_there_are(engine: Engine) -> None:
    some = quarantine.newest(engine.database, Chosen(), 1)
    assert ([row.click_id for row in some.rows], some.more) == (["b"], 1)
    assert quarantine.newest(engine.database, Chosen(), 2).more == 0
    assert list(some.members()) == ["rejected", "more", "outcomes"]
    assert some.outcomes == {"invalid_value": 2}


def test_one_is_shown_with_what_came_later(engine: Engine) -> None:
    (row,) = quarantine.newest(engine.database, Chosen(click_id="a"), 10).rows
    shown = quarantine.show(engine.database, row.request_id)
    assert (shown.status, shown.hint, shown.replay) == (400, Outcome.INVALID_VALUE.hint, None)
    assert [one.outcome for one in shown.later] == [Outcome.STORED]
    assert quarantine.show(engine.database, str(row.id)).row.request_id == row.request_id
    row.outcome = "of_tomorrow"
    assert (quarantine.Shown(row, None, []).status, quarantine.members(row)["status"]) == (None, None)


def test_what_is_not_kept_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound, match="nothing is kept"):
        quarantine.show(engine.database, "f" * 32)
