"""A day of attack in some seconds: all kinds of hostile clients at once achieve nothing, and senders are served."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.support.outside.attack import Came, attacking
from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, resident_kib, wait_for
from tests.support.outside.hostile_requests import AUDIENCE, ISSUER
from tests.support.outside.ledger import run
from tests.support.outside.load import Load
from tests.support.outside.registering import NDJSON, done, places, posted, sent, told
from tests.support.outside.strangers import answering, listening

pytestmark = [pytest.mark.system, pytest.mark.proof, pytest.mark.alone]

SECONDS = {"short": 30, "long": 300}
ROWS = 50_000  # of the largest batch
RATE = 200  # postbacks of a good sender a second
GROWTH_KIB = 60 * 1024
MOST_BYTES = 8 * 2**20  # that rejected postbacks may take
BEYOND = 64 * 2**20  # what they may take more, at any rate of arrival (docs/retention.md)
ACCEPTED_BYTES = 1024  # of what was accepted, with its place in the log of the database
STORED = 0.999
LINES_AT_ONCE, LINES_A_SECOND = 1_000, 100  # of one outcome (docs/operating.md)
LOOK_SECONDS, CLEANED_SECONDS = 0.2, 60
JWKS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}


@dataclass
class Watched:
    """What a service took at most, of memory and of room for rejected postbacks."""

    resident_kib: int = 0
    disk: int = 0


@contextmanager
def watching(service: Service) -> Iterator[Watched]:
    """Look at a service again and again, while the block lasts."""
    seen, over = Watched(), threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            seen.resident_kib = max(seen.resident_kib, resident_kib(service.pid))
            seen.disk = max(seen.disk, disk(service))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join(60)


def disk(service: Service) -> int:
    """Return the bytes of the database, its log included."""
    return sum(path.stat().st_size for path in service.directory.glob("p.db*"))


async def attacked(service: Service, keys: dict[str, str], seconds: float) -> tuple[Load, Came]:
    """Send a good sender's postbacks while everything else happens."""
    load = Load(service.public, "ours", key=keys["ezmob"])
    with attacking(service.public, keys["acme"], seconds) as attack:
        await load.offer(RATE, seconds)
        load.close()
        return load, attack.result(60)


def registered(directory: Path, url: str) -> dict[str, str]:
    """Register a good sender and a malicious one; return their keys."""
    done(directory, url, "senders", "add", "acme")
    done(directory, url, "senders", "add", "signing")
    done(directory, url, "secrets", "create", "signing")
    return {name: str(told(directory, url, "keys", "create", name)["key"]) for name in ("ezmob", "acme")}


def test_all_kinds_of_hostile_clients_at_once_achieve_nothing(
    tmp_path: Path, form: Literal["short", "long"], figures: Callable[[str], None]
) -> None:
    keys = registered(tmp_path, f"sqlite:///{tmp_path / 'p.db'}")
    settings = {"REJECTED_MAX_BYTES": str(MOST_BYTES), "OAUTH_ISSUER": ISSUER, "OAUTH_AUDIENCE": AUDIENCE}
    with (
        listening(answering(200, json.dumps(JWKS).encode())) as jwks,
        Service(tmp_path, {**settings, "OAUTH_JWKS_URL": jwks}) as service,
    ):
        assert service.get(f"/postback?c=evidence&value=x&key={keys['ezmob']}").outcome == "invalid_value"
        assert sent(service, full_batch(keys["ezmob"])).status == 200
        warmed = run(alone(service, keys["ezmob"]))
        before, rows = Watched(resident_kib(service.pid), disk(service)), accepted(service)
        with watching(service) as seen:
            load, came = run(attacked(service, keys, SECONDS[form]))
        stored = load.answers.outcomes["stored"]
        figures(told_of(warmed, load, came, before, seen))

        assert {kind for kind, answers in came.items() if not answers.total()} == set()
        assert stored >= STORED * load.sent
        assert service.sql("SELECT count(*) FROM conversion WHERE sender = 'ezmob'") == [(ROWS + warmed.sent + stored,)]
        assert service.sql("SELECT click_id FROM rejected_postback WHERE sender = 'ezmob'") == [("evidence",)]
        assert seen.resident_kib - before.resident_kib <= GROWTH_KIB
        assert seen.disk - before.disk <= MOST_BYTES + BEYOND + ACCEPTED_BYTES * (accepted(service) - rows)
        wait_for(lambda: cleaned(service) or None, CLEANED_SECONDS, every=0.5)
        books_are_exact(service)
        assert noisy(service, SECONDS[form]) == {}
        examined = plainly(tmp_path, "--json", **settings_of(service))
        assert [examined.named(state) for state in ("wrong", "warning")] == [set(), set()], examined.out
        assert service.terminate() == 0
    assert places(tmp_path, (key.rpartition("_")[2].encode() for key in keys.values())) == []


def accepted(service: Service) -> int:
    """Return how many rows there are of what was accepted, from whomever."""
    ((rows,),) = service.sql("SELECT (SELECT count(*) FROM conversion) + (SELECT count(*) FROM duplicate)")
    return int(str(rows))


def cleaned(service: Service) -> bool:
    """Return whether rejected postbacks take no more than they may."""
    metrics = service.metrics()
    return metrics.total("postback_rejected_bytes") <= metrics.total("postback_rejected_capacity_bytes")


def books_are_exact(service: Service) -> None:
    """Assert that nothing is lost or counted twice, and nothing failed by our fault."""
    metrics = service.metrics()
    assert metrics.by_label("postback_conservation_drift", "check") == {}
    outcomes = metrics.by_label("postback_received_total", "outcome")
    assert {"internal_error", "storage_unavailable"} & outcomes.keys() == set()
    assert metrics.total("postback_http_responses_total", code="500") == 0
    assert [line for line in service.log_lines() if line["level"] in ("error", "critical")] == []


def noisy(service: Service, seconds: float) -> dict[str, int]:
    """Return of which outcomes there are more warnings than the log's bound."""
    lines = Counter(str(line.get("outcome")) for line in service.log_lines() if line["level"] != "info")
    bound = LINES_AT_ONCE + LINES_A_SECOND * (seconds + CLEANED_SECONDS)
    return {outcome: count for outcome, count in lines.items() if count > bound}


def full_batch(key: str) -> bytes:
    """Return the largest batch that a good sender may send: what it leaves in memory is not the attack's."""
    rows = b"".join(b'{"c":"row-%d","value":1,"sub1":"%b"}\n' % (number, b"x" * 250) for number in range(ROWS))
    return posted("/postbacks", rows, NDJSON, {"X-API-Key": key})


async def alone(service: Service, key: str) -> Load:
    """Send the same with nobody beside it: it says how fast this machine is just now."""
    load = Load(service.public, "alone", key=key)
    await load.offer(RATE, 5)
    load.close()
    return load


def told_of(warmed: Load, load: Load, came: Came, before: Watched, seen: Watched) -> str:
    """Return the figures."""
    answers, kinds = load.answers, {kind: statuses.total() for kind, statuses in came.items()}
    return (
        f"{answers.outcomes['stored'] / load.sent:.2%} of {load.sent} stored, {dict(answers.errors)}, "
        f"p50 {answers.percentile(50) * 1000:.0f} ms, p99 {answers.percentile(99) * 1000:.0f} ms, "
        f"slowest {answers.slowest:.2f} s, p99 alone {warmed.answers.percentile(99) * 1000:.0f} ms; "
        f"memory {(seen.resident_kib - before.resident_kib) / 1024:+.0f} MiB, "
        f"disk {(seen.disk - before.disk) / 2**20:+.0f} MiB; requests of each kind {kinds}"
    )
