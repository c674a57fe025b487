"""Owns what a comparison with a partner's list tells: differences as rows, totals, amounts as exact decimals."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from service.core.moment import utc
from service.core.presets import EZMOB
from service.core.sender import Sender
from service.operations.files.row_file import Advance, RowFile
from service.operations.files.row_output import Form, Stream, write_rows
from service.operations.files.row_shape import Types
from service.operations.files.spreadsheet.reading import Options
from service.operations.reconciling.claims import Claim, decimal
from service.operations.reconciling.explaining import Ours
from service.operations.reconciling.pairing import AGREED, Difference, Kind, Reconciliation, Total
from service.operations.reconciling.partner_list import Columns, PartnerList, Said
from service.storage.reads.conversions import Wanted

__all__ = ["COLUMNS", "Listing", "Ours", "Partner", "Reconciled", "Said", "decimal", "reconcile"]

COLUMNS: Types = {
    "difference": str,
    "click_id": str,
    "transaction_id": str,
    "value_here": str | None,
    "currency_here": str | None,
    "value_there": str | None,
    "currency_there": str | None,
    "row": int | None,
    "request_id": str | None,
    "explanation": str,
}


class Partner(NamedTuple):
    """A partner's list, which of its columns a person named, what else they said, and whose it is."""

    file: RowFile
    said: Said
    options: Options = Options()
    sender: Sender = EZMOB


class Listing(NamedTuple):
    """Where the differences are listed, and in which form."""

    form: Form
    target: Path | Stream


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How a partner's list compares with what is stored: how it was read, what was compared, and the totals."""

    read_as: str
    wanted: Wanted
    columns: Columns
    totals: dict[Kind, Total]

    @property
    def equal(self) -> bool:
        """Whether everything matches."""
        return not any(total.count for kind, total in self.totals.items() if kind not in AGREED)

    def members(self) -> dict[str, object]:
        """Return it as JSON shows it."""
        since, until = self.wanted.since, self.wanted.until
        return {
            "since": since and utc(since),
            "until": until and utc(until),
            "read_as": self.read_as,
            "columns": self.columns._asdict(),
            **{kind: _members(total) for kind, total in self.totals.items()},
        }


def reconcile(ours: Ours, partner: Partner, listing: Listing | None, advance: Advance) -> Reconciled:
    """Compare a partner's list with what is wanted of ours.

    The differences are listed if there is a listing; `advance` hears how many more bytes of the file are read. Raises
    UnreadableFile, Refused where the list cannot be written, and StorageError.
    """
    theirs = PartnerList(*partner)
    comparison = Reconciliation(ours)
    pages = comparison.differences(theirs, advance)
    if listing:
        write_rows(listing.form, COLUMNS, ((_row(it) for it in page) for page in pages), listing.target)
    else:
        for _ in pages:
            pass
    return Reconciled(theirs.read_as, ours.wanted, theirs.columns, comparison.totals)


def _row(difference: Difference) -> dict[str, object]:
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


def _told(claim: Claim | None) -> tuple[str | None, str | None]:
    if claim is None or claim.amount is None:
        return None, None
    return decimal(claim.amount.micros), claim.amount.currency or None


def _members(total: Total) -> dict[str, object]:
    return {"count": total.count, "here": _decimals(total.here), "there": _decimals(total.there)}


def _decimals(sums: dict[str, int]) -> dict[str, str]:
    return {currency: decimal(micros) for currency, micros in sums.items()}
