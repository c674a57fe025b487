"""What is registered, on both engines: read as it was put, changed beside an open ledger, the last use only grows."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.roster import KnownSender
from service.core.unavailable import StorageError
from service.storage.ledger import Ledger
from service.storage.senders import Contradiction, Rows, Senders
from service.storage.sqlite.ledger import SqliteLedger
from tests.support import builders, registration
from tests.support.engines import Engine, NotingTurns


@pytest.fixture
def senders(engine: Engine, ledger: Ledger) -> Senders:
    """Read and change beside an open ledger."""
    assert ledger
    return engine.database.senders()


def test_nothing_is_registered_at_first(senders: Senders) -> None:
    assert senders.rows() == Rows([], [], [])


def test_everything_is_read_as_it_was_put(senders: Senders) -> None:
    row = registration.sender(
        fields={"aff": "goal"},
        required=["click_id"],
        statuses={"ö": "x"},
        networks=["192.0.2.0/24"],
        rate_per_second=7,
        report_only=["rate"],
        oauth_subject="client",
    )
    key = registration.key(is_test=True, label="é", expires_at=builders.RECEIVED_AT, doors=["pixel"])
    told = (row.model_dump(), key.model_dump(), registration.secret().model_dump())
    senders.put_sender(row, new=True)
    senders.put_keys(key)
    senders.put_secrets(registration.secret())
    found = senders.rows()
    assert [one.model_dump() for one in (*found.senders, *found.keys, *found.secrets)] == list(told)


def test_a_roster_has_what_authentication_needs(senders: Senders) -> None:
    senders.put_sender(registration.sender(fields={"aff": "goal"}, numbers="comma", networks=["::1/128"]), new=True)
    senders.put_keys(registration.key())
    senders.put_secrets(registration.secret(), registration.secret(id="s2", revoked_at=builders.RECEIVED_AT))
    roster = senders.rows().roster()
    acme = roster.senders["acme"]
    assert isinstance(acme, KnownSender)
    assert (acme.sender.name, acme.sender.numbers) == ("acme", "comma")
    assert set(acme.sender.required) == {"click_id"}
    assert {"aff": "goal", "cid": "click_id"}.items() <= acme.sender.fields.items()
    assert (acme.networks, acme.signing_secrets) == (("::1/128",), ("signing",))
    assert roster.keys["0" * 12].secret_sha256 == bytes(32)


def test_a_preset_of_a_newer_version_leaves_the_senders_own_names(senders: Senders) -> None:
    senders.put_sender(registration.sender(preset="of-tomorrow", fields={"id": "click_id"}), new=True)
    assert senders.rows().roster().senders["acme"].sender.fields == {"id": "click_id"}


def test_a_name_is_registered_once_and_can_be_changed(senders: Senders) -> None:
    senders.put_sender(registration.sender(), new=True)
    with pytest.raises(Contradiction, match="registered already"):
        senders.put_sender(registration.sender(), new=True)
    senders.put_sender(registration.sender(numbers="cents"), new=False)
    assert [row.numbers for row in senders.rows().senders] == ["cents"]


def test_strangers_can_be_taken_for_one_sender_only(senders: Senders) -> None:
    senders.put_sender(registration.sender(report_only=["credentials"]), new=True)
    senders.put_sender(registration.sender(report_only=["credentials", "rate"]), new=False)
    with pytest.raises(Contradiction, match="one sender only"):
        senders.put_sender(registration.sender("other", report_only=["credentials"]), new=True)
    assert [row.name for row in senders.rows().senders] == ["acme"]


def test_several_keys_are_put_together_or_not_at_all(senders: Senders) -> None:
    with pytest.raises(StorageError):
        senders.put_keys(registration.key("a"), registration.key("b", sender=None))
    assert senders.rows().keys == []


def test_the_last_use_only_grows(senders: Senders) -> None:
    senders.put_keys(registration.key("a"), registration.key("b"))
    late, early = builders.RECEIVED_AT, builders.RECEIVED_AT - timedelta(days=1)
    senders.note_used({"a": late, "b": early, "unknown": late})
    senders.note_used({"a": early, "b": late})
    assert [row.last_used_at for row in senders.rows().keys] == [late, late]


def test_on_a_schema_of_before_nothing_is_registered(engine: Engine, ledger: Ledger) -> None:
    ledger.close()
    engine.database.migrations().down("0004")
    assert engine.database.senders().rows() == Rows()
    engine.database.migrations().up()
    ledger.open()


def test_changes_have_their_turn_where_one_is_given(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    with ThreadPoolExecutor(1, thread_name_prefix="turns") as thread:
        turns = NotingTurns(thread)
        senders = engine.database.senders(turns)
        senders.put_keys(registration.key())
        senders.note_used({"0" * 12: builders.RECEIVED_AT})
    assert turns.threads == ["turns_0", "turns_0"]
    assert senders.rows().keys[0].last_used_at == builders.RECEIVED_AT


@pytest.mark.anyio
async def test_whoever_would_hold_up_an_event_loop_is_told(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    with pytest.raises(RuntimeError, match="call it on a thread"):
        engine.database.senders().put_keys(registration.key())


def test_beside_the_writer_of_a_file_a_change_never_checkpoints(path: Path, sqlite_ledger: SqliteLedger) -> None:
    engine = Engine(f"sqlite:///{path}")
    sqlite_ledger.commit([builders.postback()])
    wal, before = path.with_name(f"{path.name}-wal"), path.read_bytes()
    for number in range(20):
        engine.database.senders().put_keys(registration.key(f"{number}", label="x" * 4000 * 60))  # > 1,000 pages
    assert wal.stat().st_size > 4 * 2**20
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM api_key").fetchone() == (20,)
