"""Owns the proof that whatever happens to the database or the way to it, receipts stay true and the service recovers.

Two replicas live through one fault after the other and are never restarted; what they are asked goes through a proxy.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.outside.proxy import Proxy
from tests.support.outside.trial import Replica, Trial

pytestmark = [pytest.mark.system, pytest.mark.faults]

CONNECTIONS = 12
END_THEIRS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'postback'"
COUNT_THEIRS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postback'"


@dataclass(frozen=True, slots=True)
class Arena:
    """A server, the way to it, the replicas' trial, and how many seconds a fault lasts."""

    server: PostgresServer
    proxy: Proxy
    trial: Trial
    spool: str
    seconds: float

    @property
    def url(self) -> str:
        """The database, past the proxy."""
        return self.server.url(self.trial.database)


@pytest.fixture(scope="module")
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, form: str) -> Iterator[Arena]:
    """Start a server with few connections, a proxy and two replicas; nobody restarts these for the whole file."""
    settings = {"max_connections": str(CONNECTIONS), "superuser_reserved_connections": "0", "max_wal_senders": "0"}
    directory = tmp_path_factory.mktemp("arena")
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(settings))
        proxy = stack.enter_context(Proxy(("127.0.0.1", server.port)))
        database = server.new_database()
        replicas = [stack.enter_context(replica(directory / name, server, proxy, database, request)) for name in "ab"]
        yield Arena(server, proxy, Trial(database, replicas), request.param, 30.0 if form == "long" else 2.0)


def replica(
    directory: Path, server: PostgresServer, proxy: Proxy, database: str, request: pytest.FixtureRequest
) -> Replica:
    """Return the service with a database behind the proxy."""
    url = f"postgresql://postgres@127.0.0.1:{proxy.address[1]}/{database}"
    return Replica(directory, url, {"SPOOL": request.param}, past=server.url(database))


def stop(arena: Arena) -> None:
    """Be away for a while, in order."""
    arena.server.stop()
    time.sleep(arena.seconds)
    arena.server.start()


def restart(arena: Arena) -> None:
    """Be away for as long as a restart takes."""
    arena.server.stop()
    arena.server.start()


def kill(arena: Arena) -> None:
    """End without a word, and recover from the log."""
    arena.server.kill()
    arena.server.start()


def hang(arena: Arena) -> None:
    """Stand still with all connections open."""
    arena.server.pause()
    time.sleep(max(arena.seconds, 3.0))
    arena.server.go_on()


def lock_table(arena: Arena) -> None:
    """Hold the lock that ALTER TABLE takes."""
    with psycopg.connect(arena.url) as connection:
        connection.execute("LOCK TABLE conversion IN ACCESS EXCLUSIVE MODE")
        time.sleep(arena.seconds)


def exhaust_connections(arena: Arena) -> None:
    """Take every connection; the service's are ended, and it may come back when there is none left."""
    with ExitStack() as taken:
        first = taken.enter_context(psycopg.connect(arena.url, autocommit=True))
        arena.proxy.hold()
        first.execute(END_THEIRS.encode())
        with suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(psycopg.connect(arena.url))
        arena.proxy.release()
        time.sleep(arena.seconds)
        ((theirs,),) = first.execute(COUNT_THEIRS.encode())
        assert theirs == 0, "the service kept a connection"


def end_backends(arena: Arena) -> None:
    """End the service's connections again and again."""
    for _ in range(10):
        run_sql(arena.url, END_THEIRS)
        time.sleep(arena.seconds / 10)


def black_hole(arena: Arena) -> None:
    """Lose every packet."""
    arena.proxy.hold()
    time.sleep(arena.seconds)
    arena.proxy.release()


def reset(arena: Arena) -> None:
    """Reset every connection, again and again."""
    for _ in range(20):
        arena.proxy.reset()
        time.sleep(arena.seconds / 20)


def slow(arena: Arena) -> None:
    """Take 200 ms more for each statement."""
    arena.proxy.delay = 0.2
    time.sleep(arena.seconds)
    arena.proxy.delay = 0.0


def cut_answers(arena: Arena) -> None:
    """Commit, and cut the line before the answer: again and again."""
    for _ in range(5):
        before = arena.proxy.cuts
        arena.proxy.cut_after(f"{arena.trial.database}-".encode())  # the beginning of its click ids
        wait_for(lambda before=before: arena.proxy.cuts > before, 10)  # type: ignore[misc]  # mypy cannot infer it


FAULTS = [
    *(stop, restart, kill, hang, lock_table, exhaust_connections, end_backends),
    *(black_hole, reset, slow, cut_answers),
]
WITHOUT_SPOOL = [stop, black_hole, reset, slow, cut_answers]  # test_postgres_faults.py has the others
CASES = [*(("on", fault) for fault in FAULTS), *(("off", fault) for fault in WITHOUT_SPOOL)]


@pytest.mark.parametrize(
    ("arena", "fault"), CASES, indirect=["arena"], ids=lambda case: getattr(case, "__name__", case)
)
def test_whatever_happens_to_the_database_each_receipt_is_one_row_and_each_answer_comes_in_time(
    arena: Arena, fault: Callable[[Arena], None], figures: Callable[[str], None]
) -> None:
    suffered = arena.trial.suffer(lambda: fault(arena), after=3.0, spool=arena.spool)
    drained = arena.trial.check()
    figures(f"spool {arena.spool}: {suffered}; all there {drained:.1f} s later")


@pytest.mark.parametrize("arena", ["on", "off"], indirect=True)
def test_a_commit_whose_answer_is_lost_is_answered_stored_once_and_is_one_row(arena: Arena) -> None:
    """The sender hears `stored`, not `duplicate` of its own row, and not 503."""
    before = arena.proxy.cuts
    click_id = f"cut-{arena.spool}"
    arena.proxy.cut_after(click_id.encode())
    answer = arena.trial.replicas[0].postback(click_id)
    assert arena.proxy.cuts == before + 1
    assert (answer.status, answer.outcome) == (200, "stored")
    rows = arena.trial.replicas[0].sql("SELECT request_id FROM conversion WHERE click_id LIKE 'cut-%'")
    assert rows == [(answer.request_id,)]
    assert arena.trial.replicas[0].sql("SELECT count(*) FROM duplicate WHERE click_id LIKE 'cut-%'") == [(0,)]
