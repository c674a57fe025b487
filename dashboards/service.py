"""Owns the dashboard of the processes: replicas, processor, memory, files, event loop, storage, log, certificate."""

from dashboards import hops, promql, resources
from dashboards.frame import Row, framed
from dashboards.leads import INTAKE, SERVICE, log_lines
from dashboards.panels import (
    BLUE,
    GREEN,
    HALF,
    MEDIUM,
    ORANGE,
    RED,
    YELLOW,
    About,
    Look,
    Panel,
    Query,
    heatmap_panel,
    stat_panel,
    table_panel,
    timeseries_panel,
)
from dashboards.promql import MOST
from dashboards.retention import retention
from dashboards.sdk import models, units
from service.telemetry.metrics.catalogue import (
    BATCH_ROOM_BYTES,
    BATCH_ROOM_CAPACITY_BYTES,
    BUILD_INFO,
    CERTIFICATE_EXPIRY,
    CONNECTIONS,
    CONNECTIONS_CAPACITY,
    EVENT_LOOP_LAG,
    LOG_DROPPED,
    LOG_LINES,
    LOG_RATE_LIMITED,
    STORAGE_FILE_BYTES,
    STORAGE_FREE_BYTES,
    WORKER_RESTARTS,
)

DAY = 86_400
LEVELS = {"debug": BLUE, "info": GREEN, "warning": YELLOW, "error": ORANGE, "critical": RED}
LEVEL_LOGS = '{service_name="postback", level="${__field.labels.level}"}'


def service() -> models.Dashboard:
    """Return the dashboard "Service"."""
    processes = [
        resources.replicas(101),
        _versions(),
        resources.uptime(103),
        resources.processor(104),
        resources.memory(105),
        _worker_deaths(),
    ]
    rows = [
        Row(100, "Processes", processes),
        Row(
            200, "Event loop and files", [_lag_heatmap(), resources.loop_lag(202, HALF), _open_files(), _certificate()]
        ),
        Row(
            300,
            "Storage",
            [_files(), _free(), resources.disk_free(303), hops.commit_lines(304, HALF), hops.storage_errors(305, HALF)],
        ),
        Row(600, "Retention", retention(), collapsed=True),
        Row(400, "Log", [_lines(), _dropped(), _rate_limited()]),
        Row(500, "Python", [_collections(), _virtual_memory()], collapsed=True),
    ]
    return framed(SERVICE, "The processes and what they stand on: is it the machine, the disk, or the program?", rows)


def _versions() -> Panel:
    about = About(
        102,
        "Versions",
        units.Short,
        "Which build each replica runs.",
        "two versions for longer than a rollout takes; a revision that nobody released.",
        ("PostbackRestarting",),
    )
    query = Query(promql.gauge(BUILD_INFO, "instance", "version", "revision", how="max"), "")
    return table_panel(about, query, ["instance", "version", "revision"])


def _worker_deaths() -> Panel:
    about = About(
        106,
        "Workers that died",
        units.Short,
        f"Deaths within the time shown, each followed by a new start (POSTBACK_WORKERS above 1). The {MOST} highest.",
        "any at all. The supervisor's line worker_died has the exit code: -9 is a kill, mostly for memory.",
        ("PostbackWorkerDied",),
    )
    query = Query(promql.most(promql.increase(WORKER_RESTARTS, "instance")), "{{instance}}")
    return timeseries_panel(about, query, size=MEDIUM)


def _lag_heatmap() -> Panel:
    about = About(
        201,
        "Event loop lag, spread",
        units.Seconds,
        "How much later than due a timer ran, tried four times a second.",
        "a band above 0.1 s: everything waits, health checks included.",
        ("PostbackEventLoopBlocked",),
    )
    return heatmap_panel(about, Query(promql.buckets(EVENT_LOOP_LAG), "{{le}}"))


def _open_files() -> Panel:
    about = About(
        203,
        "Files, connections, batches: share used",
        units.PercentUnit,
        "Open files, connections and bytes of batches, of those that a process may have; of the process that has most.",
        "above 0.8, or a line that only rises: connections are not closed. At 1 the one that waits longest goes for "
        "each newcomer; batches are told 503.",
        ("PostbackFileDescriptorsLow",),
    )
    shares = [
        ("files", promql.OPEN_FILES, promql.MAX_FILES),
        ("connections", CONNECTIONS, CONNECTIONS_CAPACITY),
        ("batches", BATCH_ROOM_BYTES, BATCH_ROOM_CAPACITY_BYTES),
    ]
    queries = [
        Query(
            f"topk(1, {promql.gauge(taken, 'instance')} / {promql.gauge(most, 'instance')})", f"{name} {{{{instance}}}}"
        )
        for name, taken, most in shares
    ]
    return timeseries_panel(about, *queries, size=HALF, look=Look(limits=[(0.8, RED)]))


def _certificate() -> Panel:
    about = About(
        204,
        "Certificate, time left",
        units.Seconds,
        "Until the TLS certificate that the service itself serves ends. A proxy's certificate is not seen here.",
        "below 14 days. When it is over, every sender's connection fails, and nothing is counted.",
        ("PostbackCertificateExpiring",),
    )
    ends = promql.gauge(CERTIFICATE_EXPIRY, "instance", how="min")
    query = Query(promql.least(f"{ends} - time() * ({ends} > bool 0)"), "{{instance}}")
    limits = [(float("-inf"), RED), (3 * DAY, ORANGE), (14 * DAY, GREEN)]
    return stat_panel(about, query, limits=limits, zero="no TLS here", size=HALF)


def _files() -> Panel:
    about = About(
        301,
        "Database files",
        units.BytesIEC,
        f"Size of the database and of its write-ahead log (wal). The {MOST} largest.",
        "a wal that grows and does not shrink: a long reader keeps it from being folded in.",
        ("PostbackWalGrowing", "PostbackDiskFilling"),
    )
    query = Query(promql.most(promql.gauge(STORAGE_FILE_BYTES, "instance", "file")), "{{file}} {{instance}}")
    return timeseries_panel(about, query)


def _free() -> Panel:
    about = About(
        302,
        "Disk, bytes free",
        units.BytesIEC,
        "Room on the file system that holds the database. The five fullest.",
        "a straight line down: the alert says when it ends.",
        ("PostbackDiskFilling", "PostbackDiskAlmostFull"),
    )
    query = Query(promql.least(promql.gauge(STORAGE_FREE_BYTES, "instance", how="min")), "{{instance}}")
    return timeseries_panel(about, query)


def _lines() -> Panel:
    about = About(
        401,
        "Log lines by level",
        units.OpsPerSecond,
        "Lines made: info for each accepted postback, warning for each rejected one, error for our faults.",
        "error or critical above 0. Follow the link to the lines.",
        ("PostbackErrorSpike", "PostbackStorageErrors"),
        (INTAKE,),
    )
    query = Query(promql.rate(LOG_LINES, "level"), "{{level}}")
    return timeseries_panel(about, query, look=Look(links=[log_lines(LEVEL_LOGS)], colours=LEVELS))


def _dropped() -> Panel:
    about = About(
        402,
        "Lines lost and kept back",
        units.OpsPerSecond,
        "not written: all of them. kept back: those of them of which too many came in a second. The postbacks are "
        "counted and stored all the same.",
        "more not written than kept back: the output is blocked.",
        ("PostbackLogLinesDropped",),
    )
    queries = [Query(promql.rate(LOG_DROPPED), "not written"), Query(promql.rate(LOG_RATE_LIMITED), "kept back")]
    return timeseries_panel(about, *queries)


def _rate_limited() -> Panel:
    about = About(
        403,
        "Floods, by event and outcome",
        units.OpsPerSecond,
        f"Lines kept back because too many alike came. The {MOST} most.",
        "anything above 0: there is a flood of this outcome; Intake shows it in full.",
        ("PostbackRejectionSpike", "PostbackErrorSpike"),
        (INTAKE,),
    )
    query = Query(promql.busiest(LOG_RATE_LIMITED, "event", "outcome"), "{{event}} {{outcome}}")
    return timeseries_panel(about, query)


def _collections() -> Panel:
    about = About(
        501,
        "Garbage collections",
        units.OpsPerSecond,
        "Python's collector, by generation.",
        "generation 2 every second: memory is made and thrown away in circles.",
        ("PostbackEventLoopBlocked",),
    )
    return timeseries_panel(about, Query(promql.rate(promql.GC_COLLECTIONS, "generation"), "{{generation}}"), size=HALF)


def _virtual_memory() -> Panel:
    about = About(
        502,
        "Virtual memory",
        units.BytesIEC,
        f"Address space of each process. The {MOST} largest.",
        "it says little alone; beside a resident memory that rises, it tells a leak from a cache.",
        ("PostbackRestarting",),
    )
    query = Query(promql.most(promql.gauge(promql.VIRTUAL_MEMORY, "instance")), "{{instance}}")
    return timeseries_panel(about, query, size=HALF)
