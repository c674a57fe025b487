"""Owns a mixed attack: all kinds of hostile clients at once, from addresses of their own, in a process of their own."""

import asyncio
import multiprocessing
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress

from tests.support.outside.crowd import STRANGERS, crowd
from tests.support.outside.hostile_requests import LARGE, SMALL, Kind
from tests.support.outside.ledger import run
from tests.support.outside.wire import Address, HungUp, Line

Came = dict[str, Counter[str]]

_SOURCE = "127.9.0.{}"  # all of 127.0.0.0/8 is this machine
_EACH = 2  # connections of a kind
_LARGE_PAUSE = 1.0
_PATIENCE = 30
_CROWD = {"slow heads": 20, "slow bodies": 20, "slow readers": 4, "asking the door ahead": 2, "garbage": 10}
_CROWD |= {"asking ahead": 2, "slow batches": 4, "half closed": 4}


@contextmanager
def attacking(address: Address, key: str, seconds: float) -> Iterator["Future[Came]"]:
    """Attack for so many seconds beside the block; gives what will have come of each kind, by status and outcome."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool.submit(_attack, address, key, seconds)


def _attack(address: Address, key: str, seconds: float) -> Came:
    return run(_attack_all(address, key, seconds))


async def _attack_all(address: Address, key: str, seconds: float) -> Came:
    came = {name: Counter[str]() for name in (*SMALL, *LARGE)}
    clients = [
        _again_and_again(address, kind, key, came[name], f"{_SOURCE.format(number)}|{client}")
        for number, (name, kind) in enumerate(SMALL.items(), 1)
        for client in range(_EACH)
    ]
    clients += [_now_and_then(address, kind, key, came[name]) for name, kind in LARGE.items()]
    async with AsyncExitStack() as there:
        for number, (name, many) in enumerate(_CROWD.items(), 100):
            await there.enter_async_context(crowd(address, STRANGERS[name], many, _SOURCE.format(number)))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*clients)
    return came


async def _again_and_again(address: Address, kind: Kind, key: str, came: Counter[str], seed: str) -> None:
    """Send as fast as answers come, on a connection that is kept while it may be."""
    some, source = random.Random(seed), seed.partition("|")[0]  # noqa: S311 - the same attack each time
    line = None
    while True:
        for message in kind(some, key):
            try:
                line = line if line and line.open else await Line.connect(address, source)
                async with asyncio.timeout(_PATIENCE):
                    answer = await line.exchange(message)
            except (HungUp, OSError) as error:  # 503 for the connection, or closed while we wrote
                came[type(error).__name__] += 1
                line = None
                continue
            came[f"{answer.status} {answer.outcome}"] += 1
            if answer.headers.get("connection") == "close":
                line.close()
                line = None


async def _now_and_then(address: Address, kind: Kind, key: str, came: Counter[str]) -> None:
    """Send with a pause between them; of an answer, which may be long, only the beginning is looked at."""
    some, source = random.Random(1), _SOURCE.format(99)  # noqa: S311 - the same attack each time
    while True:
        for message in kind(some, key):
            try:
                reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
                writer.write(message)
                status = (await reader.readline()).split(b" ")[1].decode()
                while await reader.read(2**18):
                    pass
                writer.close()
            except (OSError, IndexError) as error:
                came[type(error).__name__] += 1
            else:
                came[status] += 1
            await asyncio.sleep(_LARGE_PAUSE)
