"""Owns the row of the spool: is it in use, how much waits, how long does it last, what became of what waited."""

from dashboards import promql
from dashboards.leads import INTAKE, SERVICE
from dashboards.panels import (
    HALF,
    MEDIUM,
    ORANGE,
    RED,
    About,
    Look,
    Panel,
    Query,
    Size,
    states_panel,
    timeseries_panel,
)
from dashboards.sdk import units
from service.telemetry.metrics.catalogue import (
    ROWS_WRITTEN,
    SPOOL_ACTIVE,
    SPOOL_BYTES,
    SPOOL_CAPACITY_BYTES,
    SPOOL_DRAINED,
    SPOOL_ENTRIES,
    SPOOL_INHERITED,
    SPOOL_OLDEST,
    SPOOL_RECOGNISED,
    SPOOL_USABLE,
)

STATES = {0: ("no spool", "text"), 1: ("standing by", "green"), 3: ("spooling", "orange"), 2: ("broken", "red")}


def spool() -> list[Panel]:
    """Return the row."""
    return [_state(), waiting(802, HALF), _fill(), _oldest(), _moved(), _drained()]


def waiting(number: int, size: Size = MEDIUM) -> Panel:
    """Return how many postbacks wait for the database."""
    about = About(
        number,
        "Spool, postbacks waiting",
        units.Short,
        "Postbacks that were answered and wait in a replica's own journal for the database. The five with most.",
        "anything above 0: the database is or was away. It should fall as soon as the database is back.",
        ("PostbackSpooling", "PostbackSpoolFilling"),
        (INTAKE,),
    )
    return timeseries_panel(
        about, Query(promql.most(promql.gauge(SPOOL_ENTRIES, "instance")), "{{instance}}"), size=size
    )


def _state() -> Panel:
    about = About(
        801,
        "Spool, state",
        units.Short,
        "standing by: the database takes everything. spooling: it is away and newcomers are spooled at once. broken: "
        "it is away and the spool cannot be used, so senders get 503. no spool: SQLite, SPOOL=off, or an I/O error. "
        "The five most in need.",
        "spooling for more than moments; broken at once.",
        ("PostbackSpooling", "PostbackSpoolUnusable"),
        (SERVICE,),
    )
    usable, active = (promql.gauge(metric, "instance", how="max") for metric in (SPOOL_USABLE, SPOOL_ACTIVE))
    return states_panel(about, Query(promql.most(f"{usable} + 2 * {active}"), "{{instance}}"), STATES)


def _fill() -> Panel:
    about = About(
        803,
        "Spool, share filled",
        units.PercentUnit,
        "Bytes that wait, of those that may (SPOOL_MAX_BYTES, or what the disk has left). The five fullest.",
        "above 0.5, or a line that will reach 1 before the database is back: then postbacks are answered 503.",
        ("PostbackSpoolFilling", "PostbackSpoolAlmostFull"),
        (SERVICE,),
    )
    taken, whole = (promql.gauge(metric, "instance") for metric in (SPOOL_BYTES, SPOOL_CAPACITY_BYTES))
    query = Query(promql.most(f"{taken} / clamp_min({whole}, 1)"), "{{instance}}")
    return timeseries_panel(about, query, look=Look(limits=[(0.5, ORANGE), (0.9, RED)]))


def _oldest() -> Panel:
    about = About(
        804,
        "Spool, oldest postback",
        units.Seconds,
        "How long the oldest spooled postback has waited; 0 if none waits. The five longest.",
        "it grows while the database is well: the drain is stuck; the log says at which entry.",
        ("PostbackSpooling",),
        (SERVICE,),
    )
    oldest = promql.gauge(SPOOL_OLDEST, "instance", how="max")
    return timeseries_panel(about, Query(promql.most(promql.since(oldest)), "{{instance}}"))


def _moved() -> Panel:
    about = About(
        805,
        "Spool, coming and going",
        units.RequestsPerSecond,
        "in: postbacks spooled. out: moved to the database. Out should be at least twice in when the database is back.",
        "in above 0 while the database is well: it is slower than what arrives.",
        ("PostbackSpooling", "PostbackSpoolFilling"),
    )
    queries = [
        Query(promql.rate(ROWS_WRITTEN, table="spool"), "in"),
        Query(promql.rate(SPOOL_DRAINED), "out"),
        Query(promql.rate(SPOOL_INHERITED), "out, of earlier processes"),
    ]
    return timeseries_panel(about, *queries)


def _drained() -> Panel:
    about = About(
        806,
        "Drained, by what became of them",
        units.RequestsPerSecond,
        "stored, updated, duplicate; kept: rejected (as the sender was told at once), conflicts, statuses that may "
        "not follow or are unknown. recognised: its row was in the database already.",
        "kept: a sender sent one key with two values, or a status out of order, around the outage.",
        ("PostbackConflicts",),
    )
    queries = [
        Query(promql.rate(SPOOL_DRAINED, "outcome", outcome="stored|updated|duplicate"), "{{outcome}}"),
        Query(promql.rate(SPOOL_DRAINED, outcome="conflict|illegal_transition|invalid_status|rejected"), "kept"),
        Query(promql.rate(SPOOL_RECOGNISED), "recognised"),
    ]
    return timeseries_panel(about, *queries)
