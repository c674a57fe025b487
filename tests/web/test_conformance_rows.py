"""What is stored, kept and answered is the same however a message was cut: every shape, sent to the real doors."""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence

import pytest

from tests.support.in_memory import Exchanged
from tests.support.outside.wire import Answer
from tests.support.served import Served
from tests.web.every_shape import SHAPES
from tests.web.shapes import Shape

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

_HOST = re.compile(rb"(&value=[12] HTTP/1\.[01]\r\n(?:[^\r\n]+\r\n)*?)Host: a\r\n")
_ID = re.compile(r"i\d{6}")
_CUTS = 6  # of a shape, in the short form
_MOST_CUTS = 500  # in the long one: two shapes have thousands of bytes
Seen = tuple[tuple[str, ...], ...]


def as_postback(shape: Shape, click_id: str) -> bytes | None:
    """Return a shape whose requests are postbacks of that click id to a host that needs no key; None: it cannot be."""
    sent = shape.sent.replace(b"/ok HTTP", b"/postback?c=%b-k&value=2 HTTP" % click_id.encode())
    sent = sent.replace(b" / HTTP/", b" /postback?c=%b&value=1 HTTP/" % click_id.encode())
    fitting = _HOST.sub(rb"\1Host: localhost\r\n", sent)
    unfit = b"HEAD " in sent or b"X-Forwarded" in sent  # its answer has no end of its own; it would need a key
    return None if unfit or fitting == sent else fitting


def cut(sent: bytes, at: int) -> list[bytes]:
    """Return it in two pieces."""
    return [sent[:at], sent[at:]]


async def exchanged(served: Served, pieces: Iterable[bytes]) -> list[Answer]:
    """Send pieces on one connection; return the answers."""
    one = Exchanged(served.application)
    for piece in pieces:
        one.wire.send(piece)
        await one.settle()
    while one.state.tasks:
        await asyncio.sleep(0.002)
        await one.settle()
    return one.whole_answers()


def rows_of(served: Served) -> dict[str, Seen]:
    """Return what the tables have of each click id, without what differs in any two rows."""
    stored = served.rows("SELECT click_id, value, params FROM conversion")
    kept = served.rows("SELECT outcome, detail, raw, outcome FROM rejected_postback")
    found: dict[str, list[tuple[str, ...]]] = {}
    for row in (*stored, *kept):
        text = " ".join(str(it, "latin-1") if isinstance(it, bytes) else str(it) for it in row)
        ids = _ID.findall(text)
        found.setdefault(ids[0] if ids else "", []).append((_ID.sub("ID", text),))
    return {click_id: tuple(it for row in sorted(rows) for it in [row]) for click_id, rows in found.items()}


def positions(length: int, number: int, form: str) -> Sequence[int]:
    """Return where a message is cut: in the short form at other places for each shape."""
    most = _MOST_CUTS if form == "long" else _CUTS
    step = length // most + 1
    return range(1 + number % step, length, step)


@pytest.mark.proof
async def test_answers_and_rows_are_the_same_however_a_message_was_cut(
    served: Served, form: str, figures: Callable[[str], None]
) -> None:
    few = asyncio.Semaphore(50)  # at once: all would be too many for the two seconds that an answer may take
    numbers, told = iter(range(10**6)), dict[str, tuple[Shape, list[tuple[int, str | None]]]]()

    async def send(shape: Shape, how: int) -> None:
        click_id = f"i{next(numbers):06}"
        sent = as_postback(shape, click_id)
        if sent:
            pieces = [sent[at : at + 1] for at in range(len(sent))] if how < 0 else cut(sent, how)
            async with few:
                told[click_id] = shape, [(it.status, it.outcome) for it in await exchanged(served, pieces)]

    for number, shape in enumerate(SHAPES):
        length = len(as_postback(shape, "i000000") or b"")
        await asyncio.gather(*(send(shape, how) for how in (0, -1, *positions(length, number, form))))
    rows, first = rows_of(served), dict[bytes, tuple[object, Seen]]()
    for click_id, (shape, answers) in told.items():
        seen = answers, rows.get(click_id, ())
        assert first.setdefault(shape.sent, seen) == seen, shape
        refused = shape.came[-1] == "400"
        assert len(answers) == len(shape.came)
        assert ((400, None) in answers) >= refused, shape
    figures(f"{len(first)} shapes in {len(told)} forms left {sum(map(len, rows.values()))} rows")
    assert len(first) > 300
    assert len(rows) > len(told) / 3
