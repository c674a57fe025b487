"""What is from after now, because a clock was wrong: it is left out, and that is said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

DATABASE = "data/postback.db"
CLOCK = "a clock was wrong when they came, or is wrong now (see doctor); --until takes them in"


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("filters", "left_out"),
    [((), 1), (("--test",), 2), (("--until", "2026-01-03"), 0), (("--sender", "keitaro"), 0), (("--click-id", "a"), 0)],
)
def test_an_export_says_what_it_leaves_out_because_it_is_from_after_now(
    service: Command, bare: Path, filters: tuple[str, ...], left_out: int
) -> None:
    """The clock was ahead when they came, and was set back."""
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ahead = datetime.now(UTC) + timedelta(days=500)
    ledger.commit([builders.postback(f"c=ahead&value=1&test={test}", received_at=ahead) for test in (0, 1)])
    ledger.close()
    ended = service("export", *filters)
    assert (ended.code, "ahead" in ended.out) == (0, False)
    assert ended.err == (f"left out: {left_out} conversions that are from after now; {CLOCK}\n" if left_out else "")

    taken_in = service("export", "--until", (ahead + timedelta(days=1)).strftime("%Y-%m-%d"))
    assert (taken_in.out.count("ahead"), taken_in.err) == (1, "")


def test_a_replay_says_what_it_leaves_out_because_it_is_from_after_now(service: Command, bare: Path) -> None:
    ledger = SqliteLedger(bare / DATABASE)
    ledger.open()
    ahead = builders.raw("c=ahead&value=1", received_at=datetime.now(UTC) + timedelta(days=500))
    ledger.commit([Rejection(ahead, "ezmob", Outcome.INVALID_VALUE, "an older rule", "ahead")])
    ledger.close()
    ended = service("replay", "--dry-run")
    assert "left out: 1 that are from after now; a clock was wrong" in ended.err
    assert service("replay", "--dry-run", "--until", "2026-03-01").err == ""
