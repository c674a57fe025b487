"""Text that was sent does no harm where it is shown: at a terminal, in JSON, in a spreadsheet."""

import csv
import io
import json
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.harmless import as_it_was, csv_rows, no_formula, visible, visible_json

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, controls of format, surrogates, separators of lines
EVERY_LETTER = [chr(code) for code in range(sys.maxunicode + 1)]


def test_at_a_terminal_each_control_and_each_letter_without_a_shape_is_an_escape() -> None:
    for letter in EVERY_LETTER:
        shown = visible(f"a{letter}b")
        if unicodedata.category(letter) in _UNSEEN or letter in "\u034f\u115f\u3164\ufe0f\uffa0\U000e0100":
            assert shown == f"a{letter.encode('unicode_escape').decode()}b"
        assert shown.isprintable()


def test_at_a_terminal_letters_marks_and_signs_of_all_languages_stay_as_they_are() -> None:
    text = "ü 😀 {x} [bold] Ж 日本 क्षि ש ع € ½ \\n"
    assert visible(text) == text
    assert visible(text.encode()) == text
    assert visible(b"\xff\xc3\xbc") == "\\xffü"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;x\x07", r"\x1b]0;x\x07"),
        ("\x9b31m\x85\x7f", r"\x9b31m\x85\x7f"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("\u200b\ufeff\U000e0041\udcff", r"\u200b\ufeff\U000e0041\udcff"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
    ],
)
def test_escapes_say_what_was_there(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_json_of_any_text_keeps_its_value_and_has_nothing_that_a_line_reader_or_a_terminal_obeys() -> None:
    whole = "".join(letter for letter in EVERY_LETTER if unicodedata.category(letter) != "Cs")
    sent = json.dumps({"é": whole}, ensure_ascii=False).encode()
    shown = visible_json(sent)
    assert json.loads(shown) == {"é": whole}
    assert "é" in shown.decode()
    assert shown.decode().isprintable()


def test_json_on_several_lines_stays_on_them() -> None:
    assert visible_json('{\n "a": "\u2028"\n}\n'.encode()) == b'{\n "a": "\\u2028"\n}\n'


@pytest.mark.parametrize("text", [b'{"a":1}', '{"a":"ü"}'.encode()])
def test_json_without_such_a_letter_is_as_it_was(text: bytes) -> None:
    assert visible_json(text) == text


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("-Abc", "'-Abc"),
        ("-5", "'-5"),
        ("=x", "'=x"),
        ("+1", "'+1"),
        ("@x", "'@x"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff20SUM(1)", "'\uff20SUM(1)"),
        (" =1", " '=1"),
        ("\u00a0\u200b=1", "\u00a0\u200b'=1"),
        ('"=1', "\"'=1"),
        ("'-Abc", "''-Abc"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\t=x", "'\t'=x"),
        ("x;=cmd|'/C calc'!A0", "x;'=cmd|'/C calc'!A0"),
        (";=1", ";'=1"),
        ("x\t=1", "x\t'=1"),
        ("x\n=1", "x\n'=1"),
        ("x|-1", "x|'-1"),
        ('x; "=1', "x; \"'=1"),
        ("2026-01-01", "2026-01-01"),
        ("a=b;c=d", "a=b;c=d"),
        ("x,=1", "x,=1"),
        ("it's", "it's"),
        ("'x", "'x"),
        ("", ""),
    ],
)
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_splits_it(cell: str, written: str) -> None:
    assert no_formula(cell) == written
    assert as_it_was(written) == cell


@given(cell=st.text("'=+-@\uff1d\t\r\n;| \",.10ab", max_size=12))
def test_what_leaves_comes_back_as_it_was(cell: str) -> None:
    assert as_it_was(no_formula(cell)) == cell


@pytest.mark.parametrize("cell", ["'-3,00", "'-3.00", "'-3"])
def test_what_versions_before_wrote_is_read(cell: str) -> None:
    assert as_it_was(cell) == cell[1:]


@pytest.mark.parametrize("piece", ["\t", "'", "; ", "a", "=;", ";="])
def test_a_cell_of_64_kib_is_written_and_read_in_no_time(piece: str) -> None:
    cell = piece * (65_536 // len(piece))
    began = time.process_time()
    assert as_it_was(no_formula(cell)) == cell
    assert time.process_time() - began < 1


def test_each_text_is_quoted_and_each_number_is_none() -> None:
    row = ["x", "-5", "-5", "1.50", "-3,00", "=1", 7, True, None, "", {"a": "1;-2"}]
    written = csv_rows([row], amounts=frozenset({2, 3, 4, 5}))
    assert written == b'"x","\'-5",-5,1.50,"-3,00","\'=1",7,True,,"","{""a"":""1;\'-2""}"\r\n'


@given(row=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1))
def test_a_reader_of_csv_gets_the_cells_that_were_written(row: list[str]) -> None:
    (read,) = csv.reader(io.StringIO(csv_rows([row]).decode(), newline=""))
    assert list(map(as_it_was, read)) == row
