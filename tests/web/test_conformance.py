"""What comes of a message is what RFC 9112 says, and the same however its bytes were cut on their way."""

import pytest

from tests.support.in_memory import Exchanged
from tests.web.every_shape import SHAPES
from tests.web.shapes import Shape

pytestmark = pytest.mark.anyio

NAMES = [f"{shape.section} {shape.sent[:100]!r}" for shape in SHAPES]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=NAMES)


@every_shape
@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "as a task"])
async def test_a_message_that_comes_whole(shape: Shape, *, by_hand: bool) -> None:
    exchanged = Exchanged(by_hand=by_hand)
    assert await exchanged.came_of([shape.sent]) == [*shape.came]
    refused = shape.came[-1] == "400"
    assert exchanged.unparsed == ({400: 1} if refused else {})
    assert (exchanged.wire.ended or exchanged.wire.closed) >= refused


@every_shape
async def test_a_message_that_comes_byte_by_byte(shape: Shape) -> None:
    assert await Exchanged().came_of(shape.sent[at : at + 1] for at in range(len(shape.sent))) == [*shape.came]


@every_shape
async def test_a_message_that_is_cut_anywhere(shape: Shape, form: str) -> None:
    step = len(shape.sent) // (2_000 if form == "long" else 150) + 1  # one has 17,000 bytes
    for at in range(1, len(shape.sent), step):
        assert await Exchanged().came_of([shape.sent[:at], shape.sent[at:]]) == [*shape.came], f"cut at {at}"


def test_there_are_shapes_enough_and_none_twice() -> None:
    assert len({shape.sent for shape in SHAPES}) == len(SHAPES) >= 400
    sections = {shape.section for shape in SHAPES}
    assert {"2.2", "2.3", "3", "3.1", "3.2", "5", "5.1", "5.2", "6.1", "6.3", "7.1", "7.1.2", "9.3", "9.6"} <= sections
