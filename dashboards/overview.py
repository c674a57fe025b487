"""Owns the dashboard that is opened first: are postbacks healthy, and if not, at which hop do they stop."""

from dashboards import hops, promql, resources
from dashboards.frame import Row, framed
from dashboards.headlines import BURN_ALERTS, NO_TRAFFIC, headlines
from dashboards.leads import INTAKE, OVERVIEW, SERVICE
from dashboards.objectives import AVAILABILITY, BURN_PAGE, BURN_TICKET, LATENCY, LATENCY_SECONDS
from dashboards.panels import (
    HALF,
    MEDIUM,
    ORANGE,
    RED,
    About,
    Look,
    Panel,
    Query,
    timeseries_panel,
)
from dashboards.sdk import models, units
from dashboards.spool import waiting
from service.telemetry.metrics.catalogue import ARRIVED, CONSERVATION_DRIFT, LOG_DROPPED, ROWS_WRITTEN


def overview() -> models.Dashboard:
    """Return the dashboard "Postbacks overview"."""
    rows = [
        Row(100, "Is it healthy?", headlines()),
        Row(200, "Objectives", _objectives()),
        Row(300, "Doors", [_arrivals(), hops.families(302), hops.codes(303)]),
        Row(400, "Authenticate and parse", [hops.rejections(401, HALF), hops.senders(402, HALF)]),
        Row(500, "Queue and commit", [hops.queue_fill(501), hops.commit_lines(502), _written(), waiting(504)]),
        Row(600, "Resources", _resources(), collapsed=True),
    ]
    return framed(OVERVIEW, "Are postbacks healthy? The first row answers; the others say at which hop not.", rows)


def _objectives() -> list[Panel]:
    return [_failing(), _burning(), _slow(), hops.latency_heatmap(204), hops.latency_lines(205)]


def _failing() -> Panel:
    about = About(
        201,
        "Success rate against the objective",
        units.PercentUnit,
        "Share of postbacks that did not fail by our fault, over five minutes and one hour.",
        f"below the line of the objective, {AVAILABILITY:.1%}, for more than moments.",
        ("PostbackErrorSpike", "PostbackErrorsElevated", *BURN_ALERTS),
        (INTAKE,),
        NO_TRAFFIC,
    )
    queries = [
        Query(f"1 - {promql.recorded(f'job:postback_errors:ratio_rate{window}')}", f"{window} {{{{job}}}}")
        for window in ("5m", "1h")
    ]
    return timeseries_panel(
        about, *queries, Query("postback:objective:availability", "objective"), look=Look(from_zero=False)
    )


def _burning() -> Panel:
    about = About(
        202,
        "Error budget burn rate",
        units.Number,
        "How many times faster than allowed the error budget goes, over windows of different length. At 1 it lasts "
        f"exactly 30 days; at {BURN_PAGE} two days.",
        f"above {BURN_PAGE} somebody is paged; above {BURN_TICKET:.0f} for days it is a ticket.",
        ("PostbackErrorsElevated", *BURN_ALERTS),
        (INTAKE,),
        NO_TRAFFIC,
    )
    allowed = "(1 - scalar(postback:objective:availability))"
    queries = [
        Query(f"{promql.recorded(f'job:postback_errors:ratio_rate{window}')} / {allowed}", f"{window} {{{{job}}}}")
        for window in ("5m", "1h", "6h", "3d")
    ]
    return timeseries_panel(about, *queries, look=Look(limits=[(BURN_TICKET, ORANGE), (BURN_PAGE, RED)]))


def _slow() -> Panel:
    about = About(
        203,
        "Fast enough, against the objective",
        units.PercentUnit,
        f"Share of postbacks answered within {LATENCY_SECONDS} s, over five minutes and one hour.",
        f"below the line of the objective, {LATENCY:.0%}.",
        ("PostbackLatencyBurnFast", "PostbackLatencyBurnSlow"),
        (SERVICE,),
        NO_TRAFFIC,
    )
    queries = [
        Query(f"1 - {promql.recorded(f'job:postback_slow:ratio_rate{window}')}", f"{window} {{{{job}}}}")
        for window in ("5m", "1h")
    ]
    return timeseries_panel(
        about, *queries, Query("postback:objective:latency", "objective"), look=Look(from_zero=False)
    )


def _arrivals() -> Panel:
    about = About(
        301,
        "Postbacks arriving",
        units.RequestsPerSecond,
        "What came in, by door, counted on entry: what hangs is seen here and not yet among the outcomes.",
        "silence; or more arriving than getting an outcome.",
        ("PostbackTrafficStopped",),
        (INTAKE,),
    )
    return timeseries_panel(about, Query(promql.rate(ARRIVED, "door"), "{{door}}"))


_KEPT = ("conversion", "status_change", "duplicate", "rejected_postback")  # the spool has its own row


def _written() -> Panel:
    about = About(
        503,
        "Rows written, and drift",
        units.Short,
        "Rows that the database says it inserted, a second; and the difference between what was promised and written.",
        "drift other than 0: a receipt was given that the database does not have, or the other way round.",
        ("PostbackConservationDrift", "PostbackNothingStored"),
        (INTAKE,),
    )
    drift = f"max(abs({promql.series(CONSERVATION_DRIFT)}))"
    queries = [
        Query(promql.rate(ROWS_WRITTEN, "table", table="|".join(_KEPT)), "{{table}} a second"),
        Query(drift, "drift"),
    ]
    return timeseries_panel(about, *queries)


def _resources() -> list[Panel]:
    return [
        resources.processor(601),
        resources.memory(602),
        resources.disk_free(603),
        resources.loop_lag(604),
        hops.storage_errors(605),
        _lost_lines(),
    ]


def _lost_lines() -> Panel:
    about = About(
        606,
        "Log lines not written",
        units.OpsPerSecond,
        "Lines that were lost because the output was blocked, or kept back because too many alike came.",
        "above 0 without a flood of failures or rejections: whatever reads the log stands still.",
        ("PostbackLogLinesDropped",),
        (SERVICE,),
    )
    return timeseries_panel(
        about, Query(promql.most(promql.rate(LOG_DROPPED, "instance")), "{{instance}}"), size=MEDIUM
    )
