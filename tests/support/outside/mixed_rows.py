"""Owns a database with rows of every kind, made by healthy traffic, and what a test does to it by hand."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.support.outside.harness import Service, command, wait_for
from tests.support.outside.postgres import PostgresServer, run_sql
from tests.support.outside.wire import Wire, request

LIFE = ("value=0&conversion_status=pending", "value=9&conversion_status=approved", "value=9&conversion_status=refunded")
LATE = "c=late&value=3,50&test=1"  # a test, and refused
MENDED = "GET /postback?c={}&value=3.50"
ROWS = b'{"c":"row-1","value":1}\n{"c":"row-2","value":"x"}\n'


def change(url: str, *statements: str) -> None:
    """Change a database behind the service's back, on either engine; BLOB is the type of raw inputs."""
    for statement in statements:
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10)) as connection, connection:
                connection.execute(statement)
        else:
            run_sql(url, statement.replace("BLOB", "BYTEA"))


def fill(directory: Path, url: str, server: PostgresServer | None) -> Callable[[], Service]:
    """Let a service and its commands make rows of every kind; return how to start the service on them again."""
    settings = {"DATABASE_URL": url, "SPOOL_DIR": str(directory / "spool"), "MIGRATE": "true"}

    def started() -> Service:
        return Service(directory, settings, database=directory / "p.db")

    with started() as service:
        _send(service)
        if server:
            _spool(service, server)
            _command(directory, url)
    if server is None:  # one writer: the commands wait until the service has ended
        _command(directory, url)
    return started


def _send(service: Service) -> None:
    """Send lives, repetitions, contradictions, tests, batches, and what is refused."""
    for click_id in ("life", "gone"):
        told = [
            service.get(f"/postback?c={click_id}&{query}").outcome for query in (*LIFE, "value=9", "value=8", LIFE[0])
        ]
        assert told == ["stored", "updated", "updated", "duplicate", "conflict", "duplicate"]
        refused = service.get(f"/postback?c={click_id}&value=9&conversion_status=pending")
        assert refused.outcome == "illegal_transition"
    for query in (LATE, "c=real&value=3,50", "c=test=1&value=3,50", "value=1", "c=zero&value=1&test=0"):
        assert service.get(f"/postback?{query}").status in (200, 400)
    assert service.get("/postback?c=life&value=5&test=1").outcome == "stored"
    assert [_batch(service, target) for target in ("/postbacks", "/postbacks?atomic=1")] == [207, 400]


def _batch(service: Service, target: str) -> int:
    headers = {"Content-Type": "application/x-ndjson", "Connection": "close"}
    with Wire(service.public) as wire:
        return wire.exchange(request(target, method="POST", headers=headers, body=ROWS)).status


def _spool(service: Service, server: PostgresServer) -> None:
    server.stop()
    for query in ("c=life&value=9", "c=waited&value=1", "c=waited&value=1", "c=waited&value=2", "c=left&value=x"):
        assert service.get(f"/postback?{query}").outcome in ("spooled", "invalid_value")
    server.start()
    wait_for(lambda: not service.metrics().total("postback_spool_entries") or None, 60)


def _command(directory: Path, url: str) -> None:
    """Import a file, erase a click id, and replay what is mended."""
    (directory / "rows.csv").write_text(
        "c,value,conversion_status,came\nlife,9,refunded,2026-01-01T00:00:00Z\nold,1,,2026-01-02T00:00:00Z\n"
        "old,2,,2026-01-01T00:00:00Z\nold,2,approved,2026-01-01T00:00:00Z\n"
    )
    assert command(directory, url, "import", "rows.csv", "--received-at", "came").returncode == 0
    assert command(directory, url, "erase", "gone", "--yes").returncode == 0
    for click_id, mended in (("late", MENDED.format("late") + "&test=1"), ("real", MENDED.format("real"))):
        change(url, f"UPDATE rejected_postback SET raw = CAST('{mended}' AS BLOB) WHERE click_id = '{click_id}'")  # noqa: S608 - our own texts
    ended = command(directory, url, "replay", "--yes")
    assert ended.returncode == 0, ended.stderr
