"""Owns a partner's list: which of its columns say what, and its rows as lines that can be compared with ours."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from service.core.fields.amounts import micros_of
from service.core.sender import NumberFormat
from service.operations.errors import Mistake, refuse_wrong
from service.operations.files.row_file import Advance, RowFile
from service.operations.files.spreadsheet.naming import plain, unknown_columns
from service.operations.files.spreadsheet.reading import Options, Roles
from service.operations.files.spreadsheet.sheet import Record, Sheet
from service.operations.files.spreadsheet.sniffing import understand

# What partners call their columns, the likelier name first; in small letters, with _ for spaces and dashes. Not the
# transaction id: a partner's own may be another than ours, so its column must be said.
NAMES: Mapping[str, tuple[str, ...]] = {
    "click_id": (
        *("click_id", "clickid", "c", "cid", "subid", "sub_id", "subid1", "aff_sub", "click"),
        *("klick_id", "klickid", "klick", "id_clic", "clic_id", "id_de_clic", "id_do_clique", "clic", "clique"),
        *("id_kliknięcia", "id_клика", "id_click"),
    ),
    "value": ("value", "amount", "payout", "revenue", "price", "sum"),
    "currency": ("currency", "currency_code"),
}
_SHOWN = 400  # letters of a header


class Said(NamedTuple):
    """Which columns of a partner's list a person named; None: see what they are called."""

    click_id: str | None = None
    value: str | None = None
    transaction_id: str | None = None
    currency: str | None = None


class Columns(NamedTuple):
    """Which columns of a partner's list say what; None: none does. Without values, click ids are compared."""

    click_id: str
    value: str | None
    transaction_id: str | None
    currency: str | None


Row = tuple[str, str | None, bool, int | None, str, str, str]  # a line, with `ours` in the middle


class Line(NamedTuple):
    """A row of a list, theirs or ours.

    `micros` is None where there is no amount, and the transaction id where it could not be read. `place` is the row's
    number, or our request_id. `reason` says why the row cannot be compared, or why ours is worth nothing now.
    """

    click_id: str
    transaction_id: str | None
    micros: int | None
    currency: str
    place: str
    reason: str = ""

    def row(self, *, ours: bool) -> Row:
        """Return it as a row of the table in which the lists are sorted."""
        return self.click_id, self.transaction_id, ours, self.micros, self.currency, self.place, self.reason


@dataclass(frozen=True)
class PartnerNaming:
    """What the columns of a partner's list are: those that a person named, and what the names of the others say.

    `only_ids`: nothing but the click ids is wanted of it.
    """

    said: Said = field(default_factory=Said)
    only_ids: bool = False
    alone = "click_id"

    def columns(self, names: Sequence[str]) -> Columns | None:
        """Return the columns; None if one that is needed is not there. One column alone may be the click ids."""
        said = self.said
        if unknown_columns(names, said):
            return None
        known = {plain(name): name for name in reversed(names)}
        guessed = {what: next((known[it] for it in guesses if it in known), None) for what, guesses in NAMES.items()}
        click_id, value = said.click_id or guessed["click_id"], said.value or guessed["value"]
        if click_id is None or (value is None and len(names) > 1 and not self.only_ids):
            return None
        if self.only_ids:
            return Columns(click_id, None, None, None)
        return Columns(click_id, value, said.transaction_id, said.currency or guessed["currency"])

    def roles(self, names: Sequence[str]) -> Roles | None:
        """Return where the columns are."""
        columns = self.columns(names)
        if columns is None:
            return None
        click_id, value, transaction, currency = (None if name is None else names.index(name) for name in columns)
        values = () if value is None else (value,)
        labels = () if transaction is None else (transaction,)
        return None if click_id is None else Roles(tuple(names), click_id, values, currency, labels=labels)

    def missing(self, names: Sequence[str]) -> str:
        """Say which column is not there, or which option says what it is."""
        if strange := unknown_columns(names, self.said):
            return strange
        known = self.said.click_id or {plain(name) for name in names} & {*NAMES["click_id"]}
        option = "--value-column" if known else "--click-id-column"
        return f"say with {option} which column it is; there are {', '.join(names)[:_SHOWN]}"


class PartnerList:
    """A partner's list, which is read in one way. To make one reads its beginning. Raises UnreadableFile.

    `own` is how its sender usually writes amounts. `only_ids`: of its columns only the click ids are read.
    """

    def __init__(
        self,
        file: RowFile,
        said: Said = Said(),  # noqa: B008 - it cannot be changed
        options: Options = Options(),  # noqa: B008 - it cannot be changed
        own: NumberFormat = "point",
        *,
        only_ids: bool = False,
    ) -> None:
        naming = PartnerNaming(_with_renamed(said, options.columns), only_ids)
        self._reading = understand(file, naming, options, own)
        columns, roles = naming.columns(self._reading.names), naming.roles(self._reading.names)
        assert columns is not None  # noqa: S101 - its header was found by them
        assert roles is not None  # noqa: S101 - the same
        self.columns = columns
        self._roles = roles
        self._sheet = Sheet(file, self._reading, roles, "point")

    @property
    def read_as(self) -> str:
        """How it is read, for a person; how many rows were left out is known when all were read."""
        return self._reading.words(self._roles, self._sheet.left_out)

    @contextmanager
    def lines(self, advance: Advance) -> Iterator[Iterator[Line]]:
        """Open it to read its rows. Raises UnreadableFile."""
        with self._sheet.records(advance) as records:
            yield (self._line(record, str(number)) for number, record in enumerate(records, 1))

    def _line(self, record: Record, place: str) -> Line:
        roles, cells = self._roles, record.cells
        click_id = cells[roles.click_id].strip() if roles.click_id < len(cells) else ""
        if record.fault:
            return Line(click_id, None, None, "", place, record.fault)
        transaction_id = self.columns.transaction_id
        transaction = "" if transaction_id is None else cells[roles.names.index(transaction_id)].strip()
        currency = "" if roles.currency is None else cells[roles.currency].upper()
        line = Line(click_id, transaction, None, currency or record.added.get(roles.added, ""), place)
        if not click_id:
            return line._replace(reason="no click id")
        return _with_amount(line, cells[roles.values[0]]) if roles.values else line


def _with_amount(line: Line, text: str) -> Line:
    micros = micros_of(text)
    if micros is None:
        return line._replace(reason=f"{text[:80]!r} is not an amount" if text else "no value")
    return line._replace(micros=micros)


def _with_renamed(said: Said, columns: Mapping[str, str]) -> Said:
    """Return what was said with `--columns theirs=ours` as well; an option for one column alone goes first.

    Raises WrongValues for what cannot be compared.
    """
    refuse_wrong(
        Mistake("columns", f"{theirs}={ours}", f"what can be compared is {', '.join(Said._fields)}")
        for theirs, ours in columns.items()
        if plain(ours) not in Said._fields
    )
    renamed = {plain(ours): theirs for theirs, ours in columns.items()}
    return Said(*(named or renamed.get(what) for what, named in said._asdict().items()))
