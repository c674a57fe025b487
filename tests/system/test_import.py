"""Owns the proof that an import survives its own death: killed halfway, and given again, each row is there once."""

import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, clean_environment, command, read_database, wait_for
from tests.support.outside.postgres import PostgresServer, run_sql

pytestmark = [pytest.mark.system, pytest.mark.proof]

ROWS = 60_000
LARGE_ROWS = 1_500
MEGABYTES = 200  # what an import may take, whatever the size of its file
SECONDS = 60


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    if url.startswith("sqlite"):
        return read_database(Path(url.removeprefix("sqlite:///")), statement)
    return run_sql(url, statement)


def write(path: Path) -> dict[str, str]:
    """Write rows, every hundredth without a value, every tenth a repetition; return the value of each click id."""
    chosen = random.Random(5)  # noqa: S311 - a repeatable mix, not a secret
    sent: dict[str, str] = {}
    with path.open("w", encoding="utf-8") as file:
        file.write("c,value\n")
        for number in range(ROWS):
            click_id = f"click-{chosen.randrange(number)}" if number % 10 == 9 else f"click-{number}"
            value = "" if number % 100 == 50 else sent.get(click_id, f"{number}.5")
            file.write(f"{click_id},{value}\n")
            if value:
                sent[click_id] = value
    return sent


def start(directory: Path, url: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "service", *(arguments or ("import", "rows.csv"))],
        cwd=directory,
        env={**clean_environment(), "POSTBACK_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("options", "size"), [(("--report", "all"), 500_000), ((), 150_000)], ids=["every row told", "what was not stored"]
)
def test_an_import_that_is_killed_and_given_again_loses_nothing_and_stores_nothing_twice(
    tmp_path: Path, url: str, options: tuple[str, ...], size: int
) -> None:
    sent = write(tmp_path / "rows.csv")
    report = tmp_path / "rows.csv.report.csv"
    given = ("import", "rows.csv", *options)
    for kill in range(1, 4):
        with start(tmp_path, url, *given) as killed:
            wait_for(lambda kill=kill: report.exists() and report.stat().st_size > kill * size, SECONDS, 0.001)  # type: ignore[misc]  # mypy does not see the default
            killed.send_signal(signal.SIGKILL)
        assert killed.returncode == -signal.SIGKILL
    assert 0 < len(sql(url, "SELECT click_id FROM conversion")) < len(sent)
    os.truncate(report, report.stat().st_size - 7)  # and a line that is torn
    ended = command(tmp_path, url, *given)
    assert ended.returncode == 1, ended.stderr
    stored = [(str(click_id), str(value)) for click_id, value in sql(url, "SELECT click_id, value FROM conversion")]
    assert len(stored) == len(sent)
    assert dict(stored) == sent
    with report.open(encoding="utf-8", newline="") as file:
        told = list(csv.DictReader(file))
    kept = {"stored": "conversion", "duplicate": "duplicate", "missing_value": "rejected_postback"}
    if options:
        assert [int(row["row"]) for row in told] == list(range(1, ROWS + 1))
    else:
        assert (told[-1]["row"], told[-1]["outcome"]) == (str(ROWS), "read")
        del kept["stored"]
    for outcome, table in kept.items():
        ids = sorted(row["request_id"] for row in told if row["outcome"] == outcome)
        assert sorted(str(it) for (it,) in sql(url, f"SELECT request_id FROM {table}")) == ids  # noqa: S608 - our own names


def test_its_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", encoding="utf-8") as file:
        file.write("c,value,note\n")
        file.writelines(f"click-{number},1.50,{'x' * 4000}\n" for number in range(ROWS))
    assert (tmp_path / "rows.csv").stat().st_size > MEGABYTES * 2**20
    assert 20 < peak_megabytes(start(tmp_path, f"sqlite:///{tmp_path / 'p.db'}")) < MEGABYTES


def test_large_rows_are_imported_exported_and_copied_in_the_same_memory(tmp_path: Path) -> None:
    """Rows of 60 KB: a page of them, counted in rows, was a gigabyte."""
    with (tmp_path / "rows.csv").open("w", encoding="utf-8") as file:
        file.write("c,value,note\n")
        file.writelines(f"click-{number},1.50,{'x' * 60_000}\n" for number in range(LARGE_ROWS))
        file.writelines(f"click-{number},no,{'x' * 60_000}\n" for number in range(LARGE_ROWS))
    url = f"sqlite:///{tmp_path / 'p.db'}"
    peaks = {"import": peak_megabytes(start(tmp_path, url), code=1)}
    for form in ("csv", "ndjson", "parquet"):
        for what in (("export",), ("rejected", "export")):
            arguments = (*what, "--format", form, "--output", f"rows.{form}")
            peaks[" ".join(arguments)] = peak_megabytes(start(tmp_path, url, *arguments))
    with PostgresServer() as server:
        arguments = ("migrate", "copy", url, server.url())
        peaks["copy"] = peak_megabytes(start(tmp_path, server.url(), *arguments))
        peaks["server"] = peak_megabytes(start(tmp_path, server.url(), "export", "--output", "rows.csv"))
    assert all(20 < peak < MEGABYTES for peak in peaks.values()), peaks


def peak_megabytes(process: subprocess.Popen[bytes], code: int = 0) -> float:
    """Wait for the end of a process and return the most memory that it held."""
    peak = 0
    while process.poll() is None:  # wait4 would tell of the test's own process, from which this one was forked
        peak = max(peak, peak_kilobytes(process.pid))
        time.sleep(0.02)
    assert process.returncode == code
    return peak / 1024


def peak_kilobytes(pid: int) -> int:
    """Return the most memory that a process ever held since it was started; 0 once it has ended."""
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def test_beside_a_service_on_sqlite_it_is_refused_and_its_rows_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("c,value\na,1\nb,x\n")
    with Service(tmp_path) as service:
        refused = command(tmp_path, service.database_url, "import", "rows.csv")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "stop the service first" in refused.stderr
        assert service.terminate() == 0
    assert command(tmp_path, service.database_url, "import", "rows.csv").returncode == 1
    with Service(tmp_path) as service:
        assert service.postback("a", "1").outcome == "duplicate"
        assert service.sql("SELECT door, count(*) FROM conversion GROUP BY 1") == [("import", 1)]
