"""Owns the rows about amounts."""

from tests.dialects.rows import CLICK, EVERY, Body, Row, stored, told

ROWS: list[Row] = [
    stored("ezmob", "c=CLICK&value=1.50", click_id=CLICK, value="1.50", value_micros=1_500_000),
    stored("keitaro", "subid=CLICK&payout=7&currency=USD&x=y", value="7", currency="USD", params={"x": "y"}),
    stored("comma", "c=CLICK&value=1,50", value="1,50"),
    told("ezmob", "c=CLICK&value=x", "invalid_value", "value"),
    told("ezmob", "value=1", "missing_click_id", "c"),
    stored("ezmob", "c=CLICK&value=1.50", before=["c=CLICK&value=1.5"], outcome="duplicate", doors=EVERY[:-1]),
    stored("ezmob", Body(b'{"c":"CLICK","value":1.5}'), doors=("json",), value_micros=1_500_000),
]
