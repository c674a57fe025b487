"""Law 5 while strangers flood: what is not kept is counted, and all sums stay 0 at every moment."""

from pathlib import Path

import pytest

from service.auth.strangers import Strangers
from service.core.outcome import Outcome, Rejected
from service.intake import Intake
from service.storage.admission import Bounds
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics import Metrics
from service.telemetry.record import LiveRecord
from service.writing.committing import OnThread
from service.writing.writer import Writer
from tests.support import builders
from tests.support.fakes import KeptLines, in_time, kept_log, samples
from tests.support.watched_intake import rows

pytestmark = pytest.mark.anyio

ROOM = 160_000
FLOOD = 40


async def nobody(*_: object) -> object:
    raise Rejected(Outcome.RATE_LIMITED, "more than 10 a second")


async def test_a_flood_of_strangers_is_counted_once_each_and_no_body_is_kept(tmp_path: Path) -> None:
    path, metrics = tmp_path / "p.db", Metrics()
    ledger = SqliteLedger(path, bounds=Bounds(ROOM, 10 * ROOM))
    ledger.open()
    writer = Writer(OnThread(ledger), metrics)
    writer.start()
    record = LiveRecord(metrics, kept_log(KeptLines(), metrics))
    intake = Intake(nobody, writer, record, sampled=Strangers(ROOM, lambda: 0.0).sampled)  # type: ignore[arg-type]
    for _ in range(FLOOD):
        verdict = await in_time(intake.receive(builders.posted(b"c=x&pad=" + b"y" * 60_000)))
        assert verdict.outcome is Outcome.RATE_LIMITED
        assert set(samples(metrics, "postback_conservation_drift", zeros=True).values()) == {0.0}
    await in_time(writer.close())
    ((kept, longest),) = rows(path, "SELECT count(*), max(length(raw)) FROM rejected_postback")
    assert (kept, int(str(longest)) < 200) == (20, True)
    assert rows(path, "SELECT sum(rows) FROM deletion WHERE reason = 'not_kept'") == [(FLOOD - 20,)]
    assert samples(metrics, "postback_not_kept_total") == {("sampled",): FLOOD - 20}
    ledger.close()
