"""Owns the proof that a power cut which takes the service and its database together makes no receipt false."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest

from tests.support.outside.harness import wait_for
from tests.support.outside.ledger import Ledger, run
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.trial import DRAIN_SECONDS, SPOOLS, Replica

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

CONNECTIONS = 12
SPOOLING_SECONDS = 1.0  # long enough for postbacks to lie in the spool when the service is killed


@pytest.mark.parametrize("spool", SPOOLS)
def test_service_and_database_killed_together_lose_and_double_nothing(
    tmp_path: Path, spool: str, form: str, figures: Callable[[str], None]
) -> None:
    kills = 50 if form == "long" else 3
    moments = random.Random(3)  # noqa: S311 - a repeatable spread, not a secret
    ledger = Ledger("together", seed=3)
    with PostgresServer() as server:
        url = server.url(server.new_database())
        for _ in range(kills):
            with Replica(tmp_path / "a", url, {"SPOOL": spool}) as service:

                def kill_both(service: Replica = service) -> None:
                    server.kill()
                    time.sleep(SPOOLING_SECONDS if spool == "on" else 0)
                    service.send_signal(signal.SIGKILL)

                killing = Timer(moments.uniform(0.2, 0.7), kill_both)
                killing.start()
                run(ledger.press(service.public, CONNECTIONS))
                killing.join()
                assert service.wait() == -signal.SIGKILL
            server.start()
        with Replica(tmp_path / "a", url, {"SPOOL": spool}) as service:
            wait_for(lambda: ledger.acknowledged <= stored(service), DRAIN_SECONDS, every=0.1)
            ledger.check_against(service)
            unknown = len(ledger.unknown)
            run(ledger.retry_unknown(service.public))
            assert ledger.unknown == []
            assert ledger.check_against(service) == ledger.sent
    figures(
        f"spool {spool}, {kills} times killed together: {dict(ledger.answers)}, {unknown} unknown; 0 lost, 0 doubled"
    )


def stored(service: Replica) -> set[str]:
    return {str(row[0]) for row in service.sql("SELECT click_id FROM conversion")}
