"""Owns spreadsheets as programs write them in English and in more countries, and by a sender's own format."""

from dataclasses import replace

from service.core.presets import EZMOB
from service.operations.files.spreadsheet.reading import Options
from tests.operations.spreadsheet_case import Spreadsheet, lines

COMMA, CENTS = replace(EZMOB, numbers="comma"), replace(EZMOB, numbers="cents")
DMY, MDY, YMD = (Options(dates=order) for order in ("dmy", "mdy", "ymd"))

ENGLISH = [
    Spreadsheet(
        "Excel, US, plain",
        lines("c,value,currency", "us1,12.50,USD", "us2,-3,USD"),
        "commas, UTF-8, decimal points, header in line 1",
        (("us1", 12_500_000, "USD"), ("us2", -3_000_000, "USD")),
    ),
    Spreadsheet(
        "Excel, US, currency format",
        lines("c,value", 'us3,"$1,234.50"', "us4,$12.50", 'us5,"($1,000.00)"', "us6,-$0.40"),
        "commas, UTF-8, decimal points, header in line 1",
        (
            ("us3", 1_234_500_000, None),
            ("us4", 12_500_000, None),
            ("us5", -1_000_000_000, None),
            ("us6", -400_000, None),
        ),
    ),
    Spreadsheet(
        "Excel, US, accounting format with padding",
        lines("c,value", 'us7," $1,234.50 "', "us8, $ 12.50 ", "us9,(12.50)"),
        "commas, UTF-8, decimal points, header in line 1",
        (("us7", 1_234_500_000, None), ("us8", 12_500_000, None), ("us9", -12_500_000, None)),
    ),
    Spreadsheet(
        "Excel, US, dates with AM and PM",
        lines("c,value,when", "us10,1.00,1/31/2026 2:05:00 PM", "us11,1.00,12/1/2025 12:00 AM"),
        "commas, UTF-8, decimal points, dates as mdy, header in line 1",
        (
            ("us10", 1_000_000, None, "2026-01-31 14:05:00"),
            ("us11", 1_000_000, None, "2025-12-01 00:00:00"),
        ),
        options=MDY,
        moments="when",
    ),
    Spreadsheet(
        "Excel, US, tabs",
        lines("c\tvalue\tnote", "us12\t1,234.50\ta, b"),
        "tabs, UTF-8, decimal points, header in line 1, not used: note",
        (("us12", 1_234_500_000, None),),
    ),
    Spreadsheet(
        "Excel, US, UTF-16 with the other byte order",
        "\ufeff" + lines("c\tvalue", "us13\t1.25"),
        "tabs, UTF-16, decimal points, header in line 1",
        (("us13", 1_250_000, None),),
        encoding="utf-16-be",
    ),
    Spreadsheet(
        "Excel, British, pounds",
        lines("c,value", 'gb1,"£1,234.50"', "gb2,£12.00"),
        "commas, cp1252, decimal points, currencies from the amounts, header in line 1",
        (("gb1", 1_234_500_000, "GBP"), ("gb2", 12_000_000, "GBP")),
        encoding="cp1252",
    ),
    Spreadsheet(
        "Google Sheets, Indian, lakhs",
        lines("c,value", 'in1,"₹1,23,456.50"', "in2,₹99.00"),
        "commas, UTF-8, decimal points, currencies from the amounts, header in line 1",
        (("in1", 123_456_500_000, "INR"), ("in2", 99_000_000, "INR")),
    ),
    Spreadsheet(
        "Google Sheets, months by name",
        lines("c,value,day", "us14,1.5,31-Jan-2026", "us15,1.5,5 Feb 2026 10:20"),
        "commas, UTF-8, decimal points, dates as dmy, header in line 1",
        (("us14", 1_500_000, None, "2026-01-31 00:00:00"), ("us15", 1_500_000, None, "2026-02-05 10:20:00")),
        options=DMY,
        moments="day",
    ),
    Spreadsheet(
        "Google Sheets, ISO dates need no option",
        lines("c,value,day", "us16,1.5,2026-01-31", "us17,1.5,2026-01-31T10:20:00+02:00"),
        "commas, UTF-8, decimal points, header in line 1",
        (("us16", 1_500_000, None, "2026-01-31 00:00:00"), ("us17", 1_500_000, None, "2026-01-31 08:20:00")),
        moments="day",
    ),
    Spreadsheet(
        "Numbers, spaces around the names",
        lines("c , value , note", "us18,1.5,x", end="\n"),
        "commas, UTF-8, decimal points, header in line 1, not used: note",
        (("us18", 1_500_000, None),),
    ),
]

ELSEWHERE = [
    Spreadsheet(
        "Excel, Polish",
        lines("c;value", "pl1;1 234,50 zł", "pl2;12,00 zł"),
        "semicolons, cp1250, decimal commas, currencies from the amounts, header in line 1",
        (("pl1", 1_234_500_000, "PLN"), ("pl2", 12_000_000, "PLN")),
        encoding="cp1250",
        options=Options(encoding="cp1250"),
    ),
    Spreadsheet(
        "Excel, Brazilian",
        lines("c;value", "br1;R$ 1.234,50", "br2;-R$ 12,00"),
        "semicolons, UTF-8, decimal commas, currencies from the amounts, header in line 1",
        (("br1", 1_234_500_000, "BRL"), ("br2", -12_000_000, "BRL")),
    ),
    Spreadsheet(
        "Excel, Russian, cp1251",
        lines("c;value;имя", "ru1;1 234,50 руб.;Иван", "ru2;5,00 руб.;"),  # noqa: RUF001 - Russian
        "semicolons, cp1251, decimal commas, currencies from the amounts, header in line 1, not used: имя",
        (("ru1", 1_234_500_000, "RUB"), ("ru2", 5_000_000, "RUB")),
        encoding="cp1251",
        options=Options(encoding="cp1251"),
    ),
    Spreadsheet(
        "Excel, Swedish, a sign of several countries",
        lines("c;value", "se1;1 234,50 kr", "se2;-5,00 kr"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("se1", 1_234_500_000, None), ("se2", -5_000_000, None)),
    ),
    Spreadsheet(
        "Google Sheets, Spanish, the sign behind and a minus of typesetters",
        lines("c,value", 'es1,"1.234,50 €"', 'es2,"\u221212,00 €"'),
        "commas, UTF-8, decimal commas, currencies from the amounts, header in line 1",
        (("es1", 1_234_500_000, "EUR"), ("es2", -12_000_000, "EUR")),
    ),
    Spreadsheet(
        "LibreOffice, Japanese, year first",
        lines("c,value,日付", "jp1,1234,2026/1/31 9:05", 'jp2,"1,234.5",2026/02/01'),
        "commas, UTF-8, decimal points, dates as ymd, header in line 1",
        (
            ("jp1", 1_234_000_000, None, "2026-01-31 09:05:00"),
            ("jp2", 1_234_500_000, None, "2026-02-01 00:00:00"),
        ),
        options=YMD,
        moments="日付",
    ),
    Spreadsheet(
        "Excel, Dutch, the sign before",
        lines("c;value", "nl1;€ 1.234,50", "nl2;€ -12,50"),
        "semicolons, UTF-8, decimal commas, currencies from the amounts, header in line 1",
        (("nl1", 1_234_500_000, "EUR"), ("nl2", -12_500_000, "EUR")),
    ),
]

OWN_NUMBERS = [
    Spreadsheet(
        "a sender that writes decimal commas",
        lines("c;value", "own1;1.234", "own2;5"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("own1", 1_234_000_000, None), ("own2", 5_000_000, None)),
        sender=COMMA,
    ),
    Spreadsheet(
        "a sender that writes decimal commas, in a file with points",
        lines("c,value", "own3,1.50", 'own4,"1,234.50"'),
        "commas, UTF-8, decimal points, header in line 1",
        (("own3", 1_500_000, None), ("own4", 1_234_500_000, None)),
        sender=COMMA,
    ),
    Spreadsheet(
        "a sender that writes cents",
        lines("c;value", "own5;150", "own6;1.250"),
        "semicolons, UTF-8, cents, header in line 1",
        (("own5", 1_500_000, None), ("own6", 12_500_000, None)),
        sender=CENTS,
    ),
    Spreadsheet(
        "a sender that writes cents, in a file of which a person says that it has points",
        lines("c;value", "own7;1.50", "own8;12", "own9;0.001"),
        "semicolons, UTF-8, decimal points, header in line 1",
        (("own7", 1_500_000, None), ("own8", 12_000_000, None)),
        (("invalid_value", "'0.001' is not an amount"),),
        sender=CENTS,
        options=Options(numbers="point"),
        compared={"matched": 2, "missing_here": 1},
    ),
    Spreadsheet(
        "a file of cents of a sender that writes points",
        lines("c,value", "own10,150", "own11,7", "own12,1.50"),
        "commas, UTF-8, cents, header in line 1",
        (("own10", 1_500_000, None), ("own11", 70_000, None)),
        (("invalid_value", "'1.50 (not in cents)' is not an amount"),),
        options=Options(numbers="cents"),
    ),
]

OF_COUNTRIES = [*ENGLISH, *ELSEWHERE, *OWN_NUMBERS]
