"""Amounts: however an exact one is written, it is counted exactly; the text is kept, and nothing is guessed."""

from urllib.parse import unquote_plus

import pytest

from service.core.fields.amounts import is_rounded, micros_of
from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.presets import EZMOB
from service.core.sender import NumberFormat, Sender
from tests.support import builders


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("0", 0),
        ("1", 1_000_000),
        ("-1.5", -1_500_000),
        ("-0.000001", -1),
        ("0.1", 100_000),
        ("007.50", 7_500_000),
        ("999999999999.999999", 999_999_999_999_999_999),
        ("-999999999999.999999", -999_999_999_999_999_999),
        (".40", 400_000),
        ("-.5", -500_000),
        ("12.", 12_000_000),
        ("12.50000000", 12_500_000),
        ("%2B5", 5_000_000),
        ("+5", 5_000_000),  # in a query a literal + is a space
        ("%205.5%20", 5_500_000),
        ("1e2", 100_000_000),
        ("1.25E7", 12_500_000_000_000),
        ("1.25e%2B3", 1_250_000_000),
        ("25e-1", 2_500_000),
        (".5E1", 5_000_000),
        ("000000000000000000001.5", 1_500_000),
        ("-0", 0),
        ("0e999", 0),
        ("999999999999", 999_999_999_999_000_000),
    ],
)
def test_amounts_are_exact_and_their_text_is_kept(value: str, micros: int) -> None:
    parsed = parse(builders.raw(f"c=a&value={value}"), EZMOB)
    assert (parsed.value, parsed.value_micros) == (unquote_plus(value), micros)


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("836.9999999999998", 837_000_000),
        ("0.30000000000000004", 300_000),
        ("1.1234567", 1_123_457),
        ("0.0000005", 0),  # half to even
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("-0.0000025", -2),
        ("-0.0000035", -4),
        ("0.00000250000001", 3),
        ("1e-7", 0),
        ("15e-7", 2),
        ("-1.5E-6", -2),
        ("1e-999", 0),
        (f"0.{'1' * 62}", 111_111),
    ],
)
def test_what_is_smaller_than_a_millionth_is_rounded_half_to_even_and_its_text_is_kept(value: str, micros: int) -> None:
    parsed = parse(builders.raw(f"c=a&value={value}"), EZMOB)
    assert (parsed.value, parsed.value_micros) == (value, micros)
    assert is_rounded(value, "point")


@pytest.mark.parametrize("value", ["0", "1.50", "12.50000000", "1e-6", "1.25E7", "x", "", "1" * 65])
def test_what_is_exact_is_not_rounded(value: str) -> None:
    assert not is_rounded(value, "point")


@pytest.mark.parametrize(
    "value",
    [
        "1,50",
        "1_000",
        "%2B%2B1",
        "%2B-1",
        "1..",
        ".",
        "-",
        "%2B",
        "1e",
        "e5",
        "1e+",
        "1e1.5",
        "1e12",
        "1e999",
        "1e1000",
        "1e999999999",
        "1d5",
        "999999999999.9999999",
        "1" * 65,
        "1%202",
        "NaN",
        "Infinity",
        "0x10",
        "1.2.3",
        "--1",
        "%241",
        "%D9%A1",  # ARABIC-INDIC DIGIT ONE
        "%EF%BC%91",  # FULLWIDTH DIGIT ONE
        "1234567890123",
        "-1000000000000",
    ],
)
def test_what_is_not_a_plain_amount_is_invalid(value: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parse(builders.raw(f"c=a&value={value}"), EZMOB)
    assert rejected.value.outcome is Outcome.INVALID_VALUE


@pytest.mark.parametrize(
    ("numbers", "text", "micros"),
    [
        ("point", "1.50", 1_500_000),
        ("point", "1,50", None),
        ("comma", "1,50", 1_500_000),
        ("comma", "-0,000001", -1),
        ("comma", "7", 7_000_000),
        ("comma", "1.50", None),
        ("comma", "1.234,56", None),
        ("comma", "1,", 1_000_000),
        ("comma", ",5", 500_000),
        ("comma", "12,50000000", 12_500_000),
        ("comma", "836,9999999999998", 837_000_000),
        ("comma", "1,25E7", 12_500_000_000_000),
        ("comma", "+5", 5_000_000),
        ("comma", " 5 ", 5_000_000),
        ("comma", "1,2,3", None),
        ("cents", "150", 1_500_000),
        ("cents", "-1", -10_000),
        ("cents", "0", 0),
        ("cents", "99999999999999", 999_999_999_999_990_000),
        ("cents", "+150", 1_500_000),
        ("cents", "15E1", 1_500_000),
        ("cents", "1.5e2", 1_500_000),
        ("cents", "150e-1", 150_000),
        ("cents", "1.555e2", None),
        ("cents", "15e-1", None),
        ("cents", "1e14", None),
        ("cents", "1.50", None),
        ("cents", ".5", None),
        ("cents", "150.", None),
        ("cents", "1,50", None),
        ("cents", "1" * 15, None),
        ("cents", "", None),
        ("cents", "٣", None),
        ("comma", "1_0", None),
        ("point", "1" * 21, None),
        ("point", "0" * 63 + "1", 1_000_000),
        ("point", "0" * 64 + "1", None),
    ],
)
def test_numbers_are_read_in_the_form_that_was_agreed_and_in_no_other(
    numbers: NumberFormat, text: str, micros: int | None
) -> None:
    assert micros_of(text, numbers) == micros


def test_the_text_of_an_amount_is_kept_as_it_was_sent() -> None:
    sender = Sender("cents", EZMOB.fields, numbers="cents")
    parsed = parse(builders.raw("c=a&value=150"), sender)
    assert (parsed.value, parsed.value_micros) == ("150", 1_500_000)
