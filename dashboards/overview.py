"""Owns the dashboard that is opened first: are postbacks healthy, and if not, at which hop do they stop."""

from dashboards import hops, promql
from dashboards.frame import Row, framed
from dashboards.leads import INTAKE, OVERVIEW, SERVICE
from dashboards.objectives import AVAILABILITY, BURN_PAGE, BURN_TICKET, LATENCY, LATENCY_SECONDS
from dashboards.panels import (
    GREEN,
    HALF,
    MEDIUM,
    ORANGE,
    RED,
    About,
    Look,
    Panel,
    Query,
    Size,
    stat_panel,
    table_panel,
    timeseries_panel,
)
from dashboards.sdk import models, units
from service.metrics.catalogue import (
    ARRIVED,
    CONSERVATION_DRIFT,
    HTTP_SECONDS,
    LAST_STORED,
    LOG_DROPPED,
    RECEIVED,
    ROWS_WRITTEN,
    SENDER_RECEIVED,
)

EVERYTHING = float("-inf")
BURN_ALERTS = ("PostbackErrorBudgetBurnFast", "PostbackErrorBudgetBurn", "PostbackErrorBudgetBurnSlow")
NO_TRAFFIC = "no traffic"


def overview() -> models.Dashboard:
    """Return the dashboard "Postbacks overview"."""
    rows = [
        Row(100, "Is it healthy?", [hops.replicas(101, Size(12, 6)), _firing(), *_headlines()]),
        Row(200, "Objectives", _objectives()),
        Row(300, "Doors", [_arrivals(), hops.families(302), hops.codes(303)]),
        Row(400, "Authenticate and parse", [hops.rejections(401, HALF), hops.senders(402, HALF)]),
        Row(500, "Queue and commit", [hops.queue_fill(501), hops.commit_lines(502), _written()]),
        Row(600, "Resources", _resources(), collapsed=True),
    ]
    return framed(OVERVIEW, "Are postbacks healthy? The first row answers; the others say at which hop not.", rows)


def _firing() -> Panel:
    about = About(
        102,
        "Firing alerts",
        units.Short,
        "What Prometheus raises now. critical wakes somebody; warning is for office hours.",
        "any row. The heading in alerts/runbook.md has the alert's name in lower case.",
        ("PostbackDown", "PostbackErrorSpike", "PostbackRejectionSpike"),
        (INTAKE, SERVICE),
        empty="nothing fires",
    )
    columns = ["alertname", "severity", "instance", "outcome", "sender"]
    return table_panel(about, Query(promql.FIRING, ""), columns, size=Size(12, 6))


def _headlines() -> list[Panel]:
    return [_traffic(), _success(), _budget(), _p99(), _rejected_share(), _last_stored()]


def _traffic() -> Panel:
    about = About(
        103,
        "Postbacks a second",
        units.RequestsPerSecond,
        "All postbacks with an outcome, whatever became of them.",
        "0 at an hour that had traffic last week.",
        ("PostbackTrafficStopped", "PostbackSenderSilent"),
        (INTAKE,),
        NO_TRAFFIC,
    )
    return stat_panel(about, Query(promql.rate(RECEIVED, "job"), "{{job}}"))


def _success() -> Panel:
    about = About(
        104,
        "Success rate, 30 days",
        units.PercentUnit,
        f"Share of postbacks that did not fail by our fault. The objective is {AVAILABILITY:.1%}; senders' mistakes do "
        "not count.",
        "red: below the objective.",
        BURN_ALERTS,
        (INTAKE,),
        NO_TRAFFIC,
    )
    query = Query(f"1 - {promql.recorded('job:postback_errors:ratio_rate30d')}", "{{job}}")
    return stat_panel(about, query, limits=[(EVERYTHING, RED), (AVAILABILITY, GREEN)])


def _budget() -> Panel:
    about = About(
        105,
        "Error budget left, 30 days",
        units.PercentUnit,
        f"What is left of the {1 - AVAILABILITY:.1%} that may fail in 30 days. 100 %: untouched.",
        "orange: half is gone; be careful with changes. Red: all of it; only changes that mend.",
        BURN_ALERTS,
        (INTAKE,),
        NO_TRAFFIC,
    )
    query = Query(promql.recorded("job:postback_error_budget:remaining"), "{{job}}")
    return stat_panel(about, query, limits=[(EVERYTHING, RED), (0.001, ORANGE), (0.5, GREEN)])


def _p99() -> Panel:
    about = About(
        106,
        "p99 latency",
        units.Seconds,
        f"99 of 100 postbacks are answered faster. The objective is {LATENCY_SECONDS} s for {LATENCY:.0%}.",
        f"red: above {LATENCY_SECONDS} s.",
        ("PostbackLatencyBurnFast", "PostbackLatencyBurnSlow"),
        (SERVICE,),
        NO_TRAFFIC,
    )
    query = Query(f"{promql.quantile(0.99, HTTP_SECONDS, 'job', route=hops.DOORS)} >= 0", "{{job}}")
    return stat_panel(about, query, limits=[(LATENCY_SECONDS, RED)])


def _rejected_share() -> Panel:
    about = About(
        107,
        "Rejected share",
        units.PercentUnit,
        "Share of postbacks with a mistake of the sender's. It is kept, and the sender was told what to mend.",
        "orange: above 10 %. One sender's broken template is enough; Intake says which outcome.",
        ("PostbackRejectionSpike",),
        (INTAKE,),
        NO_TRAFFIC,
    )
    rejected, whole = promql.rate(SENDER_RECEIVED, "job", family="rejected"), promql.rate(SENDER_RECEIVED, "job")
    return stat_panel(about, Query(promql.share(rejected, whole), "{{job}}"), limits=[(0.1, ORANGE)])


def _last_stored() -> Panel:
    about = About(
        108,
        "Last conversion stored",
        units.Seconds,
        "How long ago any replica stored a conversion.",
        "it grows while postbacks arrive.",
        ("PostbackNothingStored", "PostbackTrafficStopped"),
        (INTAKE,),
        "nothing stored yet",
    )
    return stat_panel(about, Query(f"time() - ({promql.gauge(LAST_STORED, 'job', how='max')} > 0)", "{{job}}"))


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
    queries = [Query(promql.rate(ROWS_WRITTEN, "table"), "{{table}} a second"), Query(drift, "drift")]
    return timeseries_panel(about, *queries)


def _resources() -> list[Panel]:
    return [
        hops.processor(601),
        hops.memory(602),
        hops.disk_free(603),
        hops.loop_lag(604),
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
