"""A file that a command writes: private, whole or not there, and never written through a link."""

import os
from pathlib import Path

import pytest

from service.storage.new_file import new_file
from service.storage.sqlite import backup
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders

ODD = ["c#d.db", "a?mode=rwc.db", "b%2e.db", "with space.db", "-x.db", "file:e.db", "ü😀.db", "n" * 250 + ".db"]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def write_half(part: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{part}{suffix}").write_text("half")
    raise LookupError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "from" / "so#ur?ce%20.db"
    ledger = SqliteLedger(path)
    ledger.open()
    ledger.commit([builders.postback("c=a&value=1")])
    ledger.close()
    return path


@pytest.mark.parametrize("replaces", [True, False])
def test_a_new_file_is_private_and_the_only_one(tmp_path: Path, *, replaces: bool) -> None:
    with new_file(tmp_path / "a?b#c", replaces=replaces) as part:
        part.write_text("all of it")
        assert part.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a?b#c"]
    assert (tmp_path / "a?b#c").read_text() == "all of it"
    assert (tmp_path / "a?b#c").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("replaces", [True, False])
def test_nothing_is_left_of_a_failure(tmp_path: Path, *, replaces: bool) -> None:
    with pytest.raises(LookupError), new_file(tmp_path / "a", replaces=replaces) as part:
        write_half(part)
    assert names(tmp_path) == []


@pytest.mark.parametrize("linked", [True, False], ids=["a system with links", "a system without"])
def test_what_came_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool) -> None:
    if not linked:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError()))
    target = tmp_path / "a"
    with pytest.raises(FileExistsError), new_file(target):
        target.symlink_to(tmp_path / "victim")
    assert names(tmp_path) == ["a"]
    with pytest.raises(FileExistsError), new_file(target):
        raise AssertionError
    with new_file(tmp_path / "b"):
        pass
    assert names(tmp_path) == ["a", "b"]


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "a").symlink_to("victim")
    with new_file(tmp_path / "a", replaces=True) as part:
        part.write_text("new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("name", ODD, ids=lambda name: name[:12])
def test_a_backup_has_the_name_that_was_said_and_can_be_put_back(tmp_path: Path, source: Path, name: str) -> None:
    (tmp_path / "to").mkdir()
    target = tmp_path / "to" / name
    assert backup.back_up(source, target).rows["conversion"] == 1
    assert names(tmp_path / "to") == [name]
    assert target.stat().st_mode & 0o777 == 0o600
    (tmp_path / "back").mkdir()
    assert backup.restore(target, tmp_path / "back" / "x#y?z.db").copy.rows["conversion"] == 1
    assert names(tmp_path / "back") == ["x#y?z.db"]
