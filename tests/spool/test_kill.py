"""SIGKILL at any moment, in outages, drains and between them: no receipt is lost, and nothing is kept twice."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY
from tests.support.outages import BALANCED, site

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


def killed(folder: Path, seconds: float) -> list[tuple[str, ...]]:
    """Run the program, kill it so long after its first receipt, and return its receipts."""
    command = [sys.executable, "-m", "tests.support.killed", str(folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        first = program.stdout.readline()
        assert first, program.stderr.read().decode()
        time.sleep(seconds)
        program.send_signal(signal.SIGKILL)
        rest = program.stdout.read()
        assert program.stderr.read() == b""
    lines = (first + rest).decode().split("\n")[:-1]  # the last line may be half written, and is no receipt then
    return [tuple(line.split()) for line in lines]


@pytest.mark.proof
async def test_no_receipt_is_lost_and_nothing_is_kept_twice_however_often_the_process_is_killed(
    tmp_path: Path, form: str, figures: Callable[[str], None]
) -> None:
    moments = random.Random(7)  # noqa: S311 - a repeatable spread, not a secret
    receipts: list[tuple[str, ...]] = []
    for lives in range(200):
        receipts += killed(tmp_path, moments.uniform(0.0, 0.6))
        both_ways = {"stored", "spooled"} <= {word for _, _, word in receipts}
        if lives >= (60 if form == "long" else 6) and both_ways:
            break
    async with site(tmp_path) as there:
        found = there.metrics.spool.entries
        await there.drained()
        rows = there.rows(
            "SELECT request_id FROM conversion UNION ALL SELECT request_id FROM duplicate "
            "UNION ALL SELECT request_id FROM rejected_postback"
        )
        ids = [str(request_id) for (request_id,) in rows]
        recognised = there.metrics.books.recognised
        assert there.drift == BALANCED
        assert len(ids) == len(set(ids))
        assert {request_id for request_id, _, _ in receipts} - set(ids) == set()
        assert {click_id for _, click_id, _ in receipts} - there.stored().keys() == set()
    words = [word for _, _, word in receipts]
    assert {"stored", "spooled"} <= set(words)
    figures(
        f"{len(words)} receipts ({words.count('spooled')} spooled), {len(ids)} rows, 0 lost, 0 twice; "
        f"{found} waited at the end, {recognised} of them recognised"
    )
