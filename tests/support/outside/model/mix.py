"""Owns what is sent: postbacks of three senders, on click ids that are hot for some seconds, so that all rules fire."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.outside.model.rules import Key, Said, amount_of, key_of

_PER_CLICK = 40  # postbacks for each click id
_HOT = 24  # so many click ids at a time
_LATE = 0.08  # of all postbacks: for a click id that was hot before

WORDS = {
    "pending": ("pending", "lead", "New", "hold", "waiting"),
    "approved": ("approved", "sale", "Confirmed", "PAID", "rebill"),
    "rejected": ("rejected", "decline", "Trash", "cancelled"),
    "refunded": ("refunded", "chargeback", "reversed"),
}
VALUES = ("5", "5", "5.00", "5.0", "7", "7.000000", "0", "5e0", "7.0000004")
UNKNOWN_WORDS = ("signup", "perhaps", "refunde", "1")


class Sender(NamedTuple):
    """A registered sender: its preset, its policy, and how it names the fields that it has."""

    name: str
    preset: str
    policy: str
    names: Mapping[str, str]
    value_required: bool


ACME = Sender(
    "acme",
    "ezmob",
    "first",
    {
        "click_id": "c",
        "value": "value",
        "currency": "currency",
        "goal": "goal",
        "transaction_id": "txid",
        "status": "conversion_status",
    },
    value_required=True,
)
KLICK = Sender(
    "klick",
    "keitaro",
    "click",
    {"click_id": "subid", "value": "payout", "currency": "currency", "transaction_id": "tid", "status": "status"},
    value_required=False,
)
SUMMA = Sender(
    "summa",
    "bemob",
    "sum",
    {"click_id": "cid", "value": "payout", "currency": "currency", "transaction_id": "txid", "status": "status"},
    value_required=False,
)
FILED = ACME._replace(name="filed")  # sends files only; its policy changes from one to the next
SENDERS = (ACME, KLICK, SUMMA)
REGISTERED = (*SENDERS, FILED)


@dataclass(frozen=True, slots=True)
class Postback:
    """One postback: its parameters as they are sent, and what they mean. `rejected`: what it is whatever is stored.

    `unset`: what they mean until the sender's odd word is set up.
    """

    tag: str
    sender: Sender
    key: Key
    said: Said
    parameters: Mapping[str, str]
    rejected: frozenset[str] = frozenset()
    unset: Said | None = None


class Mix:
    """An endless row of postbacks; `prefix` begins the click ids, `word` is a status that only later means approved."""

    def __init__(self, chance: random.Random, prefix: str, word: str, first_tag: int) -> None:
        self.chance = chance
        self.prefix = prefix
        self.word = word
        self.number = first_tag
        self._sent = 0

    def click_id(self) -> str:
        """Return a click id that is hot, or was."""
        newest = self._sent // _PER_CLICK + _HOT
        oldest = 0 if self.chance.random() < _LATE else newest - _HOT
        return f"{self.prefix}{self.chance.randrange(oldest, newest):05}z"

    def next(self, sender: Sender | None = None, *, flawless: bool = False) -> Postback:
        """Return one more; of this sender, and with nothing wrong with it, if that is asked for."""
        self._sent += 1
        click_id = self.click_id()
        of_click = SENDERS[int(click_id[len(self.prefix) : -1]) % len(SENDERS)]
        return self._made(sender or of_click, click_id, flawless=flawless)

    def filling(self, sender: Sender) -> Postback:
        """Return a postback of a click id of its own."""
        return self._made(sender, f"{self.prefix}f{self.number:07}z", flawless=True)

    def _made(self, sender: Sender, click_id: str, *, flawless: bool) -> Postback:
        self.number += 1
        tag = f"T{self.number:07}T"
        sent = {"click_id": click_id, **self._key_fields(sender), **self._said_fields(sender)}
        extra = {"op": tag} | ({"test": "1"} if self.chance.random() < 0.08 else {})
        rejected = frozenset[str]() if flawless else self._flaw(sender, sent)
        said = self._meaning(sent)
        unset = said if said.word == self.word else None
        said = said._replace(status="approved", word=None) if unset else said
        where = Key(sender.name, "test" in extra, click_id, sent.get("goal", ""), sent.get("transaction_id", ""))
        parameters = {sender.names[name]: text for name, text in sent.items()} | extra
        return Postback(tag, sender, key_of(sender.policy, where, tag), said, parameters, rejected, unset)

    def _key_fields(self, sender: Sender) -> dict[str, str]:
        fields = {}
        if "goal" in sender.names and self.chance.random() < 0.15:
            fields["goal"] = "deposit"
        if self.chance.random() < (0.7 if sender.policy == "sum" else 0.15):
            fields["transaction_id"] = self.chance.choice(["order-1", "order-1", "order-2"])
        return fields

    def _said_fields(self, sender: Sender) -> dict[str, str]:
        statuses = [None, "pending", "approved", "rejected", "refunded"]
        (status,) = self.chance.choices(statuses, [30, 25, 25, 8, 12])
        fields = {"status": self.chance.choice(WORDS[status])} if status else {}
        if sender.value_required or not status or self.chance.random() < 0.6:
            fields["value"] = self.chance.choice(VALUES)
        if "value" in fields and self.chance.random() < 0.05:
            fields["currency"] = self.chance.choice(["USD", "usd"])
        return fields

    def _meaning(self, sent: Mapping[str, str]) -> Said:
        status = next((status for status, words in WORDS.items() if sent.get("status") in words), None)
        currency = sent["currency"].upper() if "currency" in sent else None
        return Said(status, amount_of(sent.get("value", "")), currency, None if status else sent.get("status"))

    def _flaw(self, sender: Sender, sent: dict[str, str]) -> frozenset[str]:
        """Spoil one postback in twelve; return the outcomes that it can have then, if they do not hang on its key."""
        flaw = self.chance.random()
        if flaw < 0.02 and sender is ACME:
            sent["status"] = self.word
            return frozenset()
        if flaw < 0.03:
            sent["value"] = self.chance.choice(["1,50", "free", "1e"])
            return frozenset({"invalid_value"})
        if flaw < 0.04 and sender.value_required:
            del sent["value"]
            return frozenset({"missing_value"})
        if flaw < 0.08:
            sent["status"] = self.chance.choice(UNKNOWN_WORDS)
        return frozenset()
