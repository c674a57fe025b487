"""Owns the proof of high availability: servers die under load, a standby takes over, no receipt was false."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.outside.cluster import Cluster, Failover
from tests.support.outside.trial import SPOOLS, Replica, Trial

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

UNNOTICED_SECONDS = {"short": 3.0, "long": 15.0}  # Patroni takes up to 30 by default
HELD_SECONDS = {"short": 2.0, "long": 30.0}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start a primary and two standbys for this file's tests."""
    with Cluster() as started:
        yield started


@contextmanager
def trial_on(cluster: Cluster, directory: Path, settings: Mapping[str, str]) -> Iterator[Trial]:
    """Run two replicas on a database of their own."""
    cluster.rebuild()
    database = cluster.primary.new_database()
    with ExitStack() as stack:
        replicas = [Replica(directory / name, cluster.url(database), settings) for name in "ab"]
        yield Trial(database, [stack.enter_context(replica) for replica in replicas])


@pytest.mark.parametrize("spool", SPOOLS)
def test_every_receipt_survives_the_primary_and_the_replicas_find_the_new_one_by_themselves(
    tmp_path: Path, cluster: Cluster, spool: str, form: str, figures: Callable[[str], None]
) -> None:
    failovers: list[Failover] = []

    def fail_over() -> None:
        at_once = len(failovers) % 2 == 0
        failovers.append(cluster.fail_over(unnoticed=0.0 if at_once else UNNOTICED_SECONDS[form]))

    with trial_on(cluster, tmp_path, {"SPOOL": spool}) as trial:
        for _ in range(50 if form == "long" else 2):
            cluster.rebuild()
            suffered = trial.suffer(fail_over, after=3.0, spool=spool)
            drained = trial.check()
            promoted, seconds = failovers[-1]
            figures(
                f"spool {spool}, {promoted} promoted after {seconds:.2f} s: {suffered}; all there {drained:.1f} s later"
            )


@pytest.mark.parametrize("spool", SPOOLS)
def test_without_a_standby_no_commit_is_acknowledged_and_one_standby_is_enough_to_go_on(
    tmp_path: Path, cluster: Cluster, spool: str, form: str, figures: Callable[[str], None]
) -> None:
    def hold_both() -> None:
        for standby in cluster.standbys:
            standby.pause()
        time.sleep(HELD_SECONDS[form])
        acknowledged.append(trial.stored)
        time.sleep(0.5)
        acknowledged.append(trial.stored)
        cluster.standbys[0].go_on()

    acknowledged: list[int] = []
    with trial_on(cluster, tmp_path, {"SPOOL": spool}) as trial:
        try:
            suffered = trial.suffer(hold_both, spool=spool)
        finally:
            for standby in cluster.standbys:
                standby.go_on()
        assert acknowledged[0] == acknowledged[1]
        figures(f"spool {spool}, both standbys held for {HELD_SECONDS[form]} s, one came back: {suffered}")
        trial.check()


def test_an_old_primary_that_nobody_fenced_acknowledges_nothing(tmp_path: Path, cluster: Cluster) -> None:
    with trial_on(cluster, tmp_path, {"SPOOL": "off"}) as trial:
        old = cluster.primary
        trial.suffer(lambda: None, after=1.0)
        cluster.fail_over()
        old.start()  # it knows of no other primary, and takes connections
        with Replica(tmp_path / "astray", old.url(trial.database), {"MIGRATE": "false"}) as astray:
            answers = [astray.postback(f"astray-{number}") for number in range(3)]
            assert {answer.status for answer in answers} == {503}
        old.stop(signal.SIGQUIT)
        trial.check()


@pytest.mark.parametrize("quorum", ["with the quorum", "without (negative control)"])
def test_only_the_quorum_makes_a_receipt_survive_what_the_standbys_had_not_received(
    tmp_path: Path, cluster: Cluster, quorum: str, figures: Callable[[str], None]
) -> None:
    def fail_over_with_standbys_behind() -> None:
        for standby in cluster.standbys:
            standby.lose_primary()
        time.sleep(1.0)
        cluster.fail_over()

    with trial_on(cluster, tmp_path, {}) as trial:
        if quorum.startswith("without"):
            cluster.primary.configure({"synchronous_standby_names": ""})
            cluster.sql("SELECT pg_reload_conf()")
        trial.suffer(fail_over_with_standbys_behind)
        if quorum.startswith("with "):
            trial.check()
            return
        with pytest.raises(AssertionError, match="lost"):
            trial.ledger.check_against(trial.replicas[0])
        figures(f"without synchronous_standby_names, {len(trial.missing())} acknowledged postbacks were lost")
