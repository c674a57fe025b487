"""Cells of spreadsheets: an amount or a date is read exactly, or left for what it is; nobody guesses."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.fields.amounts import micros_of
from service.core.sender import NumberFormat
from service.operations.files.spreadsheet.amounts import Numbers, numbers_of, respelled
from service.operations.files.spreadsheet.dates import DateOrder, is_local, iso_of
from service.operations.files.spreadsheet.totals import is_total, may_be_total

POINT, COMMA, CENTS = Numbers("point", sure=True), Numbers("comma", sure=True), Numbers("cents", sure=True)

AMOUNTS = [
    (POINT, "1,234.50", "1234.50", None),
    (POINT, "1,234,567", "1234567", None),
    (POINT, "1 234.50", "1234.50", None),
    (POINT, "1'234'567.50", "1234567.50", None),
    (POINT, "12,34,567.50", "1234567.50", None),
    (POINT, ".40", "0.40", None),
    (POINT, "+5", "5", None),
    (POINT, "(5)", "-5", None),
    (POINT, "5-", "-5", None),
    (POINT, "\u22125", "-5", None),
    (POINT, "$5", "5", None),
    (POINT, "-$5", "-5", None),
    (POINT, "$-5", "-5", None),
    (POINT, "($5.00)", "-5.00", None),
    (POINT, "US$5", "5", "USD"),
    (POINT, "$5 USD", "5", "USD"),
    (POINT, "CA$ 5", "5", "CAD"),
    (POINT, "eur 5", "5", "EUR"),
    (POINT, "5 USDT", "5", "USDT"),
    (POINT, "¥5", "5", None),
    (POINT, "¥5 CNY", "5", "CNY"),
    (POINT, "5 kr", "5", None),
    (COMMA, "1.234,50", "1234.50", None),
    (COMMA, "1.234.567", "1234567", None),
    (COMMA, "1\u00a0234,50\u00a0€", "1234.50", "EUR"),
    (COMMA, "12,50 Kč", "12.50", "CZK"),
    (COMMA, ",5", "0.5", None),
    (COMMA, "1,25E+03", "1250", None),
    (COMMA, "0,12345678", "0.12345678", None),
    (CENTS, "1.250", "12.50", None),
    (CENTS, "7", "0.07", None),
    (CENTS, "-150", "-1.50", None),
]


@pytest.mark.parametrize(("numbers", "text", "plain", "currency"), AMOUNTS)
def test_an_amount_is_read_exactly(numbers: Numbers, text: str, plain: str, currency: str | None) -> None:
    shown = respelled(text, numbers, "point")
    assert micros_of(shown.text) == micros_of(plain)
    assert shown.currency == currency


NONE = [
    *((POINT, text) for text in ("1,23", "1,2345", "0,123", "1.234.567", "1,234 567", "1..5", "5%", "five", "()", "$")),
    *((POINT, text) for text in ("(5", "-(5)", "--5", "$5 EUR", "€5 $", "5 apples", "1e3 x", "01,234", "-", "", " ")),
    *((COMMA, text) for text in ("1.23", "1,234,567", "0.123", "1.2345", "12.50")),
    *((CENTS, text) for text in ("1.5", "1,50", "12.50")),
]


@pytest.mark.parametrize(("numbers", "text"), NONE)
@pytest.mark.parametrize("target", ["point", "comma", "cents"])
def test_what_is_no_amount_becomes_none_in_any_format(numbers: Numbers, text: str, target: NumberFormat) -> None:
    shown = respelled(text, numbers, target)
    assert (micros_of(shown.text, target), shown.currency) == (None, None)
    assert shown.text.startswith(text)


@pytest.mark.parametrize(
    ("texts", "own", "numbers"),
    [
        ([], "point", ("point", False)),
        (["5", "1.50"], "point", ("point", True)),
        (["5", "1,50"], "point", ("comma", True)),
        (["1.234", "0,5"], "point", ("comma", True)),
        (["1,234", "0.5"], "point", ("point", True)),
        (["1.234"], "point", ("point", False)),
        (["1.234"], "comma", ("comma", True)),
        (["1,234"], "comma", ("comma", True)),
        (["1.50"], "comma", ("point", True)),
        (["1.50", "1,5"], "point", ("point", False)),
        (["1.50", "1,5"], "comma", ("comma", False)),
        (["1,50", "12.50"], "cents", ("cents", True)),
        (["x", "n/a"], "point", ("point", False)),
    ],
)
def test_how_amounts_are_written_is_told_by_those_that_can_be_only_one_thing(
    texts: list[str], own: NumberFormat, numbers: tuple[NumberFormat, bool]
) -> None:
    assert numbers_of(texts, own, is_ours=True) == Numbers(*numbers)


@pytest.mark.parametrize("texts", [["1,234"], ["5", "1,234"], ["$1,234"], ["12.500.000 x", "2,500"]])
@pytest.mark.parametrize("is_ours", [True, False])
def test_what_may_be_two_things_is_not_guessed(texts: list[str], *, is_ours: bool) -> None:
    with pytest.raises(ValueError, match=r"^.?[12],[52]"):
        numbers_of(texts, "point", is_ours=is_ours)


@pytest.mark.parametrize(
    "texts", [["1.234"], ["10", "1.234", "99.999"], ["-1.234"], ["1.234", "1 234"], ["n/a", "99.999"]]
)
def test_a_point_may_be_two_things_as_well_unless_the_file_is_as_our_doors_take_it(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^-?[0-9]+\.[0-9]{3}$"):
        numbers_of(texts, "point", is_ours=False)
    assert numbers_of(texts, "point", is_ours=True) == Numbers("point", sure=False)


@pytest.mark.parametrize(
    ("texts", "own", "numbers"),
    [
        (["5", "7"], "point", Numbers("point", sure=False, plain=False)),
        (["1.234", "0.500"], "point", Numbers("point", sure=True)),
        (["1.234", "1.2345"], "point", Numbers("point", sure=True)),
        (["1.234", "1.234.567"], "point", Numbers("comma", sure=True)),
        (["1.234", "1.50", "1,5"], "point", Numbers("point", sure=False, plain=False)),
        (["1.234"], "comma", Numbers("comma", sure=True)),
        (["1.234"], "cents", Numbers("cents", sure=True)),
    ],
)
def test_of_another_file_other_amounts_or_a_format_that_somebody_said_decide(
    texts: list[str], own: NumberFormat, numbers: Numbers
) -> None:
    assert numbers_of(texts, own, is_ours=False) == numbers


@pytest.mark.parametrize(
    ("text", "plain", "read"),
    [
        ("1,234", True, "1,234 (thousands or a fraction: say --numbers)"),
        ("1,234", False, "1,234 (thousands or a fraction: say --numbers)"),
        ("1.234", True, "1.234"),
        ("1.234", False, "1.234 (thousands or a fraction: say --numbers)"),
        ("-99.999", False, "-99.999 (thousands or a fraction: say --numbers)"),
        ("$1,234.50", True, "1234.50"),
        ("1.5", False, "1.5"),
        ("0.125", False, "0.125"),
    ],
)
def test_where_nobody_is_sure_what_may_be_two_things_is_no_amount(text: str, read: str, *, plain: bool) -> None:
    assert respelled(text, Numbers("point", sure=False, plain=plain), "point").text == read


MARKS: dict[str, tuple[Numbers, str, list[str]]] = {
    "point": (POINT, ".", [",", "'", "\u2019", " ", "\u00a0", "\u202f"]),
    "comma": (COMMA, ",", [".", "'", "\u2019", " ", "\u00a0", "\u202f"]),
}


@given(
    micros=st.integers(-(10**15), 10**15),
    mark=st.sampled_from(sorted(MARKS)),
    group=st.integers(0, 5),
    sign=st.sampled_from([("", ""), ("€", ""), ("", " €"), ("EUR ", ""), ("$", ""), ("", " kr")]),
    minus=st.sampled_from(["-{}", "({})", "{}-", "\u2212{}"]),
    target=st.sampled_from(["point", "comma"]),
)
def test_however_an_amount_is_shown_it_is_that_amount(  # noqa: PLR0913 - all that can be different
    *, micros: int, mark: str, group: int, sign: tuple[str, str], minus: str, target: NumberFormat
) -> None:
    numbers, decimal_mark, groups = MARKS[mark]
    whole, _, rest = f"{Decimal(abs(micros)).scaleb(-6):,f}".partition(".")
    number = whole.replace(",", groups[group]) + (decimal_mark + rest if rest else "")
    shown = f"{sign[0]}{number}{sign[1]}"
    text = minus.format(shown) if micros < 0 else shown
    read = respelled(text, numbers, target)
    assert micros_of(read.text, target) == micros
    assert read.currency in ({"EUR"} if "€" in text or "EUR" in text else {None})


DATES = [
    ("31.01.2026", "dmy", "2026-01-31T00:00:00"),
    ("31.1.26", "dmy", "2026-01-31T00:00:00"),
    ("01/02/2026", "dmy", "2026-02-01T00:00:00"),
    ("01/02/2026", "mdy", "2026-01-02T00:00:00"),
    ("1-2-2026 9:05", "dmy", "2026-02-01T09:05:00"),
    ("31. 1. 2026 14:05:06", "dmy", "2026-01-31T14:05:06"),
    ("31.01.2026, 14:05:06.250", "dmy", "2026-01-31T14:05:06.250000"),
    ("1/31/2026 12:05 AM", "mdy", "2026-01-31T00:05:00"),
    ("1/31/2026 12:05:01 p.m.", "mdy", "2026-01-31T12:05:01"),
    ("2026/1/31 9:05", "ymd", "2026-01-31T09:05:00"),
    ("31-Jan-26", "dmy", "2026-01-31T00:00:00"),
    ("31-Jan-2026", "mdy", "2026-01-31T00:00:00"),
    ("31.01.2026 14:05 UTC", "dmy", "2026-01-31T14:05:00+00:00"),
    ("31.01.2026 14:05 +0100", "dmy", "2026-01-31T14:05:00+0100"),
    ("2026-01-31", "dmy", "2026-01-31"),
    ("2026-01-31T14:05:00Z", "mdy", "2026-01-31T14:05:00Z"),
    ("31.01.2026", "mdy", "31.01.2026"),
    ("30.02.2026", "dmy", "30.02.2026"),
    ("31.01.2026 25:00", "dmy", "31.01.2026 25:00"),
    ("1/31/2026 13:05 PM", "mdy", "1/31/2026 13:05 PM"),
    ("soon", "dmy", "soon"),
    ("", "dmy", ""),
]


@pytest.mark.parametrize(("text", "order", "iso"), DATES)
def test_a_local_date_is_read_in_the_order_that_is_said_or_left_for_what_it_is(
    text: str, order: DateOrder, iso: str
) -> None:
    assert iso_of(text, order) == iso


@pytest.mark.parametrize(
    ("text", "local"), [("01/02/2026", True), ("2026/01/02", True), ("2026-01-02", False), ("x", False)]
)
def test_what_needs_its_order_is_known(text: str, *, local: bool) -> None:
    assert is_local(text) is local


OTHER_TOTALS = [
    "Gesamtergebnis",
    "Итог",
    "Общо",
    "Ukupno",
    "Summa",
    "Yhteensä",
    "Overall",
    "Average",
    "Mittelwert",
    "Count",
    "小计",
    "총계",
]


@pytest.mark.parametrize(
    ("cells", "total"),
    [
        (["Total", "5"], True),
        (["TOTAL:", "5"], True),
        (["", "Gesamtsumme"], True),
        (["Grand Total (12 rows)", "5"], True),
        (["Итого", "5"], True),
        (["Summe", "5"], True),
        *((["", f"{word}:"], True) for word in OTHER_TOTALS),
        *(([word, "5"], True) for word in OTHER_TOTALS),
        *(([f"{word} 7", "5"], False) for word in OTHER_TOTALS),
        (["", "January Total"], True),
        (["", "A Ergebnis"], True),
        (["January Total", "5"], False),
        (["a", "January Total"], False),
        (["", "Count me in"], False),
        (["total-click", "5"], False),
        (["totally", "5"], False),
        (["a", "total"], False),
        (["", "5"], False),
        ([""], False),
    ],
)
def test_a_sum_of_others_says_that_it_is_one_and_has_no_click_id(cells: list[str], *, total: bool) -> None:
    assert is_total(cells, 0) is total
    assert may_be_total(",".join(cells).encode(), b",", 0) or not total
