"""Owns repeats: whether a field that was sent again means what it meant the first time."""

from service.core.fields.amounts import micros_of
from service.core.fields.statuses import plain_word
from service.core.sender import Field, Sender
from service.core.white_space import trimmed


def same_meaning(field: Field, first: str, again: str, sender: Sender) -> bool:
    """Tell whether two texts of a field are one: the same text, amount, currency or status."""
    if type(first) is not type(again):
        return False  # one of them is JSON that is no text, or was not decoded
    if first == again:
        return True
    match field:
        case "value":
            return (amount := micros_of(trimmed(first), sender.numbers)) is not None and amount == micros_of(
                trimmed(again), sender.numbers
            )
        case "currency":
            return trimmed(first).upper() == trimmed(again).upper()
        case "conversion_status":
            words = plain_word(first), plain_word(again)
            status = sender.statuses.get(words[0])
            return words[0] == words[1] or (status is not None and status == sender.statuses.get(words[1]))
        case _:
            return trimmed(first) == trimmed(again)
