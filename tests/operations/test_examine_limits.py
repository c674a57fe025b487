"""Owns the limits that docs/doctor.md promises and that no test brings about for real: disks, clocks, descriptors."""

import ctypes
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.operations.examine import (
    clocks,
    configuration,
    conservation,
    file_modes,
    keys,
    operator_listener,
    sqlite_file,
)
from service.operations.examine.case import Case, Choices
from service.operations.examine.findings import Finding
from service.operations.examine.http import Answer
from service.settings import Settings, unknown_settings
from service.storage.database import database_at
from service.storage.sqlite.database import SqliteDatabase
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics.counts import Space
from tests.support import builders, registration
from tests.support.migrated import put_migrated

GB, DAY = 10**9, 86_400
ROOMY = Space(database=4096, wal=4096, free=900 * GB, capacity=1000 * GB)


def examination(path: Path, **settings: object) -> Case:
    """Return a case without addresses."""
    return Case(
        settings=Settings.model_construct(**settings),  # type: ignore[arg-type]  # the test's own
        unknown_settings=[],
        database=database_at(f"sqlite:///{path}"),
        operator_urls=[],
        public_url=None,
        choices=Choices(),
    )


class Telling(operator_listener.OperatorListener):
    """A process whose every page is this one."""

    def __init__(self, page: str) -> None:
        super().__init__("http://unused", 1.0)
        self._page = page

    def get(self, path: str) -> Answer:  # noqa: ARG002 - every page
        """Return it."""
        return Answer(200, {}, self._page, 0.01)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Examine a database with one conversion, which came just now."""
    path = tmp_path / "p.db"
    put_migrated(path)
    ledger = SqliteLedger(path)
    ledger.open()
    ledger.commit([builders.postback(received_at=datetime.now(UTC))])
    ledger.close()
    return examination(path)


def path_of(case: Case) -> Path:
    """Return the file that is examined."""
    assert isinstance(case.database, SqliteDatabase)
    return case.database.path


def state(findings: Iterable[Finding], name: str) -> str:
    """Return the state of one finding; whatever is not well comes with advice."""
    (found,) = [finding for finding in findings if finding.name == name]
    assert found.state == "ok" or found.advice or found.state == "not_checked"
    return found.state


@pytest.mark.parametrize(
    ("name", "space", "expected"),
    [
        ("disk_space", ROOMY, "ok"),
        ("disk_space", ROOMY._replace(free=99 * GB), "warning"),
        ("disk_space", ROOMY._replace(free=29 * GB), "wrong"),
        ("disk_space", ROOMY._replace(free=99_000_000, capacity=GB // 5), "wrong"),
        ("wal_size", ROOMY._replace(wal=64 * 2**20), "ok"),
        ("wal_size", ROOMY._replace(wal=65 * 2**20), "warning"),
    ],
)
def test_little_space_and_a_large_wal_are_told(
    case: Case, monkeypatch: pytest.MonkeyPatch, name: str, space: Space, expected: str
) -> None:
    monkeypatch.setattr("service.operations.examine.sqlite_file.measure_space", lambda _: space)
    assert state(sqlite_file.check(case, path_of(case)), name) == expected


@pytest.mark.parametrize(("days", "expected"), [(15, "ok"), (13, "warning"), (1, "wrong")])
def test_the_days_that_the_free_space_lasts_are_counted_by_the_rows_of_the_last_one(
    case: Case, monkeypatch: pytest.MonkeyPatch, days: int, expected: str
) -> None:
    one_row_a_day = ROOMY._replace(free=days * 250)
    monkeypatch.setattr("service.storage.sqlite.database.measure_space", lambda _: one_row_a_day)
    assert state(conservation.check(case, [])[1], "disk_lasts") == expected


@pytest.mark.parametrize(
    ("free", "expected"), [(20, "ok"), (9, "warning"), (2, "wrong")], ids=["many", "some", "hardly any"]
)
def test_few_free_inodes_are_told(case: Case, monkeypatch: pytest.MonkeyPatch, free: int, expected: str) -> None:
    system = SimpleNamespace(f_files=100, f_favail=free, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _: system)
    monkeypatch.setattr("service.operations.examine.sqlite_file.measure_space", lambda _: ROOMY)
    assert state(sqlite_file.check(case, path_of(case)), "inodes") == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ext4", "ok"),
        ("nfs4", "wrong"),
        ("cifs", "wrong"),
        ("tmpfs", "wrong"),
        ("overlay", "warning"),
        (None, "not_checked"),
    ],
)
def test_a_file_system_that_keeps_no_promise_is_told(
    case: Case, monkeypatch: pytest.MonkeyPatch, kind: str | None, expected: str
) -> None:
    monkeypatch.setattr("service.operations.examine.sqlite_file._kind_of_file_system", lambda _: kind)
    assert state(sqlite_file.check(case, path_of(case)), "file_system") == expected


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize(
    ("mode", "folder", "expected"), [(0o604, 0o701, "warning"), (0o604, 0o700, "ok"), (0o660, 0o755, "ok")]
)
def test_a_file_that_everybody_may_read_is_told(case: Case, suffix: str, mode: int, folder: int, expected: str) -> None:
    path = path_of(case)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM conversion").fetchone()  # there is a log now
        Path(f"{path}{suffix}").chmod(mode)
        path.parent.chmod(folder)
        assert state([file_modes.check("spool_private", [path])], "spool_private") == expected
        assert state(sqlite_file.check(case, path), "database_private") == expected


def test_a_sqlite_that_does_not_wait_for_the_disk_is_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state(sqlite_file.check(case, path_of(case)), "synchronous") == "ok"

    def careless(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    monkeypatch.setattr("service.operations.examine.sqlite_file.connect_writer", careless)
    assert state(sqlite_file.check(case, path_of(case)), "synchronous") == "wrong"


@pytest.mark.parametrize(("said", "expected"), [(0, "ok"), (5, "warning"), (-1, "not_checked")])
def test_a_clock_that_nothing_keeps_right_is_told(monkeypatch: pytest.MonkeyPatch, said: int, expected: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(adjtimex=lambda _: said))
    assert state([clocks.check_clock()], "clock_sync") == expected


@pytest.mark.parametrize(
    ("ahead", "expected"), [(0, "ok"), (10, "warning"), (-10, "warning"), (60, "wrong"), (-60, "wrong")]
)
def test_two_clocks_that_differ_are_told(ahead: float, expected: str) -> None:
    now = time.time()
    date = format_datetime(datetime.fromtimestamp(now + ahead, UTC), usegmt=True)
    assert state([clocks.compare_clock("there", date, now)], "clock_difference") == expected


def test_an_answer_without_a_date_tells_nothing_of_clocks() -> None:
    assert clocks.compare_clock("there", None, time.time()).state == "not_checked"


@pytest.mark.parametrize(("capacity", "told"), [(0, "were told 503:"), (GB, "were told 200 `spooled`")])
def test_failed_commits_are_told_with_what_their_senders_were_told(capacity: int, told: str) -> None:
    page = f'postback_storage_errors_total{{error="PG_FULL"}} 2\npostback_spool_capacity_bytes {capacity}\n'
    (found,) = [it for it in operator_listener.check([Telling(page)]) if it.name == "storage_errors"]
    assert (found.state, told in found.advice) == ("warning", True)


@pytest.mark.parametrize(
    ("used", "most", "expected"),
    [(100, 4096, "ok"), (100, 1000, "warning"), (3300, 4096, "warning"), (3900, 4096, "wrong")],
)
def test_few_descriptors_are_told(used: int, most: int, expected: str) -> None:
    findings = operator_listener.check([Telling(f"process_open_fds {used}\nprocess_max_fds {most}\n")])
    assert state(findings, "file_descriptors") == expected


def test_a_process_that_exports_less_or_runs_another_build_is_told() -> None:
    findings = list(operator_listener.check([Telling('postback_build_info{version="0.0.1",revision="old"} 1\n')]))
    assert (state(findings, "metrics"), state(findings, "build")) == ("wrong", "warning")
    (missing,) = [finding.sentence for finding in findings if finding.name == "metrics"]
    assert "postback_conservation_drift" in missing
    assert "postback_build_info" not in missing


@pytest.mark.parametrize(("served_days", "expected"), [(90, "ok"), (9, "warning")])
def test_a_certificate_that_was_renewed_and_is_not_served_yet_is_told(
    case: Case, monkeypatch: pytest.MonkeyPatch, served_days: int, expected: str
) -> None:
    now = time.time()
    monkeypatch.setattr("service.operations.examine.clocks.certificate_expiry", lambda _: now + 90 * DAY)
    serving = Telling(f"postback_tls_certificate_expiry_timestamp_seconds {now + served_days * DAY}\n")
    findings = clocks.check_certificate(examination(path_of(case), tls_cert=Path("c.pem")), [serving])
    assert state(findings, "certificate_served") == expected


@pytest.mark.parametrize(
    ("host", "named", "expected"),
    [("127.0.0.1", "POSTBACK_PORT", "ok"), ("127.0.0.1", "POSTBACK_PROT", "warning"), ("0.0.0.0", "OTHER", "wrong")],
)
def test_settings_with_which_the_service_would_not_start_are_told(
    tmp_path: Path, host: str, named: str, expected: str
) -> None:
    case = replace(examination(tmp_path / "p.db", host=host), unknown_settings=unknown_settings({named: "8000"}))
    assert state([configuration.settings(case)], "settings") == expected


def registered(case: Case, **changes: Any) -> Case:
    """Register a sender with one key, made two days ago and used since."""
    now = datetime.now(UTC)
    ledger = SqliteLedger(path_of(case))
    ledger.open()
    senders = case.database.senders()
    senders.put_sender(registration.sender(), new=True)
    row: dict[str, Any] = {"created_at": now - timedelta(days=2), "last_used_at": now, **changes}
    senders.put_keys(registration.key(**row))
    ledger.close()
    return case


NEVER = {"last_used_at": None}


@pytest.mark.parametrize(
    ("days", "changes", "expected"),
    [
        (None, {}, "ok"),
        (15, {}, "ok"),
        (13, {}, "warning"),
        (-1, {}, "ok"),
        (13, {"revoked_at": builders.RECEIVED_AT}, "ok"),
    ],
    ids=["no-end", "in-15-days", "in-13-days", "over", "revoked"],
)
def test_a_key_that_ends_within_two_weeks_is_told(
    case: Case, days: int | None, changes: dict[str, Any], expected: str
) -> None:
    ends = datetime.now(UTC) + timedelta(days=days) if days else None
    assert state(keys.check(registered(case, expires_at=ends, **changes)), "keys_expiring") == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ok"),
        (NEVER, "warning"),
        ({**NEVER, "revoked_at": builders.RECEIVED_AT}, "ok"),
        ({**NEVER, "created_at": datetime(2100, 1, 1, tzinfo=UTC)}, "ok"),
    ],
    ids=["used", "never", "never-and-revoked", "younger-than-a-day"],
)
def test_a_key_that_nobody_ever_used_is_told(case: Case, changes: dict[str, Any], expected: str) -> None:
    assert state(keys.check(registered(case, **changes)), "keys_unused") == expected


def test_with_a_key_the_service_would_start_on_every_address(case: Case) -> None:
    everywhere = replace(registered(case), settings=Settings.model_construct(host="0.0.0.0"))
    assert state([configuration.settings(everywhere)], "settings") == "ok"
    assert everywhere.requires_keys()


@pytest.mark.parametrize(("auth", "asked"), [("auto", False), ("required", True), ("open", False)])
def test_without_a_key_only_required_asks_for_one(case: Case, auth: str, asked: bool) -> None:  # noqa: FBT001
    assert replace(case, settings=Settings.model_construct(auth=auth)).requires_keys() is asked
