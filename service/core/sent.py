"""Owns what was sent, as the detector of mistakes looks at it: the beginnings of texts, and the fields in doubt."""

from collections.abc import Mapping

from service.core.decoding import Member, Pairs
from service.core.parsing import claimed_fields
from service.core.sender import Field, Sender

_CHECKED: tuple[Field, ...] = ("click_id", "value", "goal", "transaction_id", "currency", "conversion_status")
_LOOKED_AT = 1000  # characters: a mistake shows at once, and hostile texts are long


class Sent:
    """What was sent: names and texts in order, and the text of each field under this sender's names for it.

    `suspected` are the fields that may be at fault: the one that was `refused`, or all, in the order of their checks.
    `door` is where it came in.
    """

    def __init__(
        self,
        pairs: Pairs,
        sender: Sender,
        fields: Mapping[Field, str] | None = None,
        refused: Field | None = None,
        door: str = "",
    ) -> None:
        self.pairs = [(_beginning(name), _beginning(text)) for name, text in pairs]
        self.sender = sender
        self.door = door
        self.fields = claimed_fields(self.pairs, sender) if fields is None else fields
        looked_at = (refused,) if refused else _CHECKED
        texts = ((field, self.fields[field]) for field in looked_at if field in self.fields)
        self.suspected = [(field, text) for field, text in texts if not isinstance(text, Member)]

    def name(self, field: Field) -> str:
        """Return under which name a field was sent, or what this sender calls it."""
        return self.sender.name_sent(field, self.fields.get(field), self.pairs)


def _beginning(text: str) -> str:
    return text if len(text) <= _LOOKED_AT else text[:_LOOKED_AT]
