"""Owns the first row of the overview: replicas, firing alerts, and the numbers that answer "is it healthy?"."""

from dashboards import hops, promql, resources
from dashboards.leads import INTAKE, SERVICE
from dashboards.objectives import AVAILABILITY, LATENCY, LATENCY_SECONDS
from dashboards.panels import GREEN, ORANGE, RED, About, Panel, Query, Size, stat_panel, table_panel
from dashboards.sdk import units
from service.telemetry.metrics.catalogue import HTTP_SECONDS, LAST_STORED, RECEIVED, SENDER_RECEIVED

EVERYTHING = float("-inf")
BURN_ALERTS = ("PostbackErrorBudgetBurnFast", "PostbackErrorBudgetBurn", "PostbackErrorBudgetBurnSlow")
SEVERITIES = {"critical": RED, "warning": ORANGE}
NO_TRAFFIC = "no traffic"


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
    columns = ["alertname", "severity", "instance", "outcome", "sender", "error", "route", "code"]
    return table_panel(about, Query(promql.FIRING, ""), columns, words=SEVERITIES, size=Size(12, 6))


def headlines() -> list[Panel]:
    """Return the row that says in five seconds whether postbacks are healthy."""
    above = [resources.replicas(101, Size(12, 6)), _firing()]
    return [*above, _traffic(), _success(), _budget(), _p99(), _rejected_share(), _last_stored()]


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
