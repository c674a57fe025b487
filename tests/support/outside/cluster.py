"""Owns three real PostgreSQL servers as one arrangement: a primary, two quorum-synchronous standbys, and a failover.

What Patroni or an operator does is a script here, in the same order: fence the old primary, promote the standby that
has the most, point the other one at it, rebuild the old primary as a standby.
"""

import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple, Self

from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import START_SECONDS, PostgresServer, Row

NAMES = ("s1", "s2", "s3")
_REPLICATED = {
    "synchronous_commit": "remote_apply",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",  # a standby finds its new primary soon
    "wal_keep_size": "64MB",  # a slot of the new primary's holds nothing back before somebody uses it
}


class Failover(NamedTuple):
    """One failover: who was promoted, and how many seconds that took from the fencing on."""

    promoted: str
    seconds: float


class Node(PostgresServer):
    """A server of the arrangement; with an `origin`, it begins as that one's copy and follows it."""

    def __init__(self, name: str, origin: "Node | None" = None, settings: Mapping[str, str] | None = None) -> None:
        others = [other for other in NAMES if other != name]
        quorum = {"cluster_name": name, "synchronous_standby_names": f"ANY 1 ({', '.join(others)})"}
        super().__init__({**_REPLICATED, **quorum, **(settings or {})})
        self.name = name
        self.origin = origin
        self._others = others

    def make_data(self) -> None:
        """Make the data directory: an empty one, or the origin's copy."""
        if self.origin is None:
            super().make_data()
            return
        source = self.origin.connection("replication")
        self.program("pg_basebackup", "-D", str(self.data), "-d", source, "-X", "stream", "-c", "fast")
        self.follow(self.origin)

    def start(self) -> None:
        """Start, and have a slot ready for each of the others."""
        super().start()
        for other in self._others:
            self.sql(
                "SELECT pg_create_physical_replication_slot(%s)"
                " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)",
                *(other, other),
            )

    def follow(self, primary: "Node") -> None:
        """Say who the primary is; a running server must be told to read it."""
        self.origin = primary
        (self.data / "standby.signal").touch()
        self.configure({"primary_conninfo": primary.connection(self.name), "primary_slot_name": self.name})

    def lose_primary(self) -> None:
        """Receive nothing more. Holding the process would not do: what the kernel has buffered would still arrive."""
        self.configure({"primary_conninfo": "host=127.0.0.1 port=1"})
        self.sql("SELECT pg_reload_conf()")
        wait_for(lambda: not self.sql("SELECT pid FROM pg_stat_wal_receiver"), START_SECONDS)

    def rebuild(self, primary: "Node") -> None:
        """Throw the data away and begin as a copy of the new primary."""
        shutil.rmtree(self.data)
        self.origin = primary
        self.make_data()
        self.configure(self._settings)
        self.start()

    def connection(self, name: str) -> str:
        """Return how a standby of that name connects to this server."""
        return f"host=127.0.0.1 port={self.port} user=postgres application_name={name}"


class Cluster:
    """A primary and two standbys, from the entering of the context to its end; `settings` are for all three."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = settings or {}
        self._stack = ExitStack()
        self.nodes: list[Node] = []

    def __enter__(self) -> Self:
        """Start all three and wait until both standbys count for the quorum."""
        with ExitStack() as stack:
            self.primary = stack.enter_context(Node(NAMES[0], None, self._settings))
            self.nodes.append(self.primary)
            for name in NAMES[1:]:
                self.nodes.append(stack.enter_context(Node(name, self.primary, self._settings)))
            self.wait_for_standbys()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all, and delete their data."""
        self._stack.close()

    @property
    def standbys(self) -> list[Node]:
        """The servers that follow the primary."""
        return [node for node in self.nodes if node is not self.primary]

    def url(self, database: str = "postgres") -> str:
        """Return the URL for the service: all three hosts, and which of them is meant."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        wanted = "target_session_attrs=read-write&load_balance_hosts=disable"
        return f"postgresql://postgres@{hosts}/{database}?{wanted}"

    def wait_for_standbys(self, count: int = 2) -> None:
        """Wait until so many standbys stream what is committed: from then on they count for the quorum."""

        def streaming() -> bool:
            rows = self.primary.sql("SELECT pid FROM pg_stat_replication WHERE state = 'streaming'")
            return len(rows) >= count

        wait_for(streaming, START_SECONDS, every=0.1)

    def fail_over(self, unnoticed: float = 0.0) -> Failover:
        """Kill the primary, promote the standby that has the most, point the other one at it.

        `unnoticed` is for how many seconds nobody sees that it is dead: Patroni's `ttl`.
        """
        began = time.monotonic()
        self.primary.kill()  # fenced: it takes no write and answers nobody from here on
        time.sleep(unnoticed)
        promoted = max(self.standbys, key=received)
        promoted.sql("SELECT pg_promote(true, 60)")
        seconds = time.monotonic() - began
        follower = next(node for node in self.standbys if node is not promoted)
        self.primary = promoted
        follower.follow(promoted)
        follower.sql("SELECT pg_reload_conf()")
        return Failover(promoted.name, seconds)

    def rebuild(self) -> None:
        """Make the servers that were killed standbys of the primary, as an operator does after a failover."""
        for node in self.nodes:
            if not node.alive:
                node.rebuild(self.primary)
        self.wait_for_standbys()

    def sql(self, statement: str, *parameters: object, database: str = "postgres") -> list[Row]:
        """Run one statement on the primary."""
        return self.primary.sql(statement, *parameters, database=database)


def received(standby: PostgresServer) -> int:
    """Return the position in the log up to which a standby has it on disk."""
    ((position,),) = standby.sql("SELECT pg_last_wal_receive_lsn() - '0/0'")
    return int(str(position))
