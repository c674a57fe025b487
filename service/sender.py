"""Owns who sends postbacks and how that sender names its fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Field = Literal["click_id", "value", "currency", "goal", "transaction_id"]


@dataclass(frozen=True, slots=True)
class Sender:
    """An authenticated caller: its name, and the parameter names it uses for our fields."""

    name: str
    fields: Mapping[str, Field]


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
    },
)
