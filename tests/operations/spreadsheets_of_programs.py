"""Owns spreadsheets as Excel, Google Sheets, LibreOffice and Numbers write them, in German, French and Swiss."""

from dataclasses import replace

from service.core.presets import EZMOB
from service.operations.files.spreadsheet.reading import Options
from tests.operations.spreadsheet_case import Spreadsheet, lines

COMMA, CENTS = replace(EZMOB, numbers="comma"), replace(EZMOB, numbers="cents")
DMY, MDY, YMD = (Options(dates=order) for order in ("dmy", "mdy", "ymd"))

GERMAN = [
    Spreadsheet(
        "Excel, German, CSV with semicolons",
        lines("c;value;currency", "de1;12,50;EUR", "de2;1.234,50;EUR", "de3;7;EUR"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("de1", 12_500_000, "EUR"), ("de2", 1_234_500_000, "EUR"), ("de3", 7_000_000, "EUR")),
    ),
    Spreadsheet(
        "Excel, German, cp1252 with an umlaut and a sign of currency",
        lines("c;value;Bemerkung", "de4;12,50 €;für März", "de5;1.000,00 €;"),
        "semicolons, cp1252, decimal commas, currencies from the amounts, header in line 1, not used: Bemerkung",
        (("de4", 12_500_000, "EUR"), ("de5", 1_000_000_000, "EUR")),
        encoding="cp1252",
    ),
    Spreadsheet(
        "Excel, German, CSV UTF-8",
        lines("c;value;Bemerkung", "de6;0,99;größer"),
        "semicolons, UTF-8, decimal commas, header in line 1, not used: Bemerkung",
        (("de6", 990_000, None),),
        encoding="utf-8-sig",
    ),
    Spreadsheet(
        "Excel, German, Unicode text",
        lines("c\tvalue\tNotiz", "de7\t3,10\tgröß"),
        "tabs, UTF-16, decimal commas, header in line 1, not used: Notiz",
        (("de7", 3_100_000, None),),
        encoding="utf-16",
    ),
    Spreadsheet(
        "Excel, German, with sep= above",
        lines("sep=;", "c;value", "de8;2,25"),
        "semicolons, UTF-8, decimal commas, header in line 2",
        (("de8", 2_250_000, None),),
    ),
    Spreadsheet(
        "Excel, German, local dates with times",
        lines("c;value;Datum", "de9;2,25;31.01.2026 14:05", "de10;2,25;1.2.2026 09:00:30", "de11;1;28.02.26"),
        "semicolons, UTF-8, decimal commas, dates as dmy, header in line 1",
        (
            ("de9", 2_250_000, None, "2026-01-31 14:05:00"),
            ("de10", 2_250_000, None, "2026-02-01 09:00:30"),
            ("de11", 1_000_000, None, "2026-02-28 00:00:00"),
        ),
        options=DMY,
        moments="Datum",
    ),
    Spreadsheet(
        "Excel, German, accounting with a minus behind and rows of empty cells",
        lines("c;value;;", "de12;12,50-;;", ";;;", "de13;1.234.567,89;;", ";;;", ";;;"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("de12", -12_500_000, None), ("de13", 1_234_567_890_000, None)),
    ),
    Spreadsheet(
        "Excel, German, a sum at the end",
        lines("c;value", "de14;1,50", "de15;2,50", ";", "Summe;4,00"),
        "semicolons, UTF-8, decimal commas, header in line 1, 1 total row left out",
        (("de14", 1_500_000, None), ("de15", 2_500_000, None)),
    ),
    Spreadsheet(
        "LibreOffice, German, every text in quotes",
        lines('"c";"value";"Notiz"', '"de16";"12,50";"eins; zwei"', '"de17";"1,00";"er sagte ""ja"""', end="\n"),
        "semicolons, UTF-8, decimal commas, header in line 1, not used: Notiz",
        (("de16", 12_500_000, None), ("de17", 1_000_000, None)),
    ),
    Spreadsheet(
        "LibreOffice, German, a line end within a cell",
        lines("c;value;Notiz", 'de18;1,50;"zwei\nZeilen"', "de19;2,50;", end="\n"),
        "semicolons, UTF-8, decimal commas, header in line 1, not used: Notiz",
        (("de18", 1_500_000, None), ("de19", 2_500_000, None)),
    ),
    Spreadsheet(
        "Excel, Austrian, thousands with spaces",
        lines("c;value", "at1;1 234,50", "at2;-1 000,00"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("at1", 1_234_500_000, None), ("at2", -1_000_000_000, None)),
    ),
]

FRENCH = [
    Spreadsheet(
        "Excel, French, cp1252 with no-break spaces",
        lines("c;value;remarque", "fr1;1\u00a0234,50\u00a0€;payé", "fr2;12,00\u00a0€;"),
        "semicolons, cp1252, decimal commas, currencies from the amounts, header in line 1, not used: remarque",
        (("fr1", 1_234_500_000, "EUR"), ("fr2", 12_000_000, "EUR")),
        encoding="cp1252",
    ),
    Spreadsheet(
        "Google Sheets, French, narrow no-break spaces",
        lines("c,value", 'fr3,"1\u202f234,50 €"', 'fr4,"0,40 €"'),
        "commas, UTF-8, decimal commas, currencies from the amounts, header in line 1",
        (("fr3", 1_234_500_000, "EUR"), ("fr4", 400_000, "EUR")),
    ),
    Spreadsheet(
        "Excel, French, dates and a total général",
        lines("c;value;date", "fr5;5,00;31/01/2026 14:05", "Total général;5,00;"),
        "semicolons, UTF-8, decimal commas, dates as dmy, header in line 1, 1 total row left out",
        (("fr5", 5_000_000, None, "2026-01-31 14:05:00"),),
        options=DMY,
        moments="date",
    ),
    Spreadsheet(
        "Excel, Canadian French, sign behind",
        lines("c;value", "ca1;1 234,50 $", "ca2;5,00 $"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("ca1", 1_234_500_000, None), ("ca2", 5_000_000, None)),
    ),
]

SWISS = [
    Spreadsheet(
        "Excel, Swiss, apostrophes",
        lines("c;value;currency", "ch1;1'234.50;CHF", "ch2;12.50;CHF"),
        "semicolons, UTF-8, decimal points, header in line 1",
        (("ch1", 1_234_500_000, "CHF"), ("ch2", 12_500_000, "CHF")),
    ),
    Spreadsheet(
        "Excel, Swiss, typographic apostrophes and the code before",
        lines("c;value", "ch3;CHF 1’234’567.50", "ch4;Fr. 12.00"),  # noqa: RUF001 - as Excel writes it
        "semicolons, UTF-8, decimal points, currencies from the amounts, header in line 1",
        (("ch3", 1_234_567_500_000, "CHF"), ("ch4", 12_000_000, "CHF")),
    ),
]

OF_PROGRAMS = [*GERMAN, *FRENCH, *SWISS]
