"""Who must follow into the spool: whoever has the click id of something that waits there, and nobody else."""

import asyncio
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from service.spool.flags import Flags
from service.spool.following import Following
from service.spool.journal import Journal
from service.spool.places import journal_paths
from service.spool.waiting import WaitingClickIds
from tests.support import builders
from tests.support.fakes import PATIENCE, in_time

pytestmark = pytest.mark.anyio


class Noting(WaitingClickIds):
    """Notes what is asked together; a look can be held up."""

    def __init__(self, flags: Flags) -> None:
        super().__init__(flags)
        self.looks: list[set[str]] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.begun = threading.Event()

    def among(self, click_ids: Collection[str]) -> frozenset[str]:
        """Look, once it may."""
        self.looks.append({*click_ids})
        self.begun.set()
        self.goes_on.wait(PATIENCE)
        return super().among(click_ids)


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Noting]:
    """Have one click id wait."""
    journal = Journal(journal_paths(tmp_path, 0)[0])
    journal.open()
    journal.commit([builders.postback("c=a&value=1")])
    looking = Noting(journal.flags)
    yield looking
    looking.goes_on.set()
    looking.close()
    journal.close()


A, B = builders.postback("c=a&value=2"), builders.postback("c=b&value=2")


async def test_only_the_same_click_id_follows(waiting: Noting) -> None:
    following = Following(waiting, PATIENCE)
    assert following.anything()
    assert await following.must([A])
    assert await following.must([B, A])
    assert not await following.must([B])
    assert not await following.must([builders.rejection(click_id="a")])


async def test_those_who_come_while_somebody_looks_are_looked_up_together(waiting: Noting) -> None:
    waiting.goes_on.clear()
    following = Following(waiting, PATIENCE)
    first = asyncio.create_task(following.must([A]))
    assert await asyncio.to_thread(waiting.begun.wait, PATIENCE)
    others = [asyncio.create_task(following.must([builders.postback(f"c={one}&value=1")])) for one in "abcd"]
    await asyncio.sleep(0)
    waiting.goes_on.set()
    assert await first
    assert await asyncio.gather(*others) == [True, False, False, False]
    assert waiting.looks == [{"a"}, {"a", "b", "c", "d"}]


async def test_one_who_hangs_up_takes_nobodys_answer_away(waiting: Noting) -> None:
    waiting.goes_on.clear()
    following = Following(waiting, PATIENCE)
    asking = [asyncio.create_task(following.must([one])) for one in (A, B, A)]
    assert await asyncio.to_thread(waiting.begun.wait, PATIENCE)
    asking[0].cancel()
    waiting.goes_on.set()
    assert await asyncio.gather(*asking[1:]) == [False, True]


async def test_whoever_gets_no_answer_in_time_follows(waiting: Noting) -> None:
    waiting.goes_on.clear()
    following = Following(waiting, 0.01)
    assert await in_time(following.must([B]))
    waiting.goes_on.set()
    assert following._looking  # noqa: SLF001 - its thread must end before the loop does
    await asyncio.wait([following._looking])  # noqa: SLF001 - same
