"""Owns a program for a test to kill: a service on a shaky ledger, under load, that prints what it acknowledged."""

import asyncio
import os
import random
import sys
from itertools import count
from pathlib import Path

from service.spool.pace import Pace
from tests.support import builders
from tests.support.outages import Behaviour, Site, site

SENDERS = 16
OFTEN = Pace(first_delay=0.005, longest_delay=0.02)  # the drain should be under way as often as not
BEHAVIOURS: tuple[Behaviour, ...] = ("well", "away", "loses its answer", "hangs and commits", "well")


async def _send(there: Site, prefix: str, numbers: "count[int]") -> None:
    """Send one after the other, each fourth the retry of an earlier one, and tell each receipt in one write."""
    while True:
        number = next(numbers)
        click_id = f"{prefix}-{number - 5 if number % 4 == 0 else number}"
        raw = builders.raw(f"c={click_id}&value=1", request_id=f"{prefix}{number:016x}")
        verdict = await there.intake.receive(raw)
        if verdict.outcome.status == 200:
            os.write(1, f"{raw.request_id} {click_id} {verdict.outcome.value}\n".encode())


async def main(folder: Path) -> None:
    """Serve until somebody kills us."""
    begins_with: Behaviour = random.choice(["well", "away"])  # noqa: S311 - no secret
    async with site(folder, begins_with, deadline=0.1, pace=OFTEN) as there:
        prefix, numbers = os.urandom(8).hex(), count(5)
        sending = [asyncio.create_task(_send(there, prefix, numbers)) for _ in range(SENDERS)]
        while not any(task.done() for task in sending):
            await asyncio.sleep(random.uniform(0.01, 0.06))  # noqa: S311 - same
            there.database.recover()
            there.database.released.clear()
            there.database.behaviour = random.choice(BEHAVIOURS)  # noqa: S311 - same
        await asyncio.gather(*sending)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
