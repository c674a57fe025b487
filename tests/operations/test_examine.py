"""The examination as an operation: values in, a report out, progress on the way, and not a word printed."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from service.operations.examine.case import Case, Choices
from service.operations.examine.examination import Report, examine
from service.operations.examine.findings import Finding, State, not_checked, ok, warning, wrong
from service.operations.examine.http import UnusableUrl
from service.settings import Settings
from service.storage.sqlite.ledger import SqliteLedger
from service.storage.sqlite.restoring import restoring
from tests.support import builders
from tests.support.migrated import put_migrated

FINDINGS = (ok("a", "fine"), warning("b", "nearly", "look"), wrong("c", "broken", "mend"), not_checked("d", "unknown"))


def installation(path: Path, choices: Choices | None = None, **settings: object) -> Case:
    """Return the case of an installation whose database is this file."""
    configured = Settings.model_construct(database_url=f"sqlite:///{path}", **settings)  # type: ignore[arg-type]
    return Case.of(configured, [], choices or Choices(offline=True))


def test_progress_gets_each_finding_and_the_report_has_all_of_them_in_order(
    sqlite_ledger: SqliteLedger, path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sqlite_ledger.commit([builders.postback(), builders.rejection()])
    seen: list[Finding] = []
    report = examine(installation(path), seen.append)
    assert report.findings == tuple(seen)
    assert len({finding.name for finding in seen}) == len(seen) > 30
    assert report.rows == {"stored": 1, builders.rejection().outcome.value: 1}
    assert capfd.readouterr() == ("", "")


def test_a_missing_database_is_a_finding_and_not_an_error(tmp_path: Path) -> None:
    report = examine(installation(tmp_path / "none.db"), lambda _: None)
    assert {finding.name for finding in report.findings if finding.state is State.WRONG} == {"database_file"}
    assert (report.healthy, report.rows) == (False, {})
    assert not (tmp_path / "none.db").exists()


def test_a_restore_under_way_or_cut_off_is_the_one_thing_that_is_wrong(path: Path) -> None:
    def found() -> tuple[set[str], str]:
        report = examine(installation(path), lambda _: None)
        bad = [finding for finding in report.findings if finding.state is State.WRONG]
        return {finding.name for finding in bad}, bad[0].sentence

    put_migrated(path)
    with suppress(OSError), restoring(path) as moving:
        assert found() == ({"database_file"}, f"a restore of {path} is under way: wait until it ends")
        moving()
        path.write_bytes(b"")  # what a restore puts there first
        raise OSError
    assert found() == ({"database_file"}, f"a restore of {path} was cut off: give it again")


def test_the_summary_is_json_and_counts_what_the_findings_say() -> None:
    summary = orjson.loads(orjson.dumps(Report(FINDINGS, {"stored": 2}).summary()))
    checks = summary.pop("checks")
    assert summary == {"healthy": False, "wrong": 1, "warnings": 1, "not_checked": 1, "rows": {"stored": 2}}
    assert Counter(check["state"] for check in checks) == dict.fromkeys(State, 1)
    assert checks[1] == {"name": "b", "state": "warning", "sentence": "nearly", "advice": "look"}


def test_a_warning_does_not_make_it_unhealthy() -> None:
    assert [Report((finding,), {}).healthy for finding in FINDINGS] == [True, True, False, True]


def test_the_settings_say_where_each_worker_and_the_public_listener_are(tmp_path: Path) -> None:
    choices = Choices()
    case = installation(tmp_path / "a.db", choices, workers=2, operator_port=9001, host="0.0.0.0", port=9000)
    assert case.operator_urls == ["http://127.0.0.1:9001", "http://127.0.0.1:9002"]
    assert case.public_url == "http://127.0.0.1:9000"


def test_offline_no_process_is_asked(tmp_path: Path) -> None:
    assert installation(tmp_path / "a.db", Choices(("http://127.0.0.1:1",), offline=True)).operator_urls == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a",
        "http://",
        "http://user:word@a",
        "http://a/postback",
        "http://a?c=1",
        "http://a:99999",
        "http://a:0",
        "a",
    ],
)
def test_a_url_that_cannot_be_asked_is_an_error_of_its_own(tmp_path: Path, url: str) -> None:
    with pytest.raises(UnusableUrl):
        installation(tmp_path / "a.db", Choices(public_url=url))
