"""Owns which sender names mean anybody, and what is said of one that does not: the names that are near."""

from collections.abc import Iterable
from difflib import get_close_matches

from service.core.presets import PRESETS
from service.operations.errors import Refused
from service.storage.database import Database

NOT_REGISTERED = "no such sender is registered"
NO_SUCH = f"{NOT_REGISTERED}, and no preset is called that"


def refuse_unknown(database: Database, name: str | None) -> None:
    """Raise Refused for a name that nobody has: neither registered nor a preset's, and no row is of that name.

    A sender that is gone has rows, so they can still be asked for. Raises StorageError. What is rejected is read for
    such a name only.
    """
    if name is None or name in PRESETS:
        return
    senders = database.senders()
    registered = {row.name for row in senders.rows().senders}
    if name not in registered and not senders.has_rows(name):
        raise Refused(nobody(name, [*PRESETS, *registered, *senders.with_conversions()]))


def near(name: str, known: Iterable[str]) -> str:
    """Return the question whether a name or id that is near was meant; nothing if none is."""
    cased = {one.casefold(): one for one in known}
    found = [cased[one] for one in get_close_matches(name.casefold(), cased, n=3)]
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def nobody(name: str, known: Iterable[str], why: str = NO_SUCH, advice: str = "`senders list` shows all") -> str:
    """Return the sentence for a name that nobody has, with those of the known that are near."""
    return f"{name}: {why}{near(name, known)}; {advice}"
