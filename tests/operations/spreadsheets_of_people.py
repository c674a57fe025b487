"""Owns spreadsheets as people and old programs leave them: sums between the rows, cells made text, old line ends."""

from service.operations.files.spreadsheet.reading import Options
from tests.operations.spreadsheet_case import Spreadsheet, lines

THEIRS = Options(columns={"Click ID": "click_id", "Payout": "value"})

OF_PEOPLE = [
    Spreadsheet(
        "sums between the rows, whose label is in another column",
        lines("c;value;note", "e1;1,50;", ";1,50;Zwischensumme", "e2;2,50;", ";2,50;Zwischensumme Mai", ";4,00;Summe"),
        "semicolons, UTF-8, decimal commas, header in line 1, not used: note, 3 total rows left out",
        (("e1", 1_500_000, None), ("e2", 2_500_000, None)),
    ),
    Spreadsheet(
        "sums between the rows, in the place of the click id",
        lines("c,value", "e3,1.50", "Subtotal,1.50", "e4,2.50", '"Sub-total, June",2.50', "e5,1", " ИТОГО: ,5", "e6,1"),
        "commas, UTF-8, decimal points, header in line 1, 3 total rows left out",
        (("e3", 1_500_000, None), ("e4", 2_500_000, None), ("e5", 1_000_000, None), ("e6", 1_000_000, None)),
    ),
    Spreadsheet(
        "what only begins like a sum is a click id, and a row without one is none",
        lines("c,value", "summer-7,1.50", "totally,2.50", ",3", "sum7,1"),
        "commas, UTF-8, decimal points, header in line 1",
        (("sum7", 1_000_000, None), ("summer-7", 1_500_000, None), ("totally", 2_500_000, None)),
        (("missing_click_id", "absent"),),
    ),
    Spreadsheet(
        "a minus behind, with points",
        lines("c,value", "e7,12.50-", "e8-,3", "e9-a-b,4", end="\n"),
        "commas, UTF-8, decimal points, header in line 1",
        (("e7", -12_500_000, None), ("e8-", 3_000_000, None), ("e9-a-b", 4_000_000, None)),
    ),
    Spreadsheet(
        "a minus behind at the end of a line of Windows",
        lines("c,value", "e10,1.234.50-", "e11,1 234.50-", "e12,12.50-"),
        "commas, UTF-8, decimal points, header in line 1",
        (("e11", -1_234_500_000, None), ("e12", -12_500_000, None)),
        (("invalid_value", "'1.234.50-' is not an amount"),),
    ),
    Spreadsheet(
        "a minus behind, with commas",
        lines("c;value", "e13;12,50-", "e14;1.234,50- €"),
        "semicolons, UTF-8, decimal commas, currencies from the amounts, header in line 1",
        (("e13", -12_500_000, None), ("e14", -1_234_500_000, "EUR")),
    ),
    Spreadsheet(
        "cells that Excel was made to take for text",
        lines("c,value", '="0123",1.50', '"=""0456""",2.50', '="0789","=""3.50"""', '="",4'),
        "commas, UTF-8, decimal points, header in line 1",
        (("0123", 1_500_000, None), ("0456", 2_500_000, None), ("0789", 3_500_000, None)),
        (("missing_click_id", "absent"),),
    ),
    Spreadsheet(
        "cells that Excel was made to take for text, under semicolons, also in the header",
        lines('="c";="value"', '="0124";="1,50"', "'=0125;1,50"),
        "semicolons, UTF-8, decimal commas, header in line 1",
        (("=0125", 1_500_000, None), ("0124", 1_500_000, None)),
    ),
    Spreadsheet(
        "lines that end as on an old Mac",
        lines("Report", "", "c,value", "m1,1.50", '"m2",2.50', "Total,4.00", end="\r"),
        "commas, UTF-8, decimal points, header in line 3, 1 total row left out",
        (("m1", 1_500_000, None), ("m2", 2_500_000, None)),
    ),
    Spreadsheet(
        "lines that end as on an old Mac, in UTF-16",
        "\ufeff" + lines("c;value", "m3;1,50", "m4;2,50", end="\r"),
        "semicolons, UTF-16, decimal commas, header in line 1",
        (("m3", 1_500_000, None), ("m4", 2_500_000, None)),
        encoding="utf-16-le",
    ),
    Spreadsheet(
        "names of their own, and a point that another amount tells",
        lines("Click ID,Payout,Payout EUR", "n1,1.234,1.1", "n2,1.5,1.4"),
        "commas, UTF-8, decimal points, header in line 1, Click ID as c, Payout as value, not used: Payout EUR",
        (("n1", 1_234_000, None), ("n2", 1_500_000, None)),
        options=THEIRS,
    ),
    Spreadsheet(
        "more columns than anybody wants to hear of",
        lines("c,value," + ",".join(f"k{number}" for number in range(11)), "n3,1.50" + ",x" * 11),
        "commas, UTF-8, decimal points, header in line 1, not used: k0, k1, k2, k3, k4, k5, k6, k7 and 3 more",
        (("n3", 1_500_000, None),),
    ),
]

UNSURE = [
    Spreadsheet(
        "names of their own, and a point that may be thousands or decimals",
        lines("Klick-Nr,Umsatz", "u1,1.234", "u2,5"),
        refused="1.234 may be thousands or a fraction, and no other amount tells: say --numbers",
        options=Options(columns={"Klick-Nr": "click_id", "Umsatz": "value"}),
    ),
]
