"""Owns what the check of instructions promises: what is read, what counts as a request's, what is told."""

import json
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY
from tests.support.instruction_ratios import FILE, judge, read_ratios, write_ratios
from tests.support.outside.callgrind import NotCounted, Window, by_request, read_dump

DUMP = """\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 30448
cmd:  python -m service run
part: 1
thread: 4

positions: line
events: Ir
summary: 7

fn=(1) PyEval_EvalDefault
12 6599

totals: 6606
"""


def test_a_dump_tells_the_thread_and_its_instructions() -> None:
    assert read_dump(DUMP) == (4, 6606)


@pytest.mark.parametrize("missing", ["thread: 4\n", "totals: 6606\n"])
def test_a_dump_that_was_cut_off_is_no_count(missing: str) -> None:
    with pytest.raises(NotCounted, match="not a whole file"):
        read_dump(DUMP.replace(missing, ""))


def test_what_a_thread_does_at_rest_is_not_the_requests() -> None:
    idle = Window(10.0, {1: 1000, 2: 0})
    assert by_request(Window(20.0, {1: 50_000, 2: 700, 3: 90}), idle) == {1: 48_000, 2: 700, 3: 90}


def test_a_thread_that_works_by_the_clock_counts_as_nothing() -> None:
    idle = Window(10.0, {1: 0, 2: 1000})
    assert by_request(Window(20.0, {1: 50_000, 2: 3999}), idle) == {1: 50_000, 2: 0}
    assert by_request(Window(20.0, {1: 50_000, 2: 4001}), idle) == {1: 50_000, 2: 2001}


@pytest.mark.parametrize(
    ("measured", "verdict", "sound"),
    [(1.06, "TOO DEAR", False), (1.04, "as known", True), (0.91, "as known", True), (0.89, "cheaper", True)],
)
def test_a_ratio_may_be_five_percent_dearer(measured: float, verdict: str, *, sound: bool) -> None:
    (sentence, *_), judged = judge({"ours, event loop": measured}, {"ours, event loop": 1.0})
    assert (sentence.partition(":")[0], judged) == (verdict, sound)


def test_a_refusal_says_what_was_measured_what_is_allowed_and_what_to_do() -> None:
    told, _ = judge({"ours, event loop": 1.3}, {"ours, event loop": 1.0})
    for part in ("1.300", "1.050", "1.000", "tests.load.bytecodes", "tests.load.instructions --write"):
        assert part in " ".join(told)


def test_one_ratio_that_is_too_dear_is_enough() -> None:
    sentences, sound = judge({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 1.0})
    assert [sentence.partition(":")[0] for sentence in sentences] == ["as known", "TOO DEAR", "Where it went"]
    assert not sound


def test_where_all_is_as_known_nothing_is_to_be_done() -> None:
    assert len(judge({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0})[0]) == 2


def test_what_is_written_is_what_is_known(tmp_path: Path) -> None:
    write_ratios("3.11", {"a": 1.23456}, tmp_path / "ratios.json")
    assert read_ratios("3.11", tmp_path / "ratios.json") == {"a": 1.235}


def test_ratios_of_another_python_are_no_comparison(tmp_path: Path) -> None:
    write_ratios("3.12", {"a": 1.0}, tmp_path / "ratios.json")
    with pytest.raises(ValueError, match=r"measured with Python 3\.12 and this is 3\.11"):
        read_ratios("3.11", tmp_path / "ratios.json")


def test_the_repository_knows_a_ratio_of_each_server_and_kind() -> None:
    expected = {f"ours{key}, {kind}" for key in ("", ", with a key") for kind in ("event loop", "all threads")}
    assert set(json.loads(FILE.read_text(encoding="utf-8"))["ratios"]) == expected


def test_ci_installs_valgrind_and_runs_the_check() -> None:
    ci = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert "valgrind:valgrind" in ci
    assert "\nmake instructions\n" in ci
