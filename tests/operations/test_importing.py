"""Import, on every engine: a file is stored once, whatever interrupts it, however it is cut into files."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.judging import Part
from service.core.mistakes import rejection_of
from service.core.outcome import Rejected, explanation
from service.core.parsing import parse
from service.core.presets import EZMOB
from service.core.verdict import Entry
from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.importing.file import ImportFile
from service.operations.kept_input import raw_again
from service.storage.ledger import Committed, Ledger
from tests.support.engines import Engine
from tests.support.imported import (
    CSV,
    GROUP,
    OUTCOMES,
    STORED,
    Dying,
    Interrupted,
    imported,
    in_threes,
    numbers,
    outcomes,
    written,
)


def test_every_row_has_the_outcome_that_a_batch_would_give_it(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    rows = written(tmp_path)
    after, tally = imported(rows, engine.database, ledger, tmp_path / "report.csv")
    assert (after, sum(tally.values())) == (0, len(OUTCOMES))
    assert outcomes(tmp_path / "report.csv") == OUTCOMES
    assert numbers(engine) == STORED
    assert engine.rows("SELECT DISTINCT door FROM conversion") == [("import",)]
    assert engine.rows("SELECT value, request_id FROM conversion WHERE click_id = 'a'") == [
        ("1.50", f"{rows.request_id}-1")
    ]


@pytest.mark.parametrize("keeps_its_report", [True, False])
def test_the_same_file_again_stores_nothing_and_says_the_same(
    engine: Engine, ledger: Ledger, tmp_path: Path, *, keeps_its_report: bool
) -> None:
    report = tmp_path / "report.csv"
    first = imported(in_threes(tmp_path), engine.database, ledger, report)
    told = report.read_bytes()
    if not keeps_its_report:
        report.unlink()
    again = imported(in_threes(tmp_path), engine.database, ledger, report)
    assert again == (len(OUTCOMES) if keeps_its_report else 0, first[1])
    assert report.read_bytes() == told
    assert numbers(engine) == STORED
    with engine.database.audit() as audit:
        assert (audit.orphans(), audit.repeated_request_ids()) == (
            {"updated": 0, "duplicate": 0, "conflict": 0, "correction": 0},
            0,
        )


@pytest.mark.parametrize("after", [False, True], ids=["before a commit", "after a commit"])
@pytest.mark.parametrize("commits", range(4))
def test_an_import_that_was_interrupted_goes_on_and_stores_everything_once(
    engine: Engine, ledger: Ledger, tmp_path: Path, commits: int, *, after: bool
) -> None:
    report = tmp_path / "report.csv"
    with pytest.raises(Interrupted):
        imported(in_threes(tmp_path), engine.database, Dying(ledger, commits, after), report)
    assert len(outcomes(report)) <= 3 * commits
    imported(in_threes(tmp_path), engine.database, ledger, report)
    assert outcomes(report) == OUTCOMES
    assert numbers(engine) == STORED


class Faltering(Dying):
    """A ledger that fails at one of its commits, and is well again."""

    def commit(self, entries: Sequence[Entry], parts: Sequence[Part] = ()) -> Committed:
        """Commit, but not this once."""
        self.commits -= 1
        if self.commits == -1:
            raise Interrupted
        return self.ledger.commit(entries, parts)


@pytest.mark.parametrize("commits", range(4))
def test_what_follows_a_failed_group_is_not_told_in_its_place(
    engine: Engine, ledger: Ledger, tmp_path: Path, commits: int
) -> None:
    report = tmp_path / "report.csv"
    with pytest.raises(Interrupted):
        imported(in_threes(tmp_path), engine.database, Faltering(ledger, commits, after=False), report)
    assert outcomes(report) == OUTCOMES[: GROUP * commits]


def test_a_column_tells_when_a_postback_was_received_also_where_it_is_rejected(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_bytes(CSV)
    rows = ImportFile(RowFile(tmp_path / "rows.csv", "csv"), "when")
    _, tally = imported(rows, engine.database, ledger, tmp_path / "report.csv")
    assert tally["malformed_body"] == 2  # one has too few cells, and one no time
    assert engine.rows("SELECT click_id, received_at FROM conversion ORDER BY 1") == [
        ("a", "2026-01-01 00:00:00.000000"),
        ("d", "2026-01-07 08:09:10.123456"),
    ]
    kept = engine.rows("SELECT received_at FROM rejected_postback WHERE outcome = 'invalid_value'")
    assert kept == [("2026-01-04 03:06:00.000000",)]


def test_a_time_that_cannot_have_been_yet_is_rejected_and_no_row_is_from_after_now(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    began = datetime.now(UTC)
    near, far = (f"{began + timedelta(minutes=ahead):%Y-%m-%dT%H:%M:%S}" for ahead in (4, 9))
    (tmp_path / "rows.csv").write_text(f"c,value,when\nnear,1,{near}\nfar,1,{far}\nwrong,x,{far}\n")
    rows = ImportFile(RowFile(tmp_path / "rows.csv", "csv"), "when")
    _, tally = imported(rows, engine.database, ledger, tmp_path / "report.csv")
    assert tally == {"stored": 1, "malformed_body": 1, "invalid_value": 1}
    assert engine.rows("SELECT received_at FROM conversion") == [(near.replace("T", " ") + ".000000",)]
    kept = engine.rows("SELECT detail, received_at FROM rejected_postback ORDER BY request_id")
    assert kept[0][0] == f"when is more than 5 minutes in the future: '{far}'"
    assert [f"{began:%Y-%m-%d %H:%M:%S.%f}" <= str(moment) < near.replace("T", " ") for _, moment in kept] == [True] * 2


def test_with_another_column_it_is_another_import(tmp_path: Path) -> None:
    rows = written(tmp_path)
    file = RowFile(tmp_path / "rows.csv", "csv")
    assert len({rows.request_id, ImportFile(file, "when").request_id, ImportFile(file, "note").request_id}) == 3


def test_a_rejected_row_is_read_back_for_a_replay_as_it_was(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    imported(written(tmp_path), engine.database, ledger, tmp_path / "report.csv")
    quarantine = engine.database.quarantine()
    rejected = [quarantine.one(str(number)) for (number,) in engine.rows("SELECT id FROM rejected_postback ORDER BY 1")]
    for row in rejected:
        assert row
        if row.outcome == "conflict":
            assert parse(raw_again(row), EZMOB).click_id == row.click_id
            continue
        with pytest.raises(Rejected) as again:
            parse(raw_again(row), EZMOB)
        expected = rejection_of(raw_again(row), EZMOB, again.value)
        assert (expected.outcome.value, explanation(expected.detail, expected.diagnosis)) == (row.outcome, row.detail)


def test_a_file_that_changes_meanwhile_is_told(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    rows = written(tmp_path)
    (tmp_path / "rows.csv").write_bytes(CSV + b"g,1,,\n")
    with pytest.raises(UnreadableFile, match="was changed"):
        imported(rows, engine.database, ledger, tmp_path / "report.csv")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header"),
        (b"click,value\na,1\n", r"no column is called c \(click_id\)"),
        (b"c,price\na,1\n", r"no column is called value \(value\)"),
        (b"\xff\xfec\0,\0", r"no column is called value \(value\)"),
        (b"c,value," + b"x" * 3000 + b"\na,1,2\n", "more than 2048 bytes"),
    ],
)
def test_a_file_of_which_no_row_could_be_accepted_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        written(tmp_path, content).assert_header()


@pytest.mark.parametrize("column", ["value", "c", "elsewhere"])
def test_a_column_that_can_be_no_time_is_refused(tmp_path: Path, column: str) -> None:
    written(tmp_path)
    with pytest.raises(UnreadableFile, match=column):
        ImportFile(RowFile(tmp_path / "rows.csv", "csv"), column).assert_header()


POSTBACKS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["1", "1.0", "2", "x"])), min_size=1, max_size=15)
_serial = count()


@pytest.mark.proof
@given(postbacks=POSTBACKS, cuts=st.lists(st.integers(0, 15), max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_a_file_is_cut_into_files_the_conversions_are_the_same(
    engine: Engine, ledger: Ledger, tmp_path: Path, postbacks: list[tuple[int, str]], cuts: list[int]
) -> None:
    serial = next(_serial)

    def stored(prefix: str, bounds: list[int]) -> list[tuple[object, ...]]:
        lines = [f'{{"c":"{prefix}-{serial}-{key}","value":"{value}"}}\n'.encode() for key, value in postbacks]
        for number, (first, end) in enumerate(zip([0, *bounds], [*bounds, len(lines)], strict=True)):
            rows = written(tmp_path, b"".join(lines[first:end]), f"{prefix}-{serial}-{number}.ndjson")
            imported(rows, engine.database, ledger, tmp_path / f"{prefix}-{serial}-{number}.report.csv")
        found = engine.rows("SELECT click_id, value FROM conversion ORDER BY click_id")
        ours = f"{prefix}-{serial}-"
        return [(str(it).removeprefix(ours), value) for it, value in found if str(it).startswith(ours)]

    assert stored("cut", sorted(cut for cut in cuts if cut <= len(postbacks))) == stored("whole", [])


def test_what_is_kept_of_a_row_says_in_which_file_it_stood(tmp_path: Path) -> None:
    raw = written(tmp_path, b"c,value\na,1\n", "with blank?.csv").one(1)
    assert raw
    sent = raw.as_sent()
    assert sent == b"IMPORT /with%20blank%3F.csv\r\ncontent-type: text/csv\r\n\r\nc,value\na,1"
    assert raw.door == "import"


def test_a_group_ends_where_its_rows_are_large_enough(tmp_path: Path) -> None:
    (tmp_path / "rows.ndjson").write_text(
        "".join(f'{{"c":"{n}","value":1,"x":"{"y" * (n % 2) * 1_500}"}}\n' for n in range(20))
    )
    groups = list(ImportFile(RowFile(tmp_path / "rows.ndjson", "ndjson")).groups(most_bytes=2_000))
    assert [json.loads(raw.body)["c"] for group in groups for raw in group.raws] == [str(n) for n in range(20)]
    assert [len(group.raws) for group in groups] == [4] * 5
