"""Retention's clock: far ahead of when it was last believed nothing is deleted, until a person accepts it."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.writing.retention import Limits
from tests.support import builders
from tests.support.fakes import samples
from tests.writing.kept import AT_ONCE, CAME, EACH, FOR_EVER, Kept, days, keeping, rejected, room

OFTEN = replace(AT_ONCE, age_seconds=0.0)
AGED = Limits(1, 1, 1, FOR_EVER.rejected)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "postback.db"


def suspect(kept: Kept) -> bool:
    return samples(kept.metrics, "postback_retention_clock_suspect") == {(): 1}


def left(kept: Kept) -> list[int]:
    return [len(kept.left(table)) for table in ("conversion", "duplicate", "rejected_postback")]


def test_far_ahead_of_when_it_was_last_believed_nothing_is_deleted_until_a_person_accepts_it(path: Path) -> None:
    with keeping(path, AGED, OFTEN) as kept:
        kept.ledger.commit([builders.postback("c=a&value=1"), builders.postback("c=a&value=1"), rejected("r")])
        kept.database.deletions().clock.begin(CAME)
        kept.now = days(30.1)
        kept.look(trusted=False)
        kept.look(trusted=False)
        assert left(kept) == [1, 1, 1]
        assert suspect(kept)
        (line,) = kept.lines.events("retention_clock_suspect")
        assert line["level"] == "warning"
        assert "doctor --accept-clock" in str(line["detail"])
        kept.database.deletions().clock.accept(kept.now)
        kept.look(trusted=False)
        assert left(kept) == [0, 0, 0]
        assert not suspect(kept)


def test_nothing_is_deleted_for_its_size_either(path: Path) -> None:
    with keeping(path, room(2)) as kept:
        kept.ledger.commit([rejected(f"{n}") for n in range(9)])
        kept.database.deletions().clock.begin(CAME)
        kept.now = days(31)
        kept.look(trusted=False)
        assert len(kept.left()) == 9
        assert samples(kept.metrics, "postback_rejected_bytes") == {(): 9 * EACH}
        kept.now = days(29)
        kept.look(trusted=False)
        assert len(kept.left()) == 1


def test_a_clock_that_goes_on_is_believed_however_long_it_runs(path: Path) -> None:
    with keeping(path, AGED._replace(rejected_days=80), OFTEN) as kept:
        kept.ledger.commit([rejected("r")])
        kept.database.deletions().clock.begin(CAME)
        for day in range(0, 81, 20):
            kept.now = days(day)
            kept.look(trusted=False)
            assert not suspect(kept)
        kept.now = days(80.1)
        kept.look(trusted=False)
        assert kept.left() == []


def test_without_a_believed_moment_nothing_is_deleted(path: Path) -> None:
    with keeping(path, AGED, OFTEN) as kept:
        kept.ledger.commit([rejected("r")])
        kept.now = days(2)
        kept.look(trusted=False)
        assert kept.left() == ["r"]
        assert suspect(kept)


def test_a_clock_that_jumps_while_it_deletes_makes_no_more_rows_old(path: Path) -> None:
    pace = replace(OFTEN, chunk=OFTEN.chunk._replace(rows=1))
    with keeping(path, AGED, pace) as kept:
        kept.ledger.commit([rejected("old"), rejected("young", 2)])
        kept.now = days(2)
        deletions = kept.database.deletions()
        deletions.clock.begin(kept.now)
        kept.opened = [deletions]
        remove = deletions.remove

        def beside_a_jump(*arguments: object) -> object:
            kept.now = days(500)
            return remove(*arguments)  # type: ignore[arg-type]  # whatever it is given

        deletions.remove = beside_a_jump  # type: ignore[assignment,method-assign]  # this one only
        kept.look(trusted=False)
        assert kept.left() == ["young"]
