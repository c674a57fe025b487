"""The quarantine's bounds from outside: floods of a stranger and of a loud sender leave a quiet one's evidence."""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.outside.examining import plainly, settings_of
from tests.support.outside.harness import Service, command, wait_for
from tests.support.outside.registering import FORM, posted, told
from tests.support.outside.wire import Wire

pytestmark = pytest.mark.system

BOUND, BEYOND = 2**20, 64 * 2**20  # the least that can be set, and by what it may be exceeded
LARGE = b"y" * 63_000
FLOOD = 800
LOOK_SECONDS = 30.0


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """Make a key for each of two senders."""
    url = f"sqlite:///{tmp_path / 'p.db'}"
    return {sender: str(told(tmp_path, url, "keys", "create", sender)["key"]) for sender in ("ezmob", "keitaro")}


@pytest.fixture
def bounded(tmp_path: Path, keys: dict[str, str]) -> Iterator[Service]:
    """Serve with little room for what is rejected."""
    assert keys
    with Service(tmp_path, {"REJECTED_MAX_BYTES": str(BOUND)}) as service:
        yield service


def flood(service: Service, asked: bytes, outcomes: set[str]) -> int:
    """Send the same on eight connections as fast as answers come; return the most bytes that the files had."""
    sizes: list[int] = []

    def press(_: int) -> None:
        with Wire(service.public) as wire:
            for _ in range(FLOOD // 8):
                assert wire.exchange(asked).outcome in outcomes
                sizes.append(size(service))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(press, range(8)))
    return max(sizes)


def size(service: Service) -> int:
    return sum(Path(f"{service.database}{end}").stat().st_size for end in ("", "-wal"))


def form(body: bytes, key: str = "") -> bytes:
    return posted("/postback", body, FORM, {"X-API-Key": key} if key else {})


def shares(service: Service) -> dict[str, int]:
    found = service.sql("SELECT share, sum(bytes) FROM quarantine_share GROUP BY share")
    return {str(share): int(str(taken)) for share, taken in found}


@pytest.mark.proof
def test_floods_stay_within_the_bound_and_take_nobody_elses_evidence(
    bounded: Service, keys: dict[str, str], tmp_path: Path
) -> None:
    flood_of = {
        "stranger": form(b"c=x&pad=" + LARGE),
        "loud": form(b"subid=x&payout=bad&pad=" + LARGE, keys["keitaro"]),
    }
    with Wire(bounded.public) as wire:
        assert wire.exchange(form(b"c=quiet&value=bad", keys["ezmob"])).outcome == "invalid_value"
    assert flood(bounded, flood_of["stranger"], {"unauthenticated", "rate_limited"}) < BOUND + BEYOND
    assert flood(bounded, flood_of["loud"], {"invalid_value"}) < BOUND + BEYOND
    wait_for(lambda: sum(shares(bounded).values()) <= BOUND, LOOK_SECONDS, every=0.1)
    assert bounded.sql("SELECT click_id FROM rejected_postback WHERE sender = 'ezmob'") == [("quiet",)]
    bodies = "SELECT count(*) FROM rejected_postback WHERE outcome = 'rate_limited' AND length(raw) > 1000"
    assert bounded.sql(bodies) == [(0,)]
    kept, gone = (
        int(str(bounded.sql(statement)[0][0]))
        for statement in ("SELECT count(*) FROM rejected_postback", "SELECT sum(rows) FROM deletion")
    )
    assert kept + gone == 1 + 2 * FLOOD
    assert bounded.metrics().by_label("postback_conservation_drift", "check") == {}
    examined = plainly(tmp_path, "--json", **settings_of(bounded))
    assert examined.named("wrong") == set()


@pytest.mark.proof
def test_a_header_above_many_short_rows_is_kept_once_and_shown_with_each(
    bounded: Service, keys: dict[str, str], tmp_path: Path
) -> None:
    header = b",".join(b"h%03d" % number for number in range(400))
    body = gzip.compress(header + b"\n" + b"x\n" * 1_000)
    headers = {"X-API-Key": keys["ezmob"], "Content-Encoding": "gzip"}
    with Wire(bounded.public) as wire:
        answer = wire.exchange(posted("/postbacks", body, "text/csv", headers))
    assert answer.status == 422
    assert shares(bounded)["ezmob"] < 1_000 * 600
    ((request_id,),) = bounded.sql("SELECT max(request_id) FROM rejected_postback")
    shown = command(tmp_path, bounded.database_url, "rejected", "show", str(request_id), "--json")
    assert header.decode() + "\\nx" in shown.stdout
    assert examined_clean(bounded, tmp_path)


def examined_clean(service: Service, directory: Path) -> bool:
    return plainly(directory, "--json", **settings_of(service)).named("wrong") == set()
