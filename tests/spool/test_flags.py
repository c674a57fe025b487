"""The flags that say where something waits: seen by every process of a directory, and kept by a kill."""

import stat
from pathlib import Path

import pytest

from service.core.unavailable import StorageError
from service.spool.flags import FILE_NAME, Flags
from service.spool.places import MOST_PLACES, journal_paths, journals, path_at, place_of

WORKERS = (0, 1, 64)


def test_a_flag_is_seen_by_whoever_looks(tmp_path: Path) -> None:
    ours, theirs = Flags(tmp_path), Flags(tmp_path)
    assert not theirs.any()
    path = journal_paths(tmp_path, 3)[1]
    ours.set(path, waits=True)
    assert theirs.any()
    assert list(theirs.waiting()) == [path]
    ours.set(path, waits=False)
    assert not theirs.any()


def test_a_flag_stays_when_its_process_is_gone(tmp_path: Path) -> None:
    before = Flags(tmp_path)
    paths = [path for worker in WORKERS for path in journal_paths(tmp_path, worker)]
    for path in paths:
        before.set(path, waits=True)
    before.close()
    assert list(Flags(tmp_path).waiting()) == paths


def test_every_journal_that_settings_allow_has_a_place_of_its_own(tmp_path: Path) -> None:
    paths = [path for worker in range(65) for path in journal_paths(tmp_path, worker)]
    places = [place_of(path) for path in paths]
    assert places == list(range(MOST_PLACES))
    assert [path_at(tmp_path, place) for place in range(MOST_PLACES)] == paths


def test_a_journal_that_no_settings_allow_has_no_flag(tmp_path: Path) -> None:
    flags = Flags(tmp_path)
    for name in ("worker-65", "worker-3-next-next", "worker-03", "kept"):
        flags.set(tmp_path / name / "spool.db", waits=True)
    assert not flags.any()


def test_only_journals_are_listed(tmp_path: Path) -> None:
    for name in ("worker-2", "worker-10-next", "kept", "worker-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spool.db").touch()
    listed = [(worker, path.parent.name) for worker, path in journals(tmp_path)]
    assert listed == [(1, "worker-1"), (10, "worker-10-next"), (2, "worker-2")]


def test_the_file_is_private_and_an_unusable_one_is_said(tmp_path: Path) -> None:
    Flags(tmp_path)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    with pytest.raises(StorageError, match="cannot open"):
        Flags(tmp_path / "absent")
