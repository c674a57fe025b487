"""Owns the command `reconcile`: a partner's list compared with what is stored, and the differences told."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.cli.choosing import SenderName, Since, Until, wanted
from service.cli.printing import print_json
from service.cli.progress import progress
from service.cli.setting_up import database_of, readable_or_refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.reconcile import Listing, Partner, Reconciled
    from service.operations.selection import Wanted


_SELDOM = ("status_differs", "unpaid")  # told where there are some
_File = Annotated[Path, typer.Argument(metavar="PARTNER.CSV", help="CSV with a header; packed: .gz or .zst.")]
_ClickIds = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Their column of click ids.", show_default="by its name: click_id, cid …"),
]
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
    click_id_column: _ClickIds = None,
    value_column: _Values = None,
    transaction_id_column: _TransactionIds = None,
    currency_column: _Currencies = None,
    output: _Output = None,
    form: _Format = None,
    as_json: _Json = False,
) -> None:
    """Compare a partner's list with what is stored, and tell where they differ.

    Conversions of one click id are paired by their value, then as they come;
    the value is the last one that came with a change of status, if any did.
    What is rejected or refunded by now counts as 0: unpaid, where their list
    has it at 0 or not at all, and status_differs, where they want money.
    The period is that of our received_at; test conversions are left out. A
    currency is compared where both sides say one. What is missing here is
    explained: rejected, when, why and as which parameter (that reads the raw
    input of all that was rejected, 1 GiB at most by default), waiting in this
    host's spool, stored outside the period, or never arrived.

    Example: python -m service reconcile january.csv --since 2026-01-01 --until 2026-02-01 --output operation.csv

    JSON keys: since, until, columns {click_id value transaction_id currency},
    and matched, value_differs, status_differs, missing_here, missing_there,
    unpaid, unreadable, each {count here there}; here and there are values by
    currency.

    Exit code: 0 all match, 1 there are differences, 2 bad usage, or something
    cannot be read or written.
    """
    from service.operations.reconcile import Listing, Partner, Said
    from service.operations.row_file import RowFile

    meant = wanted(sender, since, until)
    said = Said(click_id_column, value_column, transaction_id_column, currency_column)
    listing = Listing(form or "csv", output or sys.stdout.buffer) if output or form else None
    compared = _compared(Partner(RowFile(file, "csv"), said), meant, listing)
    listed_here = bool(form and not output)
    if as_json:
        print_json(compared.members(), err=listed_here)
    else:
        typer.echo("\n".join(_lines(compared)), err=listed_here)
    raise typer.Exit(0 if compared.equal else 1)


def _compared(partner: "Partner", meant: "Wanted", listing: "Listing | None") -> "Reconciled":
    from service.operations import reconcile as operation

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


def _lines(compared: "Reconciled") -> Iterator[str]:
    named = {what: column for what, column in compared.columns._asdict().items() if column}
    yield "compared: " + ", ".join(f"their {column} as {what}" for what, column in named.items())
    for kind, total in compared.totals.items():
        if kind in _SELDOM and not total.count:
            continue
        sides = {"here": total.here, "there": total.there}
        sums = [f"{side} {_sums(amounts)}" for side, amounts in sides.items() if amounts]
        yield f"{total.count:>11,}  {kind.replace('_', ' '):<15}{'  '.join(sums)}".rstrip()


def _sums(amounts: dict[str, int]) -> str:
    from service.operations.reconcile import decimal

    return " + ".join(
        f"{decimal(micros)} {currency or '(no currency)'}" for currency, micros in sorted(amounts.items())
    )
