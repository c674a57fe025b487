"""Shares of the quarantine, on every engine: the database counts whose rejections take how much, whoever writes."""

from contextlib import suppress

from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.unavailable import StorageError
from service.storage.deletions.book import Reason
from service.storage.deletions.finding import ROW_BYTES
from service.storage.ledger import Ledger
from service.storage.schema.tables import RejectedPostback
from tests.storage.share_figures import figures
from tests.support import builders
from tests.support.engines import Engine

MEASURED = f"""
    SELECT coalesce(sender, ''), sum(length(raw) + {ROW_BYTES}) FROM rejected_postback GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - our own names


def rejected(name: str, sender: str | None = "ezmob", size: int = 0) -> Rejection:
    return Rejection(builders.raw(f"c={name}&x={'x' * size}"), sender, Outcome.INVALID_VALUE, "", name)


def measured(engine: Engine) -> dict[str, int]:
    return {str(share): int(str(taken)) for share, taken in engine.rows(MEASURED)}


def test_each_sender_and_all_strangers_together_have_a_figure(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([rejected("a", size=100), rejected("b", "acme"), rejected("c", None), rejected("d", None)])
    assert figures(engine) == measured(engine)
    assert set(figures(engine)) == {"", "acme", "ezmob"}


def test_what_is_deleted_erased_or_changed_by_hand_leaves_the_figure_true(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([rejected(name, sender) for name in "abc" for sender in ("ezmob", "acme", None)])
    deletions = engine.database.deletions()
    found = deletions.old(RejectedPostback, builders.RECEIVED_AT.replace(year=2099))
    deletions.remove(RejectedPostback, found.ids[:4], Reason.AGE, builders.RECEIVED_AT)
    engine.change("DELETE FROM rejected_postback WHERE click_id = 'c'")
    assert figures(engine) == measured(engine)
    assert figures(engine)


def test_a_row_that_is_there_already_is_counted_once(engine: Engine, ledger: Ledger) -> None:
    one = rejected("a")
    ledger.commit([one])
    with suppress(StorageError):  # a server refuses the whole commit
        ledger.commit([rejected("b"), one])
    assert figures(engine) == measured(engine)


def test_an_older_version_and_what_it_left_are_counted(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    old = "received_at, door, sender, outcome, detail, click_id, raw, request_id"
    row = "'2026-11-01 00:00:00.000000', 'postback', NULL, 'unauthenticated', '', NULL, {raw}, '{id}'"
    migrations = engine.database.migrations()
    migrations.down("0009")
    for name in ("before", "after"):
        raw = "CAST('GET /postback' AS BYTEA)" if engine.kind == "postgres" else "CAST('GET /postback' AS BLOB)"
        engine.change(f"INSERT INTO rejected_postback ({old}) VALUES ({row.format(raw=raw, id=name)})")  # noqa: S608
        migrations.up()
    assert figures(engine) == measured(engine) == {"": 2 * (13 + ROW_BYTES)}
