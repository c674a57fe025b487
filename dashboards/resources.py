"""Owns the panels of replicas and of what they stand on that more than one dashboard shows."""

from dashboards import promql
from dashboards.leads import SERVICE
from dashboards.panels import HALF, MEDIUM, RED, About, Look, Panel, Query, Size, states_panel, timeseries_panel
from dashboards.promql import START_TIME, UP
from dashboards.sdk import units
from service.telemetry.metrics.catalogue import EVENT_LOOP_LAG, READY, STORAGE_CAPACITY_BYTES, STORAGE_FREE_BYTES


def replicas(number: int, size: Size = HALF) -> Panel:
    """Return whether each replica answers and can store."""
    ready = promql.series(READY)
    up = promql.series(UP)
    about = About(
        number,
        "Replicas",
        units.Short,
        "Each replica: ready (a commit worked in the last seconds), up but not ready, or down. The five worst.",
        "anything but green. Orange: it answers, but cannot store (senders get 503). Red or a gap: it does not answer.",
        ("PostbackDown", "PostbackTargetDown", "PostbackNotReady", "PostbackReplicaNotReady"),
        (SERVICE,),
    )
    states = {2: ("ready", "green"), 1: ("not ready", "orange"), 0: ("down", "red")}
    query = promql.least(f"max by (instance) ({up} + on (job, instance) {ready} or {up})")
    return states_panel(about, Query(query, "{{instance}}"), states, size)


def disk_free(number: int, size: Size = MEDIUM) -> Panel:
    """Return how much room is left."""
    about = About(
        number,
        "Disk, share free",
        units.PercentUnit,
        "Free share of the file system that holds the database. The five fullest.",
        "below 0.1, or a line that falls steadily. At 0 nothing can be stored: every postback is answered 503.",
        ("PostbackDiskFilling", "PostbackDiskAlmostFull"),
        (SERVICE,),
    )
    free, whole = (
        promql.gauge(metric, "instance", how="min") for metric in (STORAGE_FREE_BYTES, STORAGE_CAPACITY_BYTES)
    )
    return timeseries_panel(about, Query(promql.least(promql.share(free, whole)), "{{instance}}"), size=size)


def loop_lag(number: int, size: Size = MEDIUM) -> Panel:
    """Return how late the event loop is."""
    about = About(
        number,
        "Event loop lag, p50 and p99",
        units.Seconds,
        "How much later than due a timer ran. Everything in a process waits for its event loop.",
        "p99 above 0.1 s: something blocks the loop, or the machine has no processor time left.",
        ("PostbackEventLoopBlocked",),
        (SERVICE,),
    )
    queries = [Query(promql.quantile(share, EVENT_LOOP_LAG), name) for share, name in ((0.5, "p50"), (0.99, "p99"))]
    return timeseries_panel(about, *queries, size=size, look=Look(limits=[(0.1, RED)]))


def memory(number: int, size: Size = MEDIUM) -> Panel:
    """Return the memory that processes hold."""
    about = About(
        number,
        "Memory",
        units.BytesIEC,
        "Resident memory of each process. The five largest.",
        "a line that only rises, or above 120 MB under load: it should be flat.",
        ("PostbackRestarting",),
        (SERVICE,),
    )
    return timeseries_panel(
        about, Query(promql.most(promql.gauge(promql.RESIDENT_MEMORY, "instance")), "{{instance}}"), size=size
    )


def processor(number: int, size: Size = MEDIUM) -> Panel:
    """Return the processor time that processes take."""
    about = About(
        number,
        "Processor time",
        units.PercentUnit,
        "Seconds of processor time a second; 1 is one whole core. The five busiest.",
        "near 1 for minutes: a process uses one core for its event loop, so answers begin to wait.",
        ("PostbackEventLoopBlocked",),
        (SERVICE,),
    )
    return timeseries_panel(
        about, Query(promql.most(promql.rate(promql.CPU_SECONDS, "instance")), "{{instance}}"), size=size
    )


def uptime(number: int, size: Size = MEDIUM) -> Panel:
    """Return how long processes have run."""
    about = About(
        number,
        "Time since start",
        units.Seconds,
        "How long each process has run: a fall to 0 is a restart. The five youngest.",
        "saw teeth: it restarts again and again. Its last log line says why; exit code 74 is storage.",
        ("PostbackRestarting",),
        (SERVICE,),
    )
    query = promql.least(promql.since(promql.gauge(START_TIME, "instance", how="max")))
    return timeseries_panel(about, Query(query, "{{instance}}"), size=size)
