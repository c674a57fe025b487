"""Owns the rows about amounts: however an exact one is written, it is taken; what is no amount is told so."""

from urllib.parse import quote_plus

from tests.dialects.rows import FILES, UNSHEETED, WRITING, Body, Door, Row, cells, stored, told

POINT: dict[str, int] = {
    "1.50": 1_500_000,
    "0": 0,
    "-0": 0,
    "-0.00": 0,
    "+0": 0,
    ".40": 400_000,
    "-.40": -400_000,
    "+.5": 500_000,
    "12.": 12_000_000,
    "+5": 5_000_000,
    " 5": 5_000_000,
    "5 ": 5_000_000,
    "-7.25": -7_250_000,
    "007.50": 7_500_000,
    "00000000000000000000.10": 100_000,
    "12.50000000": 12_500_000,
    "12.500000000000000000000000000000": 12_500_000,
    "1e2": 100_000_000,
    "1E2": 100_000_000,
    "1e+2": 100_000_000,
    "1.25E7": 12_500_000_000_000,
    "1.5e-3": 1_500,
    "1e-6": 1,
    "2.5E0": 2_500_000,
    ".5e1": 5_000_000,
    "5.e1": 50_000_000,
    "999999999999.999999": 999_999_999_999_999_999,
    "-999999999999.999999": -999_999_999_999_999_999,
    "9.99999999999e11": 999_999_999_999_000_000,
    "0.000001": 1,
    "19.99": 19_990_000,
    "1000000": 1_000_000_000_000,
}
ROUNDED: dict[str, int] = {
    "836.9999999999998": 837_000_000,
    "0.30000000000000004": 300_000,
    "19.990000000000002": 19_990_000,
    "33.333333333333336": 33_333_333,
    "0.1234565": 123_456,
    "0.1234575": 123_458,
    "-0.1234565": -123_456,
    "0.0000005": 0,
    "1.0000000000000000000000000001": 1_000_000,
    "1e-7": 0,
    "6.6666666666666670e2": 666_666_667,
}
COMMA: dict[str, int] = {
    "1,50": 1_500_000,
    "7": 7_000_000,
    ",40": 400_000,
    "12,": 12_000_000,
    "-1,5": -1_500_000,
    "+5,5": 5_500_000,
    "12,50000000": 12_500_000,
    "1,25E7": 12_500_000_000_000,
    "1e2": 100_000_000,
    "007,5": 7_500_000,
}
CENTS: dict[str, int] = {
    "150": 1_500_000,
    "0": 0,
    "-150": -1_500_000,
    "+150": 1_500_000,
    "0150": 1_500_000,
    "1.5E2": 1_500_000,
    "15e1": 1_500_000,
    "99999999999999": 999_999_999_999_990_000,
}
REFUSED: dict[str, tuple[str, ...]] = {
    "ezmob": (
        *(
            "abc",
            "1,50",
            "1.234,56",
            "1 234.56",
            "1_000",
            "0x10",
            "NaN",
            "Infinity",
            "--1",
            "1.2.3",
            "1e",
            "1e999",
            ".",
        ),
        *("1000000000000", "1e12", "999999999999.9999999", "1e999999999", "٣", "\uff11", "1" * 65, "5%", "1/2"),
        *("(5)", "5-", "true", "$", "1 2"),
    ),
    "comma": ("1.50", "1.234,56", "1,2,3", "abc", "1,50 EUR"),
    "cents": ("1,50", "1.555e2", "15e-1", "1e14", ".5", "abc"),
}
SIGNS: dict[str, str] = {  # what stands beside the number, and what is advised: a sign names no currency
    "$5": "currency's code in currency",
    "5$": "currency's code in currency",
    "US$5": "currency's code in currency",
    "5 USD": "currency=USD",
    "5usd": "currency=USD",
    "€5": "currency's code in currency",
    "5,00 €": "currency's code in currency",
    "£5": "currency's code in currency",
    "¥500": "currency's code in currency",
    "₽100": "currency's code in currency",
    "₹100": "currency's code in currency",
    "5 chf": "currency=CHF",
}
NUMBERS_IN_JSON: dict[str, tuple[str, int]] = {
    "1.50": ("1.50", 1_500_000),
    "1e2": ("1e2", 100_000_000),
    "1.25E7": ("1.25E7", 12_500_000_000_000),
    "836.9999999999998": ("836.9999999999998", 837_000_000),
    "-0": ("-0", 0),
    "0.1": ("0.1", 100_000),
    "12.50000000": ("12.50000000", 12_500_000),
    '".40"': (".40", 400_000),
    '"+5"': ("+5", 5_000_000),
}
AGAIN = [  # the first, then what is the same amount, written otherwise
    ("836.9999999999998", "836.9999999999998"),
    ("836.9999999999998", "837.000000"),
    (".40", "0.4"),
    ("1e2", "100.00"),
    ("-0", "0"),
    ("12.", "12"),
    ("1.25E7", "12500000"),
]
OTHERWISE = [("836.9999999999998", "836.99"), (".40", "40"), ("1e2", "12"), ("5", "-5")]

ROUNDING = "rounded_amount"


def rounding(text: str) -> str | None:
    """Say whether the text is one that is rounded, and so a mistake."""
    return ROUNDING if "99998" in text else None


def exact(sender: str, amounts: dict[str, int]) -> list[Row]:
    """Return a row for each text."""
    return [
        stored(sender, f"c=CLICK&value={quote_plus(text)}", value=text, value_micros=micros, doors=cells(text))
        for text, micros in amounts.items()
    ]


def in_json(number: str, text: str, micros: int) -> Row:
    """Return a row whose value is a number of JSON."""
    body = Body(f'{{"c":"CLICK","value":{number}}}'.encode())
    return stored("ezmob", body, doors=("json",), mistake=rounding(text), value=text, value_micros=micros)


def again(first: str, text: str) -> Row:
    """Return a row of the same amount, written otherwise."""
    doors: tuple[Door, ...] = tuple(door for door in WRITING if door not in FILES or text != first)  # the same file
    before = [f"c=CLICK&value={first}"]
    return stored(
        "ezmob", f"c=CLICK&value={text}", before=before, outcome="duplicate", doors=doors, mistake=rounding(text)
    )


def otherwise(first: str, text: str) -> Row:
    """Return a row of another amount."""
    return told("ezmob", f"c=CLICK&value={text}", "conflict", before=[f"c=CLICK&value={first}"], doors=WRITING)


def refused(sender: str, text: str, example: str) -> Row:
    """Return a row of what is no amount."""
    return told(
        sender, f"c=CLICK&value={quote_plus(text)}", "invalid_value", "is not an amount", example, doors=UNSHEETED
    )


ROWS: list[Row] = [
    *exact("ezmob", POINT),
    *exact("comma", COMMA),
    *exact("cents", CENTS),
    *(
        stored("ezmob", f"c=CLICK&value={text}", value=text, value_micros=micros, mistake=ROUNDING)
        for text, micros in ROUNDED.items()
    ),
    stored("comma", "c=CLICK&value=836,9999999999998", value_micros=837_000_000, mistake=ROUNDING),
    *(in_json(number, text, micros) for number, (text, micros) in NUMBERS_IN_JSON.items()),
    *(again(first, text) for first, text in AGAIN),
    *(otherwise(first, text) for first, text in OTHERWISE),
    *(refused("ezmob", text, "value") for text in REFUSED["ezmob"]),
    *(refused("comma", text, "value") for text in REFUSED["comma"]),
    *(refused("cents", text, "value") for text in REFUSED["cents"]),
    *(
        told(
            "keitaro",
            f"subid=CLICK&revenue={quote_plus(text)}",
            "invalid_value",
            advised,
            "in revenue",
            doors=UNSHEETED,
        )
        for text, advised in SIGNS.items()
    ),
]
