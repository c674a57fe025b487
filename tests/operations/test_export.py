"""Exports, on every engine: in the order of the key, or as they came, whole in both."""

import io
from datetime import timedelta

import orjson
import pytest

from service.operations.export import export_conversions
from service.operations.files.row_output import Form
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from tests.support import builders
from tests.support.engines import Engine

CAME = {"d": 0, "a": 3, "c": 1, "b": 2}  # click ids, and how many minutes after the first each came


@pytest.fixture(autouse=True)
def _stored(ledger: Ledger) -> None:
    for click_id, minutes in CAME.items():
        at = builders.RECEIVED_AT + timedelta(minutes=minutes)
        sender = "another" if click_id == "b" else "ezmob"
        ledger.commit([builders.postback(f"c={click_id}&value=1&x=%C3%A9", received_at=at)._replace(sender=sender)])


def exported(engine: Engine, form: Form = "ndjson", *, by_time: bool) -> list[bytes]:
    target = io.BytesIO()
    export_conversions(engine.database, Wanted(), form, target, by_time=by_time)
    return target.getvalue().splitlines()


def test_they_are_in_the_order_of_the_key_or_of_time(engine: Engine) -> None:
    by_key = [orjson.loads(line) for line in exported(engine, by_time=False)]
    by_time = [orjson.loads(line) for line in exported(engine, by_time=True)]
    assert [row["click_id"] for row in by_key] == ["b", "a", "c", "d"]
    assert [row["click_id"] for row in by_time] == ["d", "c", "b", "a"]
    assert sorted(map(str, by_key)) == sorted(map(str, by_time))


def test_the_cells_are_the_same_in_either_order(engine: Engine) -> None:
    header, *rows = exported(engine, "csv", by_time=True)
    assert [header, *sorted(rows)] == [header, *sorted(exported(engine, "csv", by_time=False)[1:])]
