"""Owns by what the book of deletions knows what was erased: hashes, which tell nobody what it was."""

import hashlib
from collections.abc import Iterator
from itertools import chain

from service.core.mentions import folded, parameters
from service.core.postback import Postback, Rejection

_OF_A_TEXT = "\0text\0"  # before a text that is hashed: no click id holds a NUL, so none has the hash of a text
_IN_PART = "\0part\0"  # before a click id of which something went, and the rest may come


def sha256(click_id: str) -> str:
    """Return by what the book knows an erased click id: who has the click id can find it, and nobody reads it."""
    return hashlib.sha256(click_id.encode("utf-8", "surrogateescape")).hexdigest()


def sha256_of_text(text: str) -> str:
    """Return by what the book knows an erased text, however its letters were written: it is found as it is searched."""
    return sha256(_OF_A_TEXT + folded(text))


def sha256_in_part(click_id: str) -> str:
    """Return by what it knows a click id of which something went, and the rest may come."""
    return sha256(_IN_PART + click_id)


def digests_of(entry: Postback | Rejection) -> Iterator[str]:
    """Yield the hashes of what an entry would bring back if it was erased: its click id, and each whole value."""
    if isinstance(entry, Postback):
        params = (value if isinstance(value, list) else [value] for value in entry.params.values())
        values = [entry.goal, entry.transaction_id, *chain.from_iterable(params)]
    else:
        values = [value for _, value in parameters(entry.raw.as_sent())]
    if entry.click_id is not None:
        yield sha256(entry.click_id)
        values.append(entry.click_id)
    yield from map(sha256_of_text, values)
