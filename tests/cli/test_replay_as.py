"""The command `replay --as`: what was refused is shown by key and address, and becomes the sender's that is named."""

from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders
from tests.support.commands import Command

LEAKED = "0123456789ab"


@pytest.fixture
def refused(service: Command, bare: Path) -> None:
    """Keep three refused postbacks of a registered sender, and one of somebody else."""
    assert service("senders", "add", "acme", "--preset", "keitaro").code == 0
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    for number, (key_id, address) in enumerate(
        [(LEAKED, "192.0.2.7"), (LEAKED, "192.0.2.7"), (None, "192.0.2.7"), (None, "198.51.100.9")]
    ):
        raw = builders.raw(f"subid=s{number}&payout=1.50", client_ip=address)
        ledger.commit([Rejection(raw, None, Outcome.UNAUTHENTICATED, "no such API key", None, key_id=key_id)])
    ledger.close()


@pytest.mark.usefixtures("refused")
def test_a_dry_run_shows_whose_it_may_be_and_a_replay_stores_it_under_that_name(service: Command) -> None:
    shown = service("replay", "--dry-run").out.splitlines()
    assert shown[0] == f"        2  unauthenticated stays  (key {LEAKED}, from 192.0.2.7)"
    chosen = ("--as", "acme", "--address", "192.0.2.7")
    assert "        1  unauthenticated → stored  (from 192.0.2.7)" in service("replay", *chosen, "--dry-run").out
    assert service("replay", *chosen, "--key-id", LEAKED, "--yes").out.splitlines()[-1].startswith("2 replayed, ")
    assert service("replay", *chosen, "--yes").out.splitlines()[-1].startswith("1 replayed, ")
    exported = service("export", "--sender", "acme").out.splitlines()
    assert len(exported) == 4


@pytest.mark.usefixtures("refused")
def test_the_list_can_be_narrowed_to_a_key_or_an_address(service: Command) -> None:
    def found(*options: str) -> list[tuple[str | None, str]]:
        rows = service("rejected", "list", "--json", *options).answer()["rejected"]
        assert isinstance(rows, list)
        return [(row["key_id"], row["client_ip"]) for row in rows]

    assert found("--key-id", LEAKED) == [(LEAKED, "192.0.2.7")] * 2
    assert found("--address", "198.51.100.9") == [(None, "198.51.100.9")]
    assert f"key          {LEAKED}" in service("rejected", "show", "1").out


@pytest.mark.usefixtures("refused")
def test_the_groups_name_the_owner_of_the_key_and_an_example_says_why_it_stays(service: Command, bare: Path) -> None:
    assert service("senders", "set", "acme", "--numbers", "comma").code == 0
    made = service("keys", "create", "acme", "--json").answer()["id"]
    raw = builders.raw("subid=own&payout=1", client_ip="192.0.2.7")
    ledger = SqliteLedger(bare / "data/postback.db")
    ledger.open()
    ledger.commit([Rejection(raw, None, Outcome.UNAUTHENTICATED, "not whole", None, key_id=str(made))])
    ledger.close()
    told = service("replay", "--as", "acme", "--address", "192.0.2.7", "--dry-run").out.splitlines()
    assert told[0] == f"        1  unauthenticated → stored  (key {made} of acme, from 192.0.2.7)"
    assert told[1] == f"        2  unauthenticated stays invalid_value  (key {LEAKED}, from 192.0.2.7)"
    assert told[2].startswith("           such as ")
    assert "'1.50' is not an amount. Write payout with a decimal comma" in told[2]


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--as", "nobody"], "no such sender"), (["--as", "acme", "--vouch"], "leave one of them out")],
)
@pytest.mark.usefixtures("refused")
def test_a_name_that_cannot_be_meant_is_refused(service: Command, options: list[str], reason: str) -> None:
    ended = service("replay", *options, "--dry-run")
    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.err
