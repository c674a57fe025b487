"""Owns the command `reconcile`: a partner's list compared with what is stored, and the differences told."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.choosing import SenderName, Since, Until, wanted
from service.cli.printing import print_json, say, stdout
from service.cli.progress import progress
from service.cli.registering import chosen_sender, registered
from service.cli.setting_up import database_of, readable_or_refuse, settings_or_refuse
from service.cli.spreadsheets import ClickIds, Columns, Delimiter, Encoding, Numbers

if TYPE_CHECKING:
    from service.core.sender import Sender
    from service.operations.reconciling.operation import Listing, Partner, Reconciled
    from service.operations.selection import Wanted


_SELDOM = ("status_differs", "unpaid")  # told where there are some
_File = Annotated[Path, typer.Argument(metavar="PARTNER.CSV", help="A spreadsheet as CSV; packed: .gz or .zst.")]
_Values = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Their column of values.", show_default="by its name: value, payout …"),
]
_TransactionIds = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Compare transaction ids, too.", show_default="only click ids")
]
_Currencies = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Their column of currencies.", show_default="by its name: currency"),
]
_Output = Annotated[Path | None, typer.Option(help="List the differences there.")]
_Format = Annotated[
    Literal["csv", "ndjson"] | None,
    typer.Option("--format", help="How: csv for a spreadsheet, ndjson for a program; without --output to stdout."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print the totals as one JSON object.")]


def reconcile(  # noqa: PLR0913 - the options
    file: _File,
    since: Since = None,
    until: Until = None,
    sender: SenderName = None,
    *,
    click_id_column: ClickIds = None,
    value_column: _Values = None,
    transaction_id_column: _TransactionIds = None,
    currency_column: _Currencies = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    numbers: Numbers = None,
    columns: Columns = None,
    output: _Output = None,
    form: _Format = None,
    as_json: _Json = False,
) -> None:
    """Compare a partner's list with what is stored, and tell where they differ.

    Conversions of one click id are paired by their value, then as they come;
    the value is the last one that came with a change of status, if any did.
    What is rejected or refunded, here or in their column of statuses, counts
    as 0: unpaid, where the other side has no money for it, else status_differs.
    The period is that of our received_at; test conversions are left out. A
    currency is compared where both sides say one. What cannot be read, and
    what is missing here, is explained: rejected, when, why and as what (that
    reads all that was rejected, 1 GiB at most by default), in this host's
    spool, stored outside the period, or never arrived. Their list is read as
    it looks, and one line says how. It may be click ids alone.

    Example: python -m service reconcile january.csv --since 2026-01-01 --until 2026-02-01 --output operation.csv

    JSON keys: since, until, read_as, columns, and for each kind of difference
    {count here there}; here and there are values by currency.

    Exit code: 0 all match, 1 there are differences, 2 something cannot be done.
    """
    from service.operations.files.row_file import RowFile
    from service.operations.files.spreadsheet.saying import options_of
    from service.operations.reconciling.operation import Listing, Partner, Said

    meant = wanted(sender, since, until)
    said = Said(click_id_column, value_column, transaction_id_column, currency_column)
    listing = Listing(form or "csv", output or stdout()) if output or form else None
    options = options_of(delimiter, encoding, numbers, columns=columns or ())
    compared = _compared(Partner(RowFile(file, "csv"), said, options, _whose(sender)), meant, listing)
    _tell(compared, as_json=as_json, err=bool(form and not output))
    raise typer.Exit(0 if compared.equal else 1)


def _whose(name: str | None) -> "Sender":
    """Return a sender, who says how it writes; one that writes as most do, if it has rows but is registered no more."""
    from service.core.presets import EZMOB
    from service.operations.errors import Refused

    try:
        return chosen_sender(name, settings_or_refuse(), registered())
    except Refused:
        return EZMOB


def _compared(partner: "Partner", meant: "Wanted", listing: "Listing | None") -> "Reconciled":
    from service.operations.reconciling import operation

    spool_directory = settings_or_refuse().spool_dir
    with (
        readable_or_refuse(partner.file.path),
        database_of(meant.sender) as database,
        progress("reading", None, in_bytes=True) as advance,
        progress("searching", None) as searched,
    ):
        return operation.reconcile(
            operation.Ours(database, meant, spool_directory, searched), partner, listing, advance
        )


def _tell(compared: "Reconciled", *, as_json: bool, err: bool) -> None:
    if as_json:
        print_json(compared.members(), err=err)
    else:
        say(*_lines(compared), err=err)


def _lines(compared: "Reconciled") -> Iterator[str]:
    yield f"read as: {compared.read_as}"
    named = {what: column for what, column in compared.columns._asdict().items() if column}
    yield "compared: " + ", ".join(f"their {column} as {what}" for what, column in named.items())
    for kind, total in compared.totals.items():
        if kind in _SELDOM and not total.count:
            continue
        sides = {"here": total.here, "there": total.there}
        sums = [f"{side} {_sums(amounts)}" for side, amounts in sides.items() if amounts]
        yield f"{total.count:>11,}  {kind.replace('_', ' '):<15}{'  '.join(sums)}".rstrip()


def _sums(amounts: dict[str, int]) -> str:
    from service.operations.reconciling.operation import decimal

    return " + ".join(
        f"{decimal(micros)} {currency or '(no currency)'}" for currency, micros in sorted(amounts.items())
    )
