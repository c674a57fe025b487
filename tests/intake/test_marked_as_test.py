"""What is marked as a test is judged and stored like the rest, and counted apart."""

from pathlib import Path

import pytest

from tests.support import builders
from tests.support.fakes import samples
from tests.support.watched_intake import Watched, rows

pytestmark = pytest.mark.anyio


async def test_a_test_is_stored_and_counts_nowhere_else(watched: Watched, path: Path) -> None:
    sent = ["c=a&value=1&test=1", "c=a&value=1&test=1", "c=a&value=2&test=1", "c=&value=1&test=1", "c=a&value=7"]
    became = [(await watched.receive(builders.raw(query))).outcome.value for query in sent]
    assert became == ["stored", "duplicate", "conflict", "missing_click_id", "stored"]
    assert rows(path, "SELECT is_test, value FROM conversion ORDER BY is_test") == [(0, "7"), (1, "1")]
    assert watched.counted == {("postback", "stored"): 1.0}
    assert samples(watched.metrics, "postback_arrived_total") == {("postback",): 1.0}
    assert samples(watched.metrics, "postback_sender_received_total") == {("ezmob", "accepted"): 1.0}
    assert samples(watched.metrics, "postback_test_received_total") == {
        ("stored",): 1.0,
        ("duplicate",): 1.0,
        ("conflict",): 1.0,
        ("missing_click_id",): 1.0,
    }
    assert samples(watched.metrics, "postback_conservation_drift") == {}
    assert [line.get("is_test") for line in watched.lines.events()] == [True] * 4 + [None]


async def test_a_test_moves_no_time_of_the_last_stored_and_leaves_no_exemplar(watched: Watched) -> None:
    await watched.receive(builders.raw("c=a&value=1&test=1"))
    await watched.receive(builders.raw("c=a&test=1"))
    assert samples(watched.metrics, "postback_last_stored_timestamp_seconds") == {}
    families = {family.name: family for family in watched.metrics.collect()}
    assert not any(sample.exemplar for sample in families["postback_received"].samples)


async def test_a_stranger_counts_whatever_he_says(watched: Watched) -> None:
    await watched.receive(builders.raw("c=a&value=1&test=1", host=b"example.com"))
    assert watched.counted == {("postback", "unauthenticated"): 1.0}
    assert samples(watched.metrics, "postback_test_received_total") == {}
