"""Owns the status that a postback says: a sender's own word, read as one of ours."""

from collections.abc import Mapping

from service.core.fields.placeholders import is_empty_variable, reject_placeholder
from service.core.lifecycle import Status
from service.core.outcome import Outcome, Rejected
from service.core.sender import Field, Sender
from service.core.white_space import BLANKS, trimmed


def plain_word(word: str) -> str:
    """Return a word for a status without what makes no difference: capitals, and white space around it."""
    return word.strip(BLANKS).lower()


def status_of(fields: Mapping[Field, str], sender: Sender) -> Status | None:
    """Return the status that was sent; None if none was, or in a word that its sender has not set up, or for "none".

    Nobody guesses what such a word means: a rejected lead taken for a sale would be paid. Raises `Rejected`.
    """
    word = fields["conversion_status"]
    if not trimmed(word):
        return None
    status = sender.statuses.get(plain_word(word))
    if status is None and word:
        reject_placeholder("conversion_status", word, sender)
        if sender.strict_status and not is_empty_variable(word):
            raise Rejected(Outcome.INVALID_STATUS, f"{word[:80]!a} is no status of {sender.name}'s")
    return status
