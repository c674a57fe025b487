"""Owns what a sender is: its parameter names, required fields, number format, status words and duplicate policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, cast

from service.core.lifecycle import STATUS_WORDS, Status

Field = Literal["click_id", "value", "currency", "goal", "transaction_id", "conversion_status"]
NumberFormat = Literal["point", "comma", "cents"]  # 1.50, 1,50, and 150 for the same amount: configured, never guessed
# When a repeated click id is a new conversion. first: with another goal or transaction id; click: never, the
# transaction id is ignored; sum: always, unless its transaction id is known.
DuplicatePolicy = Literal["first", "click", "sum"]

_BOTH: frozenset[Field] = frozenset({"click_id", "value"})
_CLICK_ID: frozenset[Field] = frozenset({"click_id"})


@dataclass(frozen=True, slots=True)
class Sender:
    """An authenticated caller: its name, the parameter names it uses for our fields, which of them it must send.

    Where `required` leaves `value` out, a postback without one is stored with an empty value, which counts as 0.
    `statuses` are its words for a conversion's status, in lower case.
    """

    name: str
    fields: Mapping[str, Field]
    required: frozenset[Field] = _BOTH
    numbers: NumberFormat = "point"
    statuses: Mapping[str, Status] = field(default_factory=lambda: STATUS_WORDS)
    duplicates: DuplicatePolicy = "first"

    def rules(self) -> dict[str, object]:
        """Return all of it as JSON holds it: what is judged once is judged again by the same rules."""
        return {
            "name": self.name,
            "fields": dict(self.fields),
            "required": sorted(self.required),
            "numbers": self.numbers,
            "statuses": dict(self.statuses),
            "duplicates": self.duplicates,
        }

    @classmethod
    def by(cls, rules: Mapping[str, object]) -> Self:
        """Return the sender that wrote these rules."""
        return cls(
            name=str(rules["name"]),
            fields=cast("Mapping[str, Field]", rules["fields"]),
            required=frozenset(cast("Sequence[Field]", rules["required"])),
            numbers=cast("NumberFormat", rules["numbers"]),
            statuses=cast("Mapping[str, Status]", rules["statuses"]),
            duplicates=cast("DuplicatePolicy", rules["duplicates"]),
        )


# EZmob's postback URL is `/conversion?c={click_id}&value={value}` (EZmob help desk); the other names are the trade's.
EZMOB = Sender(
    name="ezmob",
    fields={
        "c": "click_id",
        "value": "value",
        "currency": "currency",
        "goal": "goal",
        "transaction_id": "transaction_id",
        "txid": "transaction_id",
        "conversion_status": "conversion_status",
    },
)

# How others write the same, each by its own documentation (docs/senders.md). Their payout may be absent, because it may
# be fixed in the offer; what some of them call the transaction id is our click id.
_OTHERS = (
    Sender(
        "voluum",
        {"cid": "click_id", "payout": "value", "currency": "currency", "et": "goal", "txid": "transaction_id"},
        _CLICK_ID,
    ),
    Sender("redtrack", {"clickid": "click_id", "sum": "value", "currency": "currency", "type": "goal"}, _CLICK_ID),
    Sender(
        "keitaro",
        {
            "subid": "click_id",
            "sub_id": "click_id",
            "payout": "value",
            "currency": "currency",
            "tid": "transaction_id",
            "status": "conversion_status",
        },
        _CLICK_ID,
    ),
    Sender(
        "binom",
        {
            "cnv_id": "click_id",
            "clickid": "click_id",
            "payout": "value",
            "cnv_currency": "currency",
            "cnv_status": "conversion_status",
        },
        _CLICK_ID,
    ),
    Sender(
        "bemob",
        {
            "cid": "click_id",
            "payout": "value",
            "currency": "currency",
            "txid": "transaction_id",
            "status": "conversion_status",
        },
        _CLICK_ID,
    ),
    Sender(
        "tune",
        {
            "transaction_id": "click_id",
            "amount": "value",
            "currency": "currency",
            "goal_id": "goal",
            "conversion_unique_id": "transaction_id",
        },
        _CLICK_ID,
    ),
    Sender(
        "everflow",
        {
            "transaction_id": "click_id",
            "amount": "value",
            "currency": "currency",
            "event_id": "goal",
            "order_id": "transaction_id",
        },
        _CLICK_ID,
    ),
    Sender(
        "appsflyer",
        {
            "clickid": "click_id",
            "event_revenue": "value",
            "event_revenue_currency": "currency",
            "event_name": "goal",
            "event_id": "transaction_id",
        },
        _CLICK_ID,
    ),
    Sender(
        "adjust",
        {
            "click_id": "click_id",
            "revenue_float": "value",
            "currency": "currency",
            "event_name": "goal",
            "transaction_id": "transaction_id",
        },
        _CLICK_ID,
    ),
)
PRESETS: Mapping[str, Sender] = {sender.name: sender for sender in (EZMOB, *_OTHERS)}
