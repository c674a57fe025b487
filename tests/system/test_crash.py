"""Owns the proof that SIGKILL at any moment loses nothing that was acknowledged and doubles nothing."""

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outside.harness import Service
from tests.support.outside.ledger import Ledger, run, run_until

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

CONNECTIONS = 24


def test_nothing_acknowledged_is_lost_or_doubled_however_often_the_process_is_killed(
    tmp_path: Path,
    form: str,
    figures: Callable[[str], None],
) -> None:
    kills = 100 if form == "long" else 10
    moments = random.Random(7)  # noqa: S311 - a repeatable spread, not a secret
    ledger = Ledger("kill", seed=7)
    for _ in range(kills):
        with Service(tmp_path) as service:
            ledger.check_against(service)
            pressing = ledger.press(service.public, CONNECTIONS)
            run_until(pressing, moments.uniform(0.05, 0.5), lambda: service.send_signal(signal.SIGKILL))
            assert service.wait() == -signal.SIGKILL
    with Service(tmp_path) as service:
        survived = ledger.check_against(service)
        unknown = ledger.unknown
        run(ledger.retry_unknown(service.public))
        assert ledger.unknown == []
        assert ledger.check_against(service) == ledger.sent
        assert service.sql("PRAGMA integrity_check") == [("ok",)]
    in_doubt = len(survived.keys() & set(unknown))
    figures(
        f"{kills} SIGKILLs, {ledger.answers.total()} answers to {len(ledger.sent)} ids: 0 lost, 0 doubled; "
        f"{len(unknown)} unknown at the end, {in_doubt} of them stored; answers {dict(ledger.answers)}"
    )
