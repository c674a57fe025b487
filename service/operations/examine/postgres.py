"""Owns the checks of a PostgreSQL server: does it answer, are its commits durable, who holds a second copy."""

from collections.abc import Iterator
from functools import partial

from service.core.unavailable import StorageError
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, guarded, not_checked, ok, wrong
from service.storage.postgres.audit import Server
from service.storage.postgres.database import PostgresDatabase

CHECKS = ("connection", "durability", "writable", "connections", "replication", "checksums", "server_clock", "size")
_OLDEST = 14  # the oldest version that still gets fixes
_CLOSE_SECONDS, _FAR_SECONDS = 2.0, 30.0
_FULL, _FILLING = 0.95, 0.8


def check(case: Case, database: PostgresDatabase) -> Iterator[Finding]:
    """Yield the findings about the server; if it does not answer, only that."""
    try:
        with database.audit(case.seconds) as audit:
            server = audit.server()
    except StorageError as error:
        advice = "Mend POSTBACK_DATABASE_URL, the network or the server: see PostbackStorageErrors in the runbook."
        yield wrong("connection", f"{case.database.name} does not answer: {error}", advice)
        yield from (not_checked(name, "the server does not answer") for name in CHECKS[1:])
        return
    yield _connection(case, server)
    yield _durability(server)
    yield _writable(server)
    yield _connections(server)
    yield from guarded([("replication", partial(_replication, case, database))])
    yield _checksums(server)
    yield _clock(server)
    yield from guarded([("size", partial(_size, case, database))])


def _connection(case: Case, server: Server) -> Finding:
    sentence = f"{case.database.name} answers, PostgreSQL {server.version}, {server.encoding}"
    if server.encoding != "UTF8":
        return wrong("connection", sentence, "Make a database with ENCODING 'UTF8' and copy everything into it.")
    old = int(server.version.partition(".")[0].split()[0]) < _OLDEST
    return graded("connection", sentence, "Upgrade the server: nobody mends it any more.", bad=False, doubtful=old)


def _durability(server: Server) -> Finding:
    sentence = f"synchronous_commit={server.synchronous_commit} fsync={server.fsync}"
    advice = "A 200 would be no receipt, and the service refuses it: turn it on, for this user and database too."
    bad = "off" in (server.synchronous_commit, server.fsync)
    return graded("durability", sentence, advice, bad=bad, doubtful=False)


def _writable(server: Server) -> Finding:
    if server.read_only:
        advice = "Name every host in the URL, with target_session_attrs=read-write, or ask who made it read-only."
        return wrong("writable", "the server is a standby, or read-only by default", advice)
    return ok("writable", "the server takes writes")


def _connections(server: Server) -> Finding:
    share = server.connections / server.max_connections
    sentence = f"{server.connections} of {server.max_connections} are taken; a process of the service keeps one to five"
    advice = "Raise max_connections, or find who keeps connections open."
    return graded("connections", sentence, advice, bad=share >= _FULL, doubtful=share >= _FILLING)


def _replication(case: Case, database: PostgresDatabase) -> Finding:
    with database.audit(case.seconds) as audit:
        waited_for, standbys = audit.synchronous_standbys(), audit.standbys()
    shown = [f"{it.name} {it.state} ({it.sync_state}{_behind(it.lag_bytes)})" for it in standbys]
    sentence = f"commits wait for {waited_for or 'no standby'}; {'; '.join(shown) or 'no standby streams'}"
    if waited_for and not any(it.sync_state in ("sync", "quorum") for it in standbys):
        return wrong("replication", sentence, "Every commit waits for a standby that is not there: mend it, or nobody.")
    advice = "A lost server loses what its standbys do not have: name synchronous standbys (docs/scale.md)."
    return graded("replication", sentence, advice, bad=False, doubtful=not waited_for)


def _behind(lag_bytes: int | None) -> str:
    return "" if lag_bytes is None else f", {lag_bytes / 1e6:,.1f} MB behind"


def _checksums(server: Server) -> Finding:
    if server.checksum_failures is None:
        return not_checked("checksums", "the server keeps no checksums of its pages (initdb --data-checksums)")
    sentence = f"{server.checksum_failures} pages failed their checksum"
    advice = "The server's disk is damaged: fail over to a standby, then restore."
    return graded("checksums", sentence, advice, bad=server.checksum_failures > 0, doubtful=False)


def _clock(server: Server) -> Finding:
    apart = max(0.0, abs(server.ahead) - server.within)
    word = "ahead" if server.ahead > 0 else "behind"
    sentence = "the server has the same time" if apart < _CLOSE_SECONDS else f"the server is {apart:.0f} s {word}"
    advice = "One of the two clocks is wrong; received_at is this side's. See clock_sync."
    return graded("server_clock", sentence, advice, bad=apart > _FAR_SECONDS, doubtful=apart > _CLOSE_SECONDS)


def _size(case: Case, database: PostgresDatabase) -> Finding:
    with database.audit(case.seconds) as audit:
        size = audit.size()
    return ok("size", f"{size / 1e6:,.1f} MB; how much room is left, only the server's own monitoring tells")
