"""Owns what a sender is: its parameter names, required fields, number format, status words and duplicate policy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Self, cast

from service.core.lifecycle import STATUS_WORDS, STATUSES, Status
from service.core.names import plain_name

Field = Literal["click_id", "value", "currency", "goal", "transaction_id", "conversion_status"]
NumberFormat = Literal["point", "comma", "cents"]  # 1.50, 1,50, and 150 for the same amount: configured, never guessed
# When a repeated click id is a new conversion. first: with another goal or transaction id; click: never, the
# transaction id is ignored; sum: always, unless its transaction id is known.
DuplicatePolicy = Literal["first", "click", "sum"]

_BOTH: frozenset[Field] = frozenset({"click_id", "value"})


@dataclass(frozen=True, slots=True)
class Sender:
    """An authenticated caller: its name, the parameter names it uses for our fields, which of them it must send.

    Where `required` leaves `value` out, a postback without one is stored with an empty value, which counts as 0.
    `statuses` are its words for a conversion's status, in lower case; `strict_status`: a word that is none of them is
    rejected. `currencies` are codes that it may send beside ISO 4217's. `placeholders` are texts of its own that stand
    where a platform had no click id or transaction id, in lower case. `implied_currencies` are by the names of values
    that are always in one currency. Where several names of one field are sent, the first in the order of `fields`
    counts that is not empty. `never_keep` are names of parameters, in lower case, whose values are dropped.
    """

    name: str
    fields: Mapping[str, Field]
    required: frozenset[Field] = _BOTH
    numbers: NumberFormat = "point"
    statuses: Mapping[str, Status] = field(default_factory=lambda: STATUS_WORDS)
    duplicates: DuplicatePolicy = "first"
    strict_status: bool = False
    currencies: frozenset[str] = frozenset()
    placeholders: frozenset[str] = frozenset()
    implied_currencies: Mapping[str, str] = field(default_factory=dict)
    never_keep: frozenset[str] = frozenset()

    def name_of(self, field: Field) -> str:
        """Return the name that it prefers for a field; the plain word for one that it has no name for."""
        return next((name for name, named in self.fields.items() if named == field), field.replace("_", " "))

    def name_sent(self, field: Field, text: str | None, pairs: Iterable[tuple[str, str]]) -> str:
        """Return under which of its names a field's text was sent; the name that it prefers if it was not."""
        names = (name for name, sent in pairs if sent == text and self.fields.get(name) == field)
        return next(names, None) or self.name_of(field)

    def own_name(self, name: str) -> str | None:
        """Return which of its names a text is, in any case, with white space or signs around it; None: none of them."""
        own = _lowered(tuple(self.fields))
        return own.get(name.lower()) or own.get(plain_name(name))

    def words(self) -> list[str]:
        """Return a word for each status that it has a word for, its own before the trade's."""
        words: dict[Status, str] = {}
        for word in sorted(self.statuses, key=STATUS_WORDS.__contains__):
            words.setdefault(self.statuses[word], word)
        return [words[status] for status in STATUSES if status in words]

    def rules(self) -> dict[str, object]:
        """Return all of it as JSON holds it: what is judged once is judged again by the same rules."""
        return {
            "name": self.name,
            "fields": dict(self.fields),
            "required": sorted(self.required),
            "numbers": self.numbers,
            "statuses": dict(self.statuses),
            "duplicates": self.duplicates,
            "strict_status": self.strict_status,
            "currencies": sorted(self.currencies),
            "placeholders": sorted(self.placeholders),
            "implied_currencies": dict(self.implied_currencies),
            "never_keep": sorted(self.never_keep),
        }

    @classmethod
    def by(cls, rules: Mapping[str, object], never_keep: frozenset[str] = frozenset()) -> Self:
        """Return the sender that wrote these rules; before version 0008 every status was judged strictly.

        What it wants nobody to keep now is not kept of what it sent before.
        """
        return cls(
            name=str(rules["name"]),
            fields=cast("Mapping[str, Field]", rules["fields"]),
            required=frozenset(cast("Sequence[Field]", rules["required"])),
            numbers=cast("NumberFormat", rules["numbers"]),
            statuses=cast("Mapping[str, Status]", rules["statuses"]),
            duplicates=cast("DuplicatePolicy", rules["duplicates"]),
            strict_status=bool(rules.get("strict_status", True)),
            currencies=frozenset(cast("Sequence[str]", rules.get("currencies", ()))),
            placeholders=frozenset(cast("Sequence[str]", rules.get("placeholders", ()))),
            implied_currencies=cast("Mapping[str, str]", rules.get("implied_currencies", {})),
            never_keep=never_keep | frozenset(cast("Sequence[str]", rules.get("never_keep", ()))),
        )


@lru_cache(maxsize=1024)  # senders
def _lowered(names: tuple[str, ...]) -> Mapping[str, str]:
    return {name.lower(): name for name in names}
