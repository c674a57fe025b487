"""The two ways to wait: one blocks and never suspends, the other lets the loop go on, and neither cancels the work."""

import asyncio
import threading
import time
from concurrent.futures import Future

import pytest

from service.storage.postgres.waiting import BLOCKING, ON_LOOP, Waits, at_once

BOTH = pytest.mark.parametrize("waits", [BLOCKING, ON_LOOP], ids=["blocking", "on the loop"])
MOMENT = 0.05


async def use(waits: Waits, future: "Future[str]") -> tuple[str, int]:
    await waits.sleep(MOMENT)
    return await waits.outcome(future, MOMENT), await waits.aside(threading.get_ident)


def test_what_waits_by_blocking_needs_no_loop_and_no_other_thread() -> None:
    future: Future[str] = Future()
    future.set_result("done")
    began = time.monotonic()
    assert at_once(use(BLOCKING, future)) == ("done", threading.get_ident())
    assert time.monotonic() - began >= MOMENT


def test_on_a_loop_others_go_on_and_what_blocks_is_done_elsewhere() -> None:
    async def main() -> tuple[str, int]:
        future: Future[str] = Future()
        asyncio.get_running_loop().call_soon(future.set_result, "done")
        return await use(ON_LOOP, future)

    told, thread = asyncio.run(main())
    assert told == "done"
    assert thread != threading.get_ident()


def test_what_waits_for_a_loop_cannot_be_run_at_once() -> None:
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        at_once(ON_LOOP.sleep(0.0))


@BOTH
def test_who_stops_waiting_does_not_end_the_work(waits: Waits) -> None:
    future: Future[str] = Future()
    future.set_running_or_notify_cancel()

    async def main() -> str:
        with pytest.raises(TimeoutError):
            await waits.outcome(future, MOMENT)
        future.set_result("done later")
        return await waits.outcome(future, MOMENT)

    assert asyncio.run(main()) == "done later"


@BOTH
def test_what_fails_elsewhere_fails_here(waits: Waits) -> None:
    future: Future[str] = Future()
    future.set_exception(LookupError("no such host"))

    async def main() -> None:
        with pytest.raises(LookupError, match="no such host"):
            await waits.outcome(future, MOMENT)
        with pytest.raises(IndexError):
            await waits.aside([].pop)

    asyncio.run(main())
