"""The copy of the roster: what it gives back is what was kept, and only the service's user can read it."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from service.auth.roster_copy import RosterCopy
from service.storage.senders import Rows
from tests.support import builders, registration

ROWS = Rows(
    [
        registration.sender(fields={"aff": "goal"}, required=["click_id", "value"], numbers="cents"),
        registration.sender("other", disabled_at=builders.RECEIVED_AT, report_only=["rate"], rate_per_second=5),
    ],
    [registration.key(expires_at=builders.RECEIVED_AT), registration.key("1" * 12, revoked_at=builders.RECEIVED_AT)],
    [registration.secret(), registration.secret(id="s2", revoked_at=builders.RECEIVED_AT)],
)


@pytest.fixture
def copy(tmp_path: Path) -> RosterCopy:
    """Keep a copy in a folder that is not there yet."""
    return RosterCopy(tmp_path / "spool" / "roster.json")


def test_a_copy_gives_back_the_same_roster(copy: RosterCopy) -> None:
    copy.keep(ROWS)
    assert RosterCopy(copy.path).read() == ROWS.roster()


def test_only_its_user_can_read_it_and_nothing_else_is_left_beside_it(copy: RosterCopy) -> None:
    copy.keep(ROWS)
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    assert [path.name for path in copy.path.parent.iterdir()] == ["roster.json"]


def test_what_changes_with_every_use_writes_nothing(copy: RosterCopy) -> None:
    copy.keep(ROWS)
    before = copy.path.stat().st_ino
    used = [row.model_copy(update={"last_used_at": builders.RECEIVED_AT}) for row in ROWS.keys]
    copy.keep(Rows(ROWS.senders, used, ROWS.secrets))
    assert copy.path.stat().st_ino == before
    revoked = [row.model_copy(update={"revoked_at": builders.RECEIVED_AT + timedelta(1)}) for row in ROWS.keys]
    copy.keep(Rows(ROWS.senders, revoked, ROWS.secrets))
    assert copy.path.stat().st_ino != before


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"version": 2, "senders": []}', b"\xff", b'{"version": 1}'])
def test_what_cannot_be_understood_is_no_copy(copy: RosterCopy, text: bytes) -> None:
    copy.path.parent.mkdir()
    copy.path.write_bytes(text)
    assert copy.read() is None


def test_without_a_file_there_is_no_copy(copy: RosterCopy) -> None:
    assert copy.read() is None


def test_a_copy_of_nothing_says_that_nothing_is_registered(copy: RosterCopy) -> None:
    copy.keep(Rows())
    read = copy.read()
    assert read is not None
    assert not read.has_credentials
