"""Owns repeats: whether a field that was sent again means what it meant the first time."""

from service.core.fields.amounts import micros_of
from service.core.sender import Field, Sender


def same_meaning(field: Field, first: str, again: str, sender: Sender) -> bool:
    """Tell whether two texts of a field are one: the same text, amount, currency or status."""
    if first == again:
        return True
    match field:
        case "value":
            return (amount := micros_of(first, sender.numbers)) is not None and amount == micros_of(
                again, sender.numbers
            )
        case "currency":
            return first.upper() == again.upper()
        case "conversion_status":
            return (status := sender.statuses.get(first.lower())) is not None and status == sender.statuses.get(
                again.lower()
            )
        case _:
            return False
