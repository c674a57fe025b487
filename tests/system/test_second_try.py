"""Owns the proof that a commit which is tried again waits for a standby as the first try did: else 200 would lie."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.outside.harness import wait_for
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.trial import Replica
from tests.support.outside.wire import Answer

pytestmark = [pytest.mark.system, pytest.mark.faults]

END_WHO_WAITS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
CANCEL_WHO_WAITS = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def wait_for_standby(server: PostgresServer, name: str) -> None:
    """Let every commit wait for a standby of this name, or for none."""
    server.configure({"synchronous_standby_names": name})
    server.sql("SELECT pg_reload_conf()")
    wait_for(lambda: server.sql("SHOW synchronous_standby_names") == [(name,)], 10)


def send_and_end_its_connection(service: Replica, server: PostgresServer, value: str) -> Answer:
    """Send a postback whose connection ends while its commit waits for a standby."""
    with ThreadPoolExecutor(1) as sender:
        answer = sender.submit(service.postback, "doubt", value)
        wait_for(lambda: server.sql(END_WHO_WAITS) or answer.done(), 10)
        return answer.result()


@pytest.mark.parametrize("value", ["1", "2"], ids=["a repetition", "a conflict"])
def test_what_is_tried_twice_is_not_acknowledged_before_a_standby_has_the_conversion_it_repeats(
    tmp_path: Path, value: str
) -> None:
    """The conversion is only on the primary: its first replica was answered 503, and the sender asks another one."""
    with PostgresServer() as server:
        url = server.url(server.new_database())
        with Replica(tmp_path / "a", url) as first, Replica(tmp_path / "b", url) as second:
            wait_for_standby(server, "nobody")
            assert send_and_end_its_connection(first, server, "1").status == 503
            assert second.sql("SELECT value FROM conversion") == [("1",)]
            assert send_and_end_its_connection(second, server, value).status == 503
            wait_for_standby(server, "")
            assert second.postback("doubt", "1").outcome == "duplicate"


def test_a_wait_for_a_standby_that_somebody_cancels_is_no_receipt(tmp_path: Path) -> None:
    """The server then says that the statement succeeded, and only in a warning that no standby has it."""
    with PostgresServer() as server, Replica(tmp_path / "a", server.url(server.new_database())) as service:
        wait_for_standby(server, "nobody")
        with ThreadPoolExecutor(1) as sender:
            answer = sender.submit(service.postback, "cancelled")
            wait_for(lambda: server.sql(CANCEL_WHO_WAITS) or answer.done(), 10)
        assert answer.result().status == 503
        assert service.metrics().by_label("postback_storage_errors_total", "error") == {"PG_NOT_DURABLE": 1.0}
