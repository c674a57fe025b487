"""What doctor says of deletions, on every engine: what an erasure should have taken, and retention's clock."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from service.operations.examine import deletions
from service.operations.examine.case import Case, Choices
from service.operations.examine.findings import Finding
from service.settings import Settings
from service.storage.erased_hashes import sha256
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _stored(ledger: Ledger) -> None:
    ledger.commit([builders.postback("c=a&value=1"), builders.postback("c=b&value=1")])
    ledger.commit([builders.postback("c=a&value=1"), builders.rejection(click_id="b"), builders.rejection()])


def erased(engine: Engine, click_id: str, days: float) -> None:
    """Plant an entry of the book, so many days after the rows came."""
    at = (builders.RECEIVED_AT + days * DAY).isoformat(" ")[:26]
    came = ("run, table_name, reason, outcome, process, rows", "'erase 1', 'conversion', 'erase', 'stored', '', 1")
    noted = ("first_received_at, last_received_at, deleted_by, deleted_at, click_id_sha256",)
    moments = f"'{at}', '{at}', 'me', '{at}', '{sha256(click_id)}'"
    engine.change(f"INSERT INTO deletion ({came[0]}, {noted[0]}) VALUES ({came[1]}, {moments})")  # noqa: S608 - our own


def found(
    engine: Engine, name: Literal["erased_rows", "future_erasures", "retention_clock"], *, accept: bool = False
) -> Finding:
    choices = Choices(accept_clock=accept)
    case = Case(Settings.model_construct(), [], engine.database, [], None, choices)
    return next(finding for finding in deletions.check(case) if finding.name == name)


def believe(engine: Engine, moment: datetime) -> None:
    engine.database.deletions().clock.accept(moment)


def test_a_row_that_came_before_its_click_id_was_erased_is_wrong(engine: Engine) -> None:
    assert found(engine, "erased_rows").state == "ok"
    erased(engine, "a", 1)
    told = found(engine, "erased_rows")
    assert (told.state, told.sentence) == (
        "wrong",
        "1 of conversion, 1 of duplicate came before their click ids were erased",
    )


def test_what_came_afterwards_or_was_imported_may_be_there(engine: Engine) -> None:
    erased(engine, "a", -1)
    assert found(engine, "erased_rows").state == "ok"
    engine.change("UPDATE deletion SET deleted_at = '2026-01-09 00:00:00.000000'")
    engine.change("UPDATE conversion SET door = 'import'")
    assert found(engine, "erased_rows").sentence == "1 of duplicate came before their click ids were erased"


def test_an_erasure_in_the_future_is_named_and_makes_no_row_wrong(engine: Engine) -> None:
    erased(engine, "a", 1)
    assert found(engine, "future_erasures").state == "ok"
    engine.change("DELETE FROM deletion")
    erased(engine, "a", 20_000)
    told = found(engine, "future_erasures")
    assert (told.state, told.sentence) == ("wrong", "1 erasures are dated in the future: erase 1")
    assert "set `deleted_at` of these runs" in told.advice
    assert found(engine, "erased_rows").state == "ok"


@pytest.mark.parametrize(("days", "state"), [(-31, "wrong"), (-29, "ok"), (0.9, "ok"), (1.1, "warning")])
def test_a_clock_is_wrong_when_it_is_far_ahead_of_what_was_believed(engine: Engine, days: float, state: str) -> None:
    believe(engine, datetime.now(UTC) + days * DAY)
    told = found(engine, "retention_clock")
    assert told.state == state
    assert (told.state == "ok") != ("doctor --accept-clock" in told.advice)


def test_before_the_first_start_there_is_no_such_clock(engine: Engine) -> None:
    assert found(engine, "retention_clock").state == "not_checked"


def test_a_person_accepts_the_clock_beside_the_running_service_and_is_told_what_that_did(engine: Engine) -> None:
    believe(engine, datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    told = found(engine, "retention_clock", accept=True)
    assert told.state == "ok"
    assert "accepted" in told.sentence
    assert "instead of 2026-01-02 03:04 UTC" in told.sentence
    believed = engine.database.deletions().clock.believed()
    assert believed
    assert datetime.now(UTC) - believed < DAY
    assert found(engine, "retention_clock").state == "ok"
