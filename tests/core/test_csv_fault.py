"""What is said of a record of CSV that cannot be read."""

import pytest

from service.core.outcome import Rejected
from service.core.rows import csv_rows_of


@pytest.mark.parametrize("body", [b"c,value\na\rb,1\n", b'c,value\n"a"\rb,1\n'])
def test_a_line_end_within_a_row_is_told_in_plain_words(body: bytes) -> None:
    with pytest.raises(Rejected) as raised:
        [*csv_rows_of(body)]
    told = raised.value.detail
    assert told == r"the body is not CSV: a line end within a row: quote it, or end lines with \n or \r\n"
