"""Owns the postbacks that `send` invents: which macros there are, and an endless stream of expanded URLs."""

import random
import time
from collections.abc import Iterator

from service.core import macros

MACROS = ("click_id", "transaction_id", "value", "timestamp", "country", "device_type", "campaign_id", "source")
_UNIQUE = frozenset({"click_id", "transaction_id"})

_COUNTRIES = ("DE", "US", "BR", "IN", "JP", "FR", "GB", "ID")
_DEVICE_TYPES = ("desktop", "mobile", "tablet", "tv")
_CAMPAIGN_IDS = ("1001", "1002", "1003", "1004", "1005")
_SOURCES = ("push", "pop", "native", "display", "search")
_HIGHEST_CENTS = 50_000


def repeats(template: str) -> bool:
    """Return whether all postbacks of a template have the same key, so that all but the first are duplicates."""
    return _UNIQUE.isdisjoint(macros.names(template))


def invented_urls(template: str, *, value: str | None, seed: int | None) -> Iterator[str]:
    """Yield one URL after the other, each with fresh ids; the same seed yields the same ids, whatever the template.

    `value` replaces the random amount. `{timestamp}` is the time of the call and does not depend on the seed.
    """
    generator = random.Random(seed)  # noqa: S311 - test ids must be repeatable, not secret
    while True:
        invented = _invented(generator)
        if value is not None:
            invented["value"] = value
        yield macros.expand(template, invented)


def _invented(generator: random.Random) -> dict[str, str]:
    cents = generator.randint(1, _HIGHEST_CENTS)
    return {
        "click_id": f"{generator.getrandbits(128):032x}",
        "transaction_id": f"{generator.getrandbits(128):032x}",
        "value": f"{cents // 100}.{cents % 100:02d}",
        "timestamp": str(int(time.time())),
        "country": generator.choice(_COUNTRIES),
        "device_type": generator.choice(_DEVICE_TYPES),
        "campaign_id": generator.choice(_CAMPAIGN_IDS),
        "source": generator.choice(_SOURCES),
    }
