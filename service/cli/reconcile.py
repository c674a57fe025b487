"""Owns the command `reconcile`: a partner's list compared with what is stored, and the differences told."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import typer

from service.cli.choosing import SenderName, Since, Until, wanted
from service.cli.progress import progress
from service.cli.setting_up import configured_database, readable_or_refuse
from service.operations.row_output import emit, encoded, utc

if TYPE_CHECKING:
    from service.operations.reconcile import Claim, Columns, Difference, Total

COLUMNS = (
    "difference",
    "click_id",
    "transaction_id",
    "value_here",
    "currency_here",
    "value_there",
    "currency_there",
    "row",
    "request_id",
    "explanation",
)
_MICROS = 10**6


def reconcile(  # noqa: PLR0913 - the options
    file: Annotated[Path, typer.Argument(metavar="PARTNER.CSV", help="CSV with a header; packed: .gz or .zst.")],
    since: Since = None,
    until: Until = None,
    sender: SenderName = None,
    *,
    click_id_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Their column of click ids.", show_default="by its name: click_id, cid …"),
    ] = None,
    value_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Their column of values.", show_default="by its name: value, payout …"),
    ] = None,
    transaction_id_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Compare transaction ids, too.", show_default="only click ids"),
    ] = None,
    currency_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Their column of currencies.", show_default="by its name: currency"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="List the differences there.")] = None,
    form: Annotated[
        Literal["csv", "ndjson"] | None,
        typer.Option("--format", help="How: csv for a spreadsheet, ndjson for a program; without --output to stdout."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the totals as one JSON object.")] = False,
) -> None:
    """Compare a partner's list with what is stored, and tell where they differ.

    Conversions of one click id are paired by their value, then as they come;
    the value is the last one that came with a change of status, if any did.
    The period is that of our received_at; test conversions are left out. A
    currency is compared where both sides say one. What is missing here is
    explained: rejected and why, stored outside the period, or never arrived.

    Example: python -m service reconcile january.csv --since 2026-01-01 --until 2026-02-01 --output differences.csv

    JSON keys: since, until, columns {click_id value transaction_id currency},
    and matched, value_differs, missing_here, missing_there, unreadable, each
    {count here there}; here and there are values by currency.

    Exit code: 0 all match, 1 there are differences, 2 bad usage, or something
    cannot be read or written.
    """
    from service.operations.reconcile import Reconciliation, Said, columns_of
    from service.operations.row_file import RowFile

    meant = wanted(sender, since, until)
    partner = RowFile(file, "csv")
    with readable_or_refuse(file), configured_database() as database:
        said = Said(click_id_column, value_column, transaction_id_column, currency_column)
        columns = columns_of(partner, said)
        comparison = Reconciliation(database.conversions(), database.quarantine(), meant)
        with progress("reading", None, in_bytes=True) as advance:
            differences = comparison.differences(partner, columns, advance)
            _list(differences, output, form)
    if as_json:
        period = {"since": meant.since and utc(meant.since), "until": meant.until and utc(meant.until)}
        totals: dict[str, object] = {kind: _members(total) for kind, total in comparison.totals.items()}
        answer: dict[str, object] = {**period, "columns": columns._asdict(), **totals}
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode(), err=bool(form and not output))
    else:
        lines = [*_compared(columns), *(_line(kind, total) for kind, total in comparison.totals.items())]
        typer.echo("\n".join(lines), err=bool(form and not output))
    raise typer.Exit(int(any(total.count for kind, total in comparison.totals.items() if kind != "matched")))


def _list(pages: "Iterable[list[Difference]]", output: Path | None, form: str | None) -> None:
    """Read the comparison to its end, and list the differences where that is wanted."""
    rows = ((_row(difference) for difference in page) for page in pages)
    if output is None and form is None:
        for page in rows:
            for _ in page:
                pass
        return
    emit(encoded(form or "csv", COLUMNS, rows), output)


def _row(difference: "Difference") -> dict[str, object]:
    here, there = difference.here, difference.there
    cells = (
        difference.kind,
        difference.click_id,
        difference.transaction_id,
        *_told(here),
        *_told(there),
        there and int(there.place),
        here and here.place,
        difference.explanation,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _told(claim: "Claim | None") -> tuple[str | None, str | None]:
    if claim is None or claim.amount is None:
        return None, None
    return decimal(claim.amount.micros), claim.amount.currency or None


def _compared(columns: "Columns") -> Iterator[str]:
    named = {what: column for what, column in columns._asdict().items() if column}
    yield "compared: " + ", ".join(f"their {column} as {what}" for what, column in named.items())


def _line(kind: str, total: "Total") -> str:
    sides = {"here": total.here, "there": total.there}
    sums = [f"{side} {_sums(amounts)}" for side, amounts in sides.items() if amounts]
    return f"{total.count:>11,}  {kind.replace('_', ' '):<15}{'  '.join(sums)}".rstrip()


def _sums(amounts: dict[str, int]) -> str:
    return " + ".join(
        f"{decimal(micros)} {currency or '(no currency)'}" for currency, micros in sorted(amounts.items())
    )


def _members(total: "Total") -> dict[str, object]:
    sides = {"here": total.here, "there": total.there}
    return {
        "count": total.count,
        **{side: {currency: decimal(micros) for currency, micros in sums.items()} for side, sums in sides.items()},
    }


def decimal(micros: int) -> str:
    """Return an amount in millionths as a decimal, exact, with two digits after the point at least."""
    whole, rest = divmod(abs(micros), _MICROS)
    fraction = f"{rest:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{fraction}"
