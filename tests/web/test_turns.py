"""Clients that send ahead share short rounds of the event loop: everybody else is served between them."""

import asyncio
from functools import partial

import pytest

from service.web.wire.turns import Turns

pytestmark = pytest.mark.anyio


async def rounds(given: list[int]) -> list[int]:
    """Let the event loop go round; return how many turns were given by the end of each round."""
    seen = []
    for _ in range(4):
        await asyncio.sleep(0)
        seen.append(len(given))
    return seen


async def test_a_few_have_a_turn_in_each_round_in_their_order() -> None:
    turns, given = Turns(at_once=4), list[int]()
    for number in range(10):
        turns.await_turn(partial(given.append, number))
    assert given == []
    assert await rounds(given) == [4, 8, 10, 10]
    assert given == [*range(10)]


async def test_who_waits_again_stands_behind_all_others() -> None:
    turns, given = Turns(at_once=1), list[int]()

    def again(number: int) -> None:
        given.append(number)
        if len(given) < 6:
            turns.await_turn(partial(again, number))

    for number in range(3):
        turns.await_turn(partial(again, number))
    for _ in range(10):
        await asyncio.sleep(0)
    assert given[:6] == [0, 1, 2, 0, 1, 2]


async def test_one_that_fails_costs_no_other_its_turn() -> None:
    turns, given, failed = Turns(at_once=4), list[int](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context["exception"]))
    turns.await_turn([].pop)
    for number in range(3):
        turns.await_turn(partial(given.append, number))
    assert (await rounds(given))[-1] == 3
    assert [type(error) for error in failed] == [IndexError]
