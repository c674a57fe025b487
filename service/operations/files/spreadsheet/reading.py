"""Owns how a spreadsheet is read: what a person says of it, what is understood, and how that is told in one line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol, Self

from service.core.sender import NumberFormat
from service.operations.files.encoding import UTF8
from service.operations.files.row_file import Layout
from service.operations.files.spreadsheet.amounts import Numbers
from service.operations.files.spreadsheet.dates import DateOrder

DELIMITERS: Mapping[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_ENCODINGS = {UTF8: "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
EDITION = 2  # of what is understood in a row: 1 knew no sums between rows, and no ="0123"
_NAMED = 8  # columns that are not used, at most
_NUMBERS: Mapping[NumberFormat, str] = {"point": "decimal points", "comma": "decimal commas", "cents": "cents"}


@dataclass(frozen=True, slots=True)
class Options:
    """What a person says of a file, instead of what its beginning says; `columns` are our names by theirs."""

    delimiter: str | None = None
    encoding: str | None = None
    numbers: NumberFormat | None = None
    dates: DateOrder | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


class Roles(NamedTuple):
    """The columns of a file as they are called from here on, and the places of those that mean something here.

    There may be several columns of values, the preferred one first. `added` is what the currency of an amount's sign is
    called, where no column has the currency. `labels` are texts of ours that mean something: goals, transaction ids.
    """

    names: tuple[str, ...]
    click_id: int
    values: tuple[int, ...] = ()
    currency: int | None = None
    moment: int | None = None
    added: str = "currency"
    labels: tuple[int, ...] = ()

    @property
    def used(self) -> frozenset[int]:
        """The places of all columns that mean something."""
        places = (self.click_id, *self.values, self.currency, self.moment, *self.labels)
        return frozenset(place for place in places if place is not None)


class Naming(Protocol):
    """What knows the columns by their names, whatever is done with the rows.

    `alone` is what the only column of a file without a header is called; None where each file needs one.
    """

    @property
    def alone(self) -> str | None:
        """The name."""

    @property
    def unsaid(self) -> Self:
        """The same without what a person said of the columns."""

    def roles(self, names: Sequence[str]) -> Roles | None:
        """Return what the columns are; None if these are no names of columns, so that this is no header."""

    def missing(self, names: Sequence[str]) -> str:
        """Say what these names lack to be a header."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of a file are read.

    `above` is how many lines stand above the header, `names` what it says, without the spaces around it, and `columns`
    are our names by theirs, as a person said. `signs`: currency signs are among the amounts. `foreign`: only a person
    knows its columns, so its amounts are not written for our doors. `returns`: its lines end in carriage returns alone.
    Without names nothing is respelled: so versions before read every file.
    """

    encoding: str = UTF8
    delimiter: str = ","
    above: int = 0
    names: tuple[str, ...] = ()
    headless: bool = False
    numbers: NumberFormat = "point"
    sure: bool = False
    dates: DateOrder | None = None
    signs: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = False
    returns: bool = False
    edition: int = 1

    @property
    def how_numbers(self) -> Numbers:
        """How its amounts are written."""
        return Numbers(self.numbers, self.sure, plain=(self.is_ours and not self.foreign) or self.numbers != "point")

    @property
    def layout(self) -> Layout:
        """Where its records are."""
        return Layout(self.encoding, self.delimiter, self.above, self.returns)

    @property
    def is_ours(self) -> bool:
        """Whether its rows are CSV as our doors take it."""
        return self.encoding == UTF8 and self.delimiter == ","

    def rules(self) -> dict[str, Any]:
        """Return all of it as JSON holds it: what is read once is read again in the same way."""
        return asdict(self)

    @classmethod
    def by(cls, rules: Mapping[str, Any] | None) -> Self:
        """Return the reading that wrote these rules; of a version that wrote none, how it read."""
        return cls(**{**rules, "names": tuple(rules["names"])}) if rules else cls()

    def words(self, roles: Roles | None, left_out: int = 0) -> str:
        """Tell a person what was understood, in one line."""
        return ", ".join(self._words(roles, left_out))

    def _words(self, roles: Roles | None, left_out: int) -> Iterator[str]:
        yield DELIMITERS.get(self.delimiter, f"separated by {self.delimiter!r}")
        yield _ENCODINGS.get(self.encoding, self.encoding)
        if roles is None or roles.values:
            yield _NUMBERS[self.numbers]
        if self.signs:
            yield "currencies from the amounts"
        if self.dates:
            yield f"dates as {self.dates}"
        yield "no header" if self.headless else f"header in line {self.above + 1}"
        for theirs, ours in zip(self.names, roles.names if roles else (), strict=False):
            if theirs != ours:
                yield f"{theirs} as {ours}"
        if roles and (unused := [name for place, name in enumerate(self.names) if name and place not in roles.used]):
            more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
            yield f"not used: {', '.join(unused[:_NAMED])}{more}"
        if left_out:
            yield f"{left_out} total row{'s' if left_out > 1 else ''} left out"
