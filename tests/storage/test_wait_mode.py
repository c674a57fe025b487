"""The two ways to wait: one blocks and never suspends, the other lets the loop go on, and neither cancels the work."""

import asyncio
import threading
import time
from concurrent.futures import Future

import pytest

from service.storage.postgres.wait_mode import BLOCKING, ON_LOOP, WaitMode, run_sync

BOTH = pytest.mark.parametrize("mode", [BLOCKING, ON_LOOP], ids=["blocking", "on the loop"])
MOMENT = 0.05


async def use(mode: WaitMode, future: "Future[str]") -> tuple[str, int]:
    await mode.sleep(MOMENT)
    return await mode.outcome(future, MOMENT), await mode.call(threading.get_ident)


def test_what_waits_by_blocking_needs_no_loop_and_no_other_thread() -> None:
    future: Future[str] = Future()
    future.set_result("done")
    began = time.monotonic()
    assert run_sync(use(BLOCKING, future)) == ("done", threading.get_ident())
    assert time.monotonic() - began >= MOMENT


def test_on_a_loop_others_go_on_and_what_blocks_is_done_elsewhere() -> None:
    async def main() -> tuple[str, int]:
        future: Future[str] = Future()
        asyncio.get_running_loop().call_soon(future.set_result, "done")
        return await use(ON_LOOP, future)

    told, thread = asyncio.run(main())
    assert told == "done"
    assert thread != threading.get_ident()


def test_what_waits_for_a_loop_cannot_be_run_without_one() -> None:
    with pytest.raises(RuntimeError, match="waits for an event loop"):
        run_sync(ON_LOOP.sleep(0.0))


@BOTH
def test_who_stops_waiting_does_not_end_the_work(mode: WaitMode) -> None:
    future: Future[str] = Future()
    future.set_running_or_notify_cancel()

    async def main() -> str:
        with pytest.raises(TimeoutError):
            await mode.outcome(future, MOMENT)
        future.set_result("done later")
        return await mode.outcome(future, MOMENT)

    assert asyncio.run(main()) == "done later"


@BOTH
def test_what_fails_elsewhere_fails_here(mode: WaitMode) -> None:
    future: Future[str] = Future()
    future.set_exception(LookupError("no such host"))

    async def main() -> None:
        with pytest.raises(LookupError, match="no such host"):
            await mode.outcome(future, MOMENT)
        with pytest.raises(IndexError):
            await mode.call([].pop)

    asyncio.run(main())
