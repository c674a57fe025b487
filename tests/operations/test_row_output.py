"""Cells of CSV that leave and come back: no spreadsheet takes one for a formula, and each is what it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.operations.row_output import harmless, unescaped


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("-Abc", "'-Abc"),
        ("=x", "'=x"),
        ("+1", "'+1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("'-Abc", "''-Abc"),
        ("'-3.00", "''-3.00"),
        ("-3.00", "-3.00"),
        ("-3,00", "-3,00"),
        ("-3", "-3"),
        ("-3,00,0", "'-3,00,0"),
        ("it's", "it's"),
        ("'x", "'x"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula_and_negative_numbers_stay_numbers(cell: str, written: str) -> None:
    assert harmless(cell) == written
    assert unescaped(written) == cell


@pytest.mark.parametrize("cell", ["'-3,00", "'-3.00", "'-3"])
def test_what_versions_before_wrote_is_read(cell: str) -> None:
    assert unescaped(cell) == cell[1:]


@given(cell=st.text("'=+-@\t\r\n,.10ab", max_size=8))
def test_what_leaves_comes_back_as_it_was(cell: str) -> None:
    written = harmless(cell)
    assert isinstance(written, str)
    assert unescaped(written) == cell
