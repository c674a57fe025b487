"""Owns which columns of a spreadsheet mean something to an import: by the names of its sender, or of our fields."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, get_args

from service.core.sender import Field, Sender
from service.operations.files.spreadsheet.reading import Roles

_FIELDS: tuple[Field, ...] = get_args(Field)
_LABELS: tuple[Field, ...] = ("goal", "transaction_id", "conversion_status")
_SHOWN = 400  # letters of a header


def plain(name: str) -> str:
    """Return a column's name as names are compared: `Click ID` is `click_id`."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def unknown_columns(names: Sequence[str], said: Sequence[str | None]) -> str:
    """Say which columns were named that are not there; empty if all are."""
    strange = [column for column in said if column is not None and column not in names]
    return f"no column is called {' or '.join(strange)}; there are {', '.join(names)[:_SHOWN]}" if strange else ""


@dataclass(frozen=True)
class SenderNaming:
    """What the columns of a file to import are, by the parameter names of its sender.

    `renamed` are our names by theirs: a parameter of the sender's, or a field of ours. A name that is almost one of
    these counts as it, if no other column is that field.
    """

    sender: Sender
    moment_column: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    alone = None  # a file to import needs a header

    @property
    def unsaid(self) -> Self:
        """The same without what a person said of the columns."""
        return replace(self, renamed={})

    def roles(self, names: Sequence[str]) -> Roles | None:
        """Return what the columns are; None unless there is one for everything that must be sent."""
        if any(theirs not in names for theirs in self.renamed):
            return None
        ours = self.called(names)
        places: dict[Field, list[int]] = {}
        for name, named in self.sender.fields.items():  # in the order of its preference
            if name in ours:
                places.setdefault(named, []).append(ours.index(name))
        if not {"click_id", *self.sender.required} <= places.keys():
            return None
        moment = next((at for at, theirs in enumerate(names) if self.moment_column in (theirs, ours[at])), None)
        currency = places.get("currency", [None])[0]
        values = tuple(places.get("value", ()))
        labels = tuple(at for named in _LABELS for at in places.get(named, ()))
        added = self.sender.name_of("currency")
        return Roles(tuple(ours), places["click_id"][0], values, currency, moment, added, labels)

    def renaming(self, names: Sequence[str]) -> dict[str, str]:
        """Return what was said of columns by what it means: a field of ours, else a name; without what goes unsaid.

        A field has one meaning whatever it is called, unless a column beside it is the same field, or its name is that
        of a currency as well.
        """
        ours = dict(zip(reversed(names), reversed(self.called(names)), strict=True))
        unsaid = dict(zip(reversed(names), reversed(self.unsaid.called(names)), strict=True))
        fields = Counter(self.sender.fields.get(name) for name in ours.values())
        meant = {}
        for theirs in sorted({*self.renamed} & {*names}):
            name = ours[theirs]
            named = self.sender.fields.get(name)
            told_apart = named is None or fields[named] > 1 or name in self.sender.implied_currencies
            same = name == unsaid[theirs] if told_apart else named == self.sender.fields.get(unsaid[theirs])
            if not same:
                meant[theirs] = name if named is None or told_apart else named
        return meant

    def missing(self, names: Sequence[str]) -> str:
        """Say what is not there, and how to say which column it is."""
        if strange := unknown_columns(names, [*self.renamed]):
            return strange
        ours = {self.sender.fields.get(name) for name in self.called(names)}
        wanted = sorted({*self.sender.required, "click_id"} - ours)
        told = [f"no column is called {self._names_of(field)} ({field})" for field in wanted]
        first = self._parameter(wanted[0]) if wanted else ""
        return (
            f"{'; '.join(told)}; the header is {', '.join(names)[:_SHOWN]!r}: "
            f"say which one it is with --columns THEIRS={first}"
        )

    def called(self, names: Sequence[str]) -> list[str]:
        """Return the columns' names with the sender's parameter names for those that are fields."""
        ours = [self._meant(self.renamed[name]) if name in self.renamed else name for name in names]
        filled = {self.sender.fields[name] for name in ours if name in self.sender.fields}
        for place, name in enumerate(ours):
            known = self._almost(name)
            if name not in self.sender.fields and known and self.sender.fields[known] not in filled:
                ours[place] = known
                filled.add(self.sender.fields[known])
        return ours

    def _almost(self, name: str) -> str | None:
        """Return the parameter that a name is almost: in other letters, or the name of our field."""
        same = (parameter for parameter in self.sender.fields if plain(parameter) == plain(name))
        return next(same, None) or self._parameter(plain(name))

    def _meant(self, ours: str) -> str:
        """Return the sender's parameter for what a person calls ours."""
        if ours in self.sender.fields or ours not in _FIELDS:
            return ours
        return self._parameter(ours) or ours

    def _parameter(self, wanted: str) -> str | None:
        return next((name for name, named in self.sender.fields.items() if named == wanted), None)

    def _names_of(self, wanted: str) -> str:
        return " or ".join(name for name, named in self.sender.fields.items() if named == wanted)
