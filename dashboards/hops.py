"""Owns the panels that more than one dashboard shows, hop by hop in the order in which a postback passes them."""

from dashboards import promql
from dashboards.leads import INTAKE, SERVICE, log_lines
from dashboards.objectives import LATENCY_SECONDS
from dashboards.panels import (
    GREEN,
    HALF,
    MEDIUM,
    RED,
    YELLOW,
    About,
    Look,
    Panel,
    Query,
    Size,
    heatmap_panel,
    timeseries_panel,
)
from dashboards.promql import MOST
from dashboards.sdk import units
from service.core.outcome import Family, Outcome
from service.telemetry.metrics.catalogue import (
    COMMIT_SECONDS,
    HTTP_RESPONSES,
    HTTP_SECONDS,
    OLDEST_QUEUED,
    QUEUE_CAPACITY,
    QUEUE_DEPTH,
    RECEIVED,
    SENDER_RECEIVED,
    SINGLE_ROUTES,
    STORAGE_ERRORS,
)

DOORS = "|".join(SINGLE_ROUTES)
FAMILIES = {Family.ACCEPTED.value: GREEN, Family.REJECTED.value: YELLOW, Family.FAILED.value: RED}
OUTCOME_LOGS = '{service_name="postback", outcome="${__field.labels.outcome}"}'
SLOW_LOGS = '{service_name="postback"} | json | duration_ms > 250'


def hints(outcomes: list[Outcome]) -> str:
    """Return what each outcome asks of its sender, as a list."""
    return "\n".join(f"- `{outcome.value}`: {outcome.hint}" for outcome in outcomes)


def families(number: int, size: Size = MEDIUM) -> Panel:
    """Return the postbacks by whose turn it is next."""
    about = About(
        number,
        "Postbacks by family",
        units.RequestsPerSecond,
        "accepted: stored, or known already. rejected: the sender's mistake, or a status that may not follow; kept "
        "with its raw input. failed: ours.",
        "any failed at all; rejected that grows while accepted falls (a sender's template broke); silence.",
        ("PostbackErrorSpike", "PostbackRejectionSpike", "PostbackTrafficStopped"),
        (INTAKE,),
    )
    return timeseries_panel(
        about,
        Query(promql.rate(SENDER_RECEIVED, "family"), "{{family}}"),
        size=size,
        look=Look(colours=FAMILIES),
    )


def codes(number: int, size: Size = MEDIUM) -> Panel:
    """Return what the doors answered."""
    about = About(
        number,
        "Response codes at the doors",
        units.RequestsPerSecond,
        f"HTTP answers of {', '.join(SINGLE_ROUTES)}: the {MOST} most frequent codes. A pixel is always answered 200.",
        "5xx: our fault, senders try again. 4xx that grows: a sender gives up these conversions.",
        ("PostbackUnexpectedResponses", "PostbackErrorSpike"),
        (INTAKE,),
    )
    return timeseries_panel(
        about,
        Query(promql.busiest(HTTP_RESPONSES, "code", route=DOORS), "{{code}}"),
        size=size,
    )


def latency_heatmap(number: int, size: Size = HALF) -> Panel:
    """Return how long answers took."""
    about = About(
        number,
        "Latency of postbacks, spread",
        units.Seconds,
        "From the headers to the end of the answer. Dots are single slow requests; each leads to its log lines.",
        f"a second band above {LATENCY_SECONDS} s, the objective. At 2 s some senders hang up.",
        ("PostbackLatencyBurnFast", "PostbackLatencyBurnSlow"),
        (INTAKE,),
    )
    return heatmap_panel(about, Query(promql.buckets(HTTP_SECONDS, route=DOORS), "{{le}}", exemplars=True), size)


def latency_lines(number: int, size: Size = HALF) -> Panel:
    """Return the median and the slowest hundredth, with the objective."""
    about = About(
        number,
        "Latency of postbacks, p50 and p99",
        units.Seconds,
        f"Half of the answers are faster than p50, all but one in a hundred than p99. Dashed: {LATENCY_SECONDS} s.",
        "p99 above the dashed line. If commit latency follows, the disk is slow; if not, look at the event loop.",
        ("PostbackLatencyBurnFast", "PostbackLatencyBurnSlow"),
        (SERVICE,),
    )
    queries = [
        Query(promql.quantile(0.5, HTTP_SECONDS, route=DOORS), "p50"),
        Query(promql.quantile(0.99, HTTP_SECONDS, route=DOORS), "p99", exemplars=True),
    ]
    return timeseries_panel(
        about, *queries, size=size, look=Look(limits=[(LATENCY_SECONDS, RED)], links=[log_lines(SLOW_LOGS)])
    )


def rejections(number: int, size: Size = MEDIUM) -> Panel:
    """Return the outcomes that senders should mend, the most frequent."""
    rejected = [outcome for outcome in Outcome if outcome.family is Family.REJECTED]
    about = About(
        number,
        "Rejections by outcome",
        units.RequestsPerSecond,
        f"The {MOST} outcomes that were most in the time shown. The sender was told what to mend; the input is kept.",
        "one outcome that grows: a sender or tracker changed something. Every outcome with its hint is on Intake.",
        ("PostbackRejectionSpike",),
        (INTAKE,),
    )
    query = Query(promql.busiest(RECEIVED, "outcome", outcome=promql.any_of(rejected)), "{{outcome}}", exemplars=True)
    return timeseries_panel(about, query, size=size, look=Look(links=[log_lines(OUTCOME_LOGS)]))


def senders(number: int, size: Size = MEDIUM) -> Panel:
    """Return who sends."""
    about = About(
        number,
        "Postbacks by sender",
        units.RequestsPerSecond,
        f"The {MOST} senders that sent most in the time shown. unknown: not let in.",
        "a sender's line that ends while the others go on; unknown that grows.",
        ("PostbackSenderSilent", "PostbackTrafficStopped"),
        (INTAKE,),
    )
    return timeseries_panel(about, Query(promql.busiest(SENDER_RECEIVED, "sender"), "{{sender}}"), size=size)


def queue_fill(number: int, size: Size = MEDIUM) -> Panel:
    """Return how full the queue is."""
    about = About(
        number,
        "Queue, share filled",
        units.PercentUnit,
        "Postbacks waiting for a commit, of those that may wait. The five fullest replicas.",
        "above 0.8: storage is slower than what arrives. At 1 postbacks are refused as overloaded (503).",
        ("PostbackQueueSaturated",),
        (INTAKE,),
    )
    depth, capacity = (promql.gauge(metric, "instance") for metric in (QUEUE_DEPTH, QUEUE_CAPACITY))
    query = Query(promql.most(f"{depth} / {capacity}"), "{{instance}}")
    return timeseries_panel(about, query, size=size, look=Look(limits=[(0.8, RED)]))


def oldest_wait(number: int, size: Size = MEDIUM) -> Panel:
    """Return how long the oldest postback waits."""
    about = About(
        number,
        "Oldest waiting postback",
        units.Seconds,
        "How long the postback at the head of the queue has waited; 0 if none waits. The five longest.",
        "above 0.5 s: a commit hangs. At 1.5 s the sender is told 503.",
        ("PostbackQueueSaturated", "PostbackNotReady"),
        (INTAKE,),
    )
    query = Query(promql.most(promql.waited(OLDEST_QUEUED, "instance")), "{{instance}}")
    return timeseries_panel(about, query, size=size, look=Look(limits=[(0.5, RED)]))


def commit_lines(number: int, size: Size = MEDIUM) -> Panel:
    """Return how long commits take."""
    about = About(
        number,
        "Commit latency, p50 and p99",
        units.Seconds,
        f"Seconds to make one batch durable, the disk's fsync included. Dashed: the objective of the whole answer, "
        f"{LATENCY_SECONDS} s.",
        "p99 above 0.1 s: the disk is slow or shared; every answer waits for it.",
        ("PostbackLatencyBurnFast", "PostbackStorageErrors"),
        (SERVICE,),
    )
    queries = [
        Query(promql.quantile(0.5, COMMIT_SECONDS), "p50"),
        Query(promql.quantile(0.99, COMMIT_SECONDS), "p99"),
    ]
    return timeseries_panel(about, *queries, size=size, look=Look(limits=[(LATENCY_SECONDS, RED)]))


def storage_errors(number: int, size: Size = MEDIUM) -> Panel:
    """Return what storage complains of."""
    about = About(
        number,
        "Storage errors",
        units.OpsPerSecond,
        f"Failed storage operations by class, the {MOST} that were most. SQLITE_FULL: no space. SQLITE_BUSY: another "
        "program holds the lock. TIMEOUT: the disk hangs. MOVED: the file was taken away.",
        "anything above 0: these postbacks were answered 503.",
        ("PostbackStorageErrors", "PostbackNotReady"),
        (SERVICE,),
    )
    return timeseries_panel(
        about, Query(promql.busiest(STORAGE_ERRORS, "operation", "error"), "{{operation}} {{error}}"), size=size
    )
