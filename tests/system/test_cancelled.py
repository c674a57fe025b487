"""Owns the proof that senders who hang up in the middle of a request poison nothing for those who come after them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.outside.harness import wait_for
from tests.support.outside.ledger import run
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.trial import SPOOLS, Replica, Trial
from tests.support.outside.wire import Address, request

pytestmark = [pytest.mark.system, pytest.mark.faults]

AT_ONCE = 25
LONGEST_SECONDS = 0.02  # about as long as an answer takes: some hang up before, some while it is made, some after
SESSIONS_EACH = 3  # a replica's: the ledger's, and one each to read and to write beside it
SESSIONS = """
    SELECT state, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


async def hang_up_all(address: Address, requests: Sequence[bytes]) -> None:
    """Send all of it or a part, and hang up without waiting for an answer."""
    moments = random.Random(5)  # noqa: S311 - a repeatable spread, not a secret
    for start in range(0, len(requests), AT_ONCE):
        chosen = requests[start : start + AT_ONCE]
        await asyncio.gather(*(hang_up(address, sent, moments.uniform(0, LONGEST_SECONDS)) for sent in chosen))


async def hang_up(address: Address, sent: bytes, seconds: float) -> None:
    """Connect, send, wait a moment, and be gone."""
    _, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    await asyncio.sleep(seconds)
    writer.transport.abort()


@pytest.mark.parametrize("spool", SPOOLS)
def test_cancelled_requests_leave_no_poisoned_connection_and_disturb_nobody(
    tmp_path: Path, spool: str, form: str, figures: Callable[[str], None]
) -> None:
    count = 10_000 if form == "long" else 500
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        database = server.new_database()
        replicas = [Replica(tmp_path / name, server.url(database), {"SPOOL": spool}) for name in "ab"]
        trial = Trial(database, [stack.enter_context(replica) for replica in replicas])
        ids = [trial.ledger.next_id() for _ in range(count)]
        trial.hung_up = count
        requests = [request(f"/postback?c={click_id}&value={trial.ledger.sent[click_id]}") for click_id in ids]
        requests[::10] = [whole[: len(whole) // 2] for whole in requests[::10]]
        suffered = trial.suffer(lambda: run(hang_up_all(replicas[0].public, requests)), spool=spool)
        assert suffered.accepted == 1
        trial.check()
        assert trial.suffer(lambda: None, after=1.5).accepted == 1
        wait_for(lambda: {row[0] for row in replicas[0].sql(SESSIONS)} == {"idle"}, 10)
        sessions = replicas[0].sql(SESSIONS)
        assert len(sessions) == len(replicas) * SESSIONS_EACH, sessions
        figures(
            f"spool {spool}, {count} hung up: {suffered}; {len(sessions)} sessions, all idle, none in a transaction"
        )
