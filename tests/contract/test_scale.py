"""The sums of docs/scale.md: every cell follows from the measured constants that the document states."""

import math
import re

from tests.support.documents import document, table

REPLICA, CONNECTIONS = 5_000, 2
PAGE = 8_192
DAY = 86_400


def stated(pattern: str) -> int:
    """Return one number that the document states."""
    (found,) = set(re.findall(pattern, document("scale.md")))
    return int(found.replace(",", ""))


def test_the_constants_are_those_of_the_table_of_costs() -> None:
    assert stated(r"\| ([\d,]+)/s to plan with") == REPLICA
    assert stated(r"WAL, at most \| ([\d,]+) bytes") == stated(r"WAL, at least \| (\d+) bytes") + PAGE


def test_every_sum_follows_from_them() -> None:
    disk = stated(r"\| disk \| (\d+) bytes")
    least, most = stated(r"WAL, at least \| (\d+) bytes"), stated(r"WAL, at most \| ([\d,]+) bytes")
    rows = table("scale.md", "postbacks/s")
    assert [row[0] for row in rows] == ["1,000", "10,000", "100,000", "1,000,000"]
    for row in rows:
        rate = int(row[0].replace(",", ""))
        replicas = max(3, math.ceil(rate / REPLICA) + 1)
        assert row[1:] == [
            f"{rate * DAY / 1e6:,.0f} million",
            f"{rate * DAY * disk / 1e9:,.0f} GB",
            f"{rate * least / 1e6:.1f}",
            f"{rate * most / 1e6:,.0f}",
            str(replicas),
            str(replicas * CONNECTIONS),
        ]
