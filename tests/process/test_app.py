"""The composition: what a start refuses by itself."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.auth.access import StartRefused
from service.process.app import build_app
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.support.fakes import KeptLines, kept_log


@pytest.mark.parametrize("year", [1970, 2100])
def test_a_clock_out_of_bounds_stops_the_start_and_nothing_is_opened(tmp_path: Path, year: int) -> None:
    metrics, path = Metrics(), tmp_path / "p.db"
    settings = Settings.model_construct(database_url=f"sqlite:///{path}")
    app = build_app(settings, kept_log(KeptLines(), metrics), metrics, clock=lambda: datetime(year, 1, 1, tzinfo=UTC))
    with pytest.raises(StartRefused, match=f"clock says {year}-01-01 00:00 UTC, .* set it"):
        app.assert_may_start()
    assert not path.exists()
