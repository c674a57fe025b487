"""Owns what names a conversion: click id, goal and transaction id, without the white space around them."""

import re
from collections.abc import Mapping
from typing import Literal

from service.core.decoding import Pairs
from service.core.fields.html_damage import eaten_in
from service.core.fields.placeholders import BARE_TOKENS, WORDS, reject_placeholder
from service.core.fields.separators import glued_in
from service.core.outcome import Outcome, Rejected
from service.core.sender import Field, Sender
from service.core.white_space import trimmed

MAX_CLICK_ID_BYTES = 512
MAX_LABEL_BYTES = 255  # goal, transaction_id: the whole key stays below PostgreSQL's 2,704 bytes of an index row
SPACES_AND_CONTROLS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # line ends too, and what turns text around
SHORTENED = r"^[0-9](?:[.,][0-9]+)?[eE][+ ][0-9]{2,3}$"  # 1.23E+15, whose + arrives as a space in a query
_SHORTENED = re.compile(SHORTENED)
_PLACEHOLDERS = BARE_TOKENS["click_id"] | WORDS

Kept = dict[str, str | list[str]]  # the parameters, to which is added what was sent otherwise than it is counted


def click_id_of(fields: Mapping[Field, str], sender: Sender, pairs: Pairs, params: Kept) -> str:
    """Return the click id. Raises `Rejected`."""
    click_id = fields.get("click_id", "")
    if not click_id:
        raise Rejected(Outcome.MISSING_CLICK_ID, "empty" if "click_id" in fields else "absent")
    plain = click_id.isascii() and click_id.replace("-", "").isalnum()
    known = click_id in _PLACEHOLDERS or click_id in sender.fields or sender.placeholders
    if plain and len(click_id) <= MAX_CLICK_ID_BYTES and not known:
        return click_id  # as most are
    sent = click_id
    click_id = _trimmed("click_id", sent, sender, pairs, params)
    if not click_id:
        raise Rejected(Outcome.MISSING_CLICK_ID, "empty")
    if not CONTROLS.search(click_id):  # a placeholder may hold a space
        reject_placeholder("click_id", click_id, sender)
    if damage := _damage(sent, sender):  # a no-break space may be what HTML left of a parameter
        raise Rejected(Outcome.INVALID_CLICK_ID, damage)
    if is_shortened(click_id):
        raise Rejected(Outcome.INVALID_CLICK_ID, _SHORTENED_SAID)
    if SPACES_AND_CONTROLS.search(click_id):
        raise Rejected(Outcome.INVALID_CLICK_ID, "holds a space or a control character")
    if len(click_id.encode()) > MAX_CLICK_ID_BYTES:
        raise Rejected(Outcome.INVALID_CLICK_ID, f"{len(click_id.encode())} bytes, {MAX_CLICK_ID_BYTES} are allowed")
    return click_id


def is_shortened(text: str) -> bool:
    """Tell whether an id is a long number that a spreadsheet or a program rounded: it would stand for many ids."""
    return bool(_SHORTENED.match(text))


_SHORTENED_SAID = "is a long number that was shortened, as spreadsheets do"


def label_of(
    fields: Mapping[Field, str], field: Literal["goal", "transaction_id"], sender: Sender, pairs: Pairs, params: Kept
) -> str:
    """Return a label, nothing if none was sent. Raises `Rejected`."""
    label = sent = fields.get(field, "")
    if not label.isalnum():
        label = _trimmed(field, sent, sender, pairs, params)
    if not label:
        return ""
    if not label.isprintable() and CONTROLS.search(label):
        raise Rejected(Outcome.INVALID_ENCODING, f"{field} holds a control character or a line end")
    reject_placeholder(field, label, sender)
    if not label.isalnum() and (damage := _damage(sent, sender)):
        raise Rejected(Outcome.INVALID_ENCODING, f"{field} {damage}")
    if field == "transaction_id" and is_shortened(label):
        raise Rejected(Outcome.INVALID_ENCODING, f"{field} {_SHORTENED_SAID}")
    if len(label.encode()) > MAX_LABEL_BYTES:
        raise Rejected(Outcome.TOO_LARGE, f"{field} has {len(label.encode())} bytes, {MAX_LABEL_BYTES} are allowed")
    return label


def transaction_id_of(fields: Mapping[Field, str], sender: Sender, request_id: str, pairs: Pairs, params: Kept) -> str:
    """Return the transaction id of the key; one that the policy for duplicates ignores is kept among the parameters."""
    label = label_of(fields, "transaction_id", sender, pairs, params)
    if sender.duplicates == "first":
        return label
    if sender.duplicates == "sum":
        return label or request_id
    if label:
        params.setdefault(sender.name_sent("transaction_id", fields["transaction_id"], pairs), label)
    return ""


def _trimmed(field: Field, sent: str, sender: Sender, pairs: Pairs, params: Kept) -> str:
    """Return a text without the white space around it; with it, it is kept among the parameters."""
    text = trimmed(sent)
    if text and text != sent:
        params[sender.name_sent(field, sent, pairs)] = sent
    return text


def _damage(text: str, sender: Sender) -> str | None:
    """Say what stands in a text that was never a part of it: what HTML made of a parameter, or a whole parameter."""
    found = eaten_in(text) or ("=" in text and glued_in(text, sender))
    return found.said if found else None
