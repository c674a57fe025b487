"""Owns a partner's list: which of its columns say what, and its rows as lines that can be compared with ours."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from service.core.fields.amounts import micros_of
from service.core.fields.statuses import plain_word
from service.core.lifecycle import UNPAID
from service.core.presets import EZMOB
from service.core.sender import Sender
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
    "conversion_status": ("conversion_status", "status", "state", "statut", "estado", "stato", "статус"),
}
_SHOWN = 400  # letters of a header
_STRANGE, _STRANGE_LETTERS = 5, 40  # words for a status that nobody knows, at most


class Said(NamedTuple):
    """Which columns of a partner's list a person named; None: see what they are called."""

    click_id: str | None = None
    value: str | None = None
    transaction_id: str | None = None
    currency: str | None = None
    conversion_status: str | None = None


class Columns(NamedTuple):
    """Which columns of a partner's list say what; None: none does. Without values, click ids are compared."""

    click_id: str
    value: str | None
    transaction_id: str | None
    currency: str | None
    conversion_status: str | None = None


Row = tuple[str, str | None, bool, int | None, str, str, str, str]  # a line, with `ours` in the middle


class Line(NamedTuple):
    """A row of a list, theirs or ours.

    `micros` is None where there is no amount, and the transaction id where it could not be read. `place` is the row's
    number, or our request_id. `reason` says why the row cannot be compared, `unpaid` why it is worth nothing; in their
    list it has the amount that it was worth all the same, which may name the sale that it takes back.
    """

    click_id: str
    transaction_id: str | None
    micros: int | None
    currency: str
    place: str
    reason: str = ""
    unpaid: str = ""

    def row(self, *, ours: bool) -> Row:
        """Return it as a row of the table in which the lists are sorted."""
        return *self[:2], ours, *self[2:]


@dataclass(frozen=True)
class PartnerNaming:
    """What the columns of a partner's list are: those that a person named, and what the names of the others say.

    `only_ids`: nothing but the click ids is wanted of it.
    """

    said: Said = field(default_factory=Said)
    only_ids: bool = False
    alone = "click_id"

    @property
    def unsaid(self) -> Self:
        """The same without what a person said of the columns."""
        return replace(self, said=Said())

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
        currency, status = (getattr(said, what) or guessed[what] for what in ("currency", "conversion_status"))
        return Columns(click_id, value, said.transaction_id, currency, status)

    def roles(self, names: Sequence[str]) -> Roles | None:
        """Return where the columns are."""
        columns = self.columns(names)
        if columns is None:
            return None
        click_id, value, *others = (None if name is None else names.index(name) for name in columns)
        transaction, currency, status = others
        values = () if value is None else (value,)
        labels = tuple(place for place in (transaction, status) if place is not None)
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

    Its sender says how amounts are usually written, and what its words for a status mean. `only_ids`: of its columns
    only the click ids are read.
    """

    def __init__(
        self,
        file: RowFile,
        said: Said = Said(),  # noqa: B008 - it cannot be changed
        options: Options = Options(),  # noqa: B008 - it cannot be changed
        sender: Sender = EZMOB,
        *,
        only_ids: bool = False,
    ) -> None:
        naming = PartnerNaming(_with_renamed(said, options.columns), only_ids)
        self._reading = understand(file, naming, options, sender.numbers)
        columns, roles = naming.columns(self._reading.names), naming.roles(self._reading.names)
        assert columns is not None  # noqa: S101 - its header was found by them
        assert roles is not None  # noqa: S101 - the same
        self.columns = columns
        self._roles = roles
        self._sheet = Sheet(file, self._reading, roles, "point")
        self._statuses = sender.statuses
        self._unpaid = 0
        self._strange: dict[str, None] = {}  # words for a status that nobody knows, each once, in order

    @property
    def read_as(self) -> str:
        """How it is read, for a person; what was left out, or counts as 0, is known when all rows were read."""
        return ", ".join(filter(None, (self._reading.words(self._roles, self._sheet.left_out), *self._by_status())))

    def _by_status(self) -> Iterator[str]:
        if self._unpaid:
            yield f"{self._unpaid} rejected or refunded row{'s' if self._unpaid > 1 else ''} counted as 0"
        if self._strange:
            yield f"unknown statuses, counted at full value: {' '.join(map(repr, self._strange))}"

    @contextmanager
    def lines(self, advance: Advance) -> Iterator[Iterator[Line]]:
        """Open it to read its rows. Raises UnreadableFile."""
        self._unpaid, self._strange = 0, {}
        with self._sheet.records(advance) as records:
            yield (self._line(record, str(number)) for number, record in enumerate(records, 1))

    def _line(self, record: Record, place: str) -> Line:
        roles, cells = self._roles, record.cells
        click_id = cells[roles.click_id].strip() if roles.click_id < len(cells) else ""
        if record.fault:
            return Line(click_id, None, None, "", place, record.fault)
        transaction = self._cell(cells, self.columns.transaction_id)
        currency = "" if roles.currency is None else cells[roles.currency].upper()
        line = Line(click_id, transaction, None, currency or record.added.get(roles.added, ""), place)
        if not click_id:
            return line._replace(reason="no click id")
        word = self._cell(cells, self.columns.conversion_status)
        if self._is_unpaid(word):
            worth = self._cell(cells, self.columns.value)
            why = f"{word} in their list" + (f": it was {worth}" if worth else "")
            return line._replace(micros=micros_of(worth) or 0, unpaid=why)
        return _with_amount(line, cells[roles.values[0]]) if roles.values else line

    def _cell(self, cells: Sequence[str], column: str | None) -> str:
        return "" if column is None else cells[self._roles.names.index(column)].strip()

    def _is_unpaid(self, word: str) -> bool:
        """Tell whether a status says that nothing is owed, and count it; keep a word that nobody knows."""
        status = self._statuses.get(plain_word(word))
        if word and status is None and len(self._strange) < _STRANGE:
            self._strange[word[:_STRANGE_LETTERS]] = None
        self._unpaid += status in UNPAID
        return status in UNPAID


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
