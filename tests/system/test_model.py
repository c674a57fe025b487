"""Owns the proof that a model which knows only the documents finds no difference, whatever is killed and cut off.

Rounds of mixed traffic through all doors, with imports, erasures, replays and faults. After each round everything comes
to rest, and every key's rows and answers must have an order that the model and real time allow.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outside.model.telling import tell
from tests.support.outside.model.trial import OnPostgres, OnSqlite, Trial
from tests.support.outside.postgres import PostgresServer

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

LONG_SECONDS = 30 * 60
ROUND_SECONDS = 60.0
SHORT_SECONDS = 40.0


@pytest.fixture
def seed() -> int:
    """Choose what is sent and what breaks; POSTBACK_MODEL_SEED repeats the choices of an earlier run."""
    return int(os.environ.get("POSTBACK_MODEL_SEED", random.SystemRandom().randrange(10**6)))


def explained(trial: Trial, form: str, seed: int) -> str:
    """Run rounds until the time is over; fail at the first that is not explained. Return the figures."""
    end = time.monotonic() + (LONG_SECONDS if form == "long" else SHORT_SECONDS)
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        seconds = min(ROUND_SECONDS, max(10.0, end - time.monotonic()))
        differences = asyncio.run(trial.round(seconds, trial.kinds))
        if differences:
            pytest.fail(f"POSTBACK_MODEL_SEED={seed}, round {rounds}: {tell(differences)}", pytrace=False)
        assert trial.at_rest() == {}, f"POSTBACK_MODEL_SEED={seed}, round {rounds}"
    return f"POSTBACK_MODEL_SEED={seed}: {rounds} rounds, {trial.figures_told()}: 0 differences"


def test_on_postgresql_the_model_explains_every_answer_and_every_row(
    tmp_path: Path, form: str, seed: int, figures: Callable[[str], None]
) -> None:
    with PostgresServer() as server, OnPostgres(tmp_path, server, seed) as trial:
        figures(explained(trial, form, seed))


def test_on_sqlite_the_model_explains_every_answer_and_every_row(
    tmp_path: Path, form: str, seed: int, figures: Callable[[str], None]
) -> None:
    with OnSqlite(tmp_path, seed) as trial:
        figures(explained(trial, form, seed))
