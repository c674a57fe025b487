"""Owns the options that say how a spreadsheet is to be read: `import`, `reconcile` and `lookup` share them."""

from typing import Annotated, Literal

import typer

_PANEL = "Spreadsheets: said instead of what the file looks like"

Delimiter = Annotated[
    str | None,
    typer.Option(
        help="What stands between cells: ';', tab, pipe …", show_default="as it looks", rich_help_panel=_PANEL
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(help="utf-8, utf-16, cp1252, cp1250 …", show_default="as it looks", rich_help_panel=_PANEL),
]
Numbers = Annotated[
    Literal["point", "comma", "cents"] | None,
    typer.Option(
        help="How amounts are written: 1,234.50 (point), 1.234,50 (comma) or 123450 (cents).",
        show_default="as they look, else the sender's own",
        rich_help_panel=_PANEL,
    ),
]
Dates = Annotated[
    Literal["dmy", "mdy", "ymd"] | None,
    typer.Option(
        help="The order of local dates: 31.1.2026 (dmy), 1/31/2026 (mdy), 2026/1/31 (ymd). It is never guessed.",
        show_default="ISO 8601 only",
        rich_help_panel=_PANEL,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="THEIRS=OURS",
        help="What a column of theirs is to us: 'Click ID=click_id'. Give it several times for several.",
        show_default="by their names",
        rich_help_panel=_PANEL,
    ),
]
ClickIds = Annotated[
    str | None,
    typer.Option(
        "--click-id-column",
        metavar="COLUMN",
        help="Their column of click ids.",
        show_default="by its name: click_id, cid …",
    ),
]
