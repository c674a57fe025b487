"""Owns the row that keeps the books: what came in, what was promised and what was written must agree."""

from dashboards import promql
from dashboards.panels import ORANGE, About, Panel, Query, stat_panel, timeseries_panel
from dashboards.sdk import units
from service.telemetry.metrics.catalogue import CONSERVATION_DRIFT, LATE_COMMITS, ROWS_WRITTEN


def books() -> list[Panel]:
    """Return the row."""
    return [_drift(), _written(), _late()]


def _drift() -> Panel:
    about = About(
        701,
        "Conservation drift",
        units.Short,
        "arrivals: what came in, less those under way, less outcomes. receipts: outcomes that promise a row, "
        "less rows written. spool: entries drained, less entries that left the journal. All are 0 at every moment.",
        "anything but 0. `python -m service doctor` compares with the tables.",
        ("PostbackConservationDrift",),
    )
    query = Query(f"max by (check) (abs({promql.series(CONSERVATION_DRIFT)}))", "{{check}}")
    return timeseries_panel(about, query)


def _written() -> Panel:
    about = About(
        702,
        "Rows written, by table",
        units.RowsPerSecond,
        "Rows that the database, or the spool's journal, says it inserted.",
        "conversion at 0 while postbacks are accepted.",
        ("PostbackNothingStored",),
    )
    return timeseries_panel(about, Query(promql.rate(ROWS_WRITTEN, "table"), "{{table}}"))


def _late() -> Panel:
    about = About(
        703,
        "Late commits",
        units.Short,
        "Rows that became durable after their commit had been given up (503, or spooled), in the time shown.",
        "many: the disk stalls for longer than the 1.5 s that a postback waits.",
        ("PostbackErrorSpike",),
    )
    return stat_panel(about, Query(promql.increase(LATE_COMMITS), "rows"), limits=[(1, ORANGE)])
