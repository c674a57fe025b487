"""Owns spreadsheets that are damaged or cannot be understood, and what must be said of each."""

from service.operations.files.spreadsheet.reading import Options
from tests.operations.spreadsheet_case import Spreadsheet, lines

THEIRS = Options(columns={"Click ID": "click_id", "Payout": "value"})

DAMAGED = [
    Spreadsheet(
        "amounts that are none",
        lines("c;value", "d1;1,50", "d2;n/a", "d3;12,5o", "d4;1.23.4,5"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("d1", 1_500_000, None),),
        (
            ("invalid_value", "'n/a' is not an amount"),
            ("invalid_value", "'12,5o' is not an amount"),
            ("invalid_value", "'1.23.4,5' is not an amount"),
        ),
    ),
    Spreadsheet(
        "amounts of both kinds: the sender's own count",
        lines("c;value", "d5;1.50", "d6;1,5", "d7;1.234"),
        "semicolons, UTF-8, decimal points, header in line 1",
        (("d5", 1_500_000, None),),
        (
            ("invalid_value", "'1,5' is not an amount"),
            ("invalid_value", "'1.234 (thousands or a fraction: say --numbers)' is not an amount"),
        ),
    ),
    Spreadsheet(
        "too few cells and too many",
        lines("c;value;note", "d8;1,50", "d9;1,50;a;b", "d10;1,50;x"),
        "semicolons, UTF-8, decimal commas, header in line 1, not used: note",
        (("d10", 1_500_000, None),),
        (("malformed_body", "2 cells under a header of 3"), ("malformed_body", "4 cells under a header of 3")),
    ),
    Spreadsheet(
        "a broken quote, which under a comma would be another row",
        lines("c;value", 'd11;"1,50"x', "d12;2,50", end="\n"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("d12", 2_500_000, None),),
        (("malformed_body", "the row is not one CSV record"),),
    ),
    Spreadsheet(
        "half UTF-8: what is not, is damage",
        lines("c,value,note", "d13,1.50,größer", "d14,1.50,gr\udcf6ßer", "d\udcf615,1.50,größer"),
        "commas, UTF-8, decimal points, header in line 1, not used: note",
        (("d13", 1_500_000, None), ("d14", 1_500_000, None)),
        (("invalid_encoding", "not UTF-8"),),
    ),
    Spreadsheet(
        "no click id",
        lines("c;value", ";1,50", "d15;2,50"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("d15", 2_500_000, None),),
        (("missing_click_id", "absent"),),
    ),
    Spreadsheet(
        "a total that has a click id is a conversion's",
        lines("c;value;note", "d16;1,50;total"),
        "semicolons, UTF-8, decimal commas, header in line 1, not used: note",
        (("d16", 1_500_000, None),),
    ),
]

REFUSED = [
    Spreadsheet(
        "local dates without their order",
        lines("c,value,when", "r1,1.50,01/02/2026"),
        refused="when is '01/02/2026', and nobody can tell its day from its month: say --dates dmy, mdy or ymd",
        moments="when",
    ),
    Spreadsheet(
        "an amount that may be thousands or a fraction",
        lines("c,value", 'r2,"1,234"', "r3,5"),
        refused="1,234 may be thousands or a fraction, and no other amount tells: say --numbers",
    ),
    Spreadsheet(
        "points in a file with semicolons that may be thousands or decimals",
        lines("c;value", "mi1;10", "mi2;1.234", "mi3;99.999"),
        refused="1.234 may be thousands or a fraction, and no other amount tells: say --numbers",
    ),
    Spreadsheet(
        "points in a file with tabs that may be thousands or decimals",
        lines("c\tvalue\tcurrency", "mi4\t99.999\tEUR"),
        refused="99.999 may be thousands or a fraction, and no other amount tells: say --numbers",
    ),
    Spreadsheet(
        "points in a file of UTF-16 that may be thousands or decimals",
        lines("c,value", "mi5,-1.234"),
        refused="-1.234 may be thousands or a fraction, and no other amount tells: say --numbers",
        encoding="utf-16",
    ),
    Spreadsheet(
        "unknown names",
        lines("Klick;Umsatz", "r4;1,50"),
        refused="no column is called c (click_id); no column is called value (value); the header is 'Klick, Umsatz'",
    ),
    Spreadsheet(
        "a column that was said and is not there",
        lines("Click;Payout", "r5;1,50"),
        refused="no column is called Click ID; there are Click, Payout",
        options=THEIRS,
    ),
    Spreadsheet("a workbook", "PK\x03\x04 and so on", refused="is a workbook: save its sheet as CSV"),
    Spreadsheet("nothing", "", refused="has no header of CSV"),
    Spreadsheet("blank lines", "\r\n\r\n", refused="has no header of CSV"),
]
