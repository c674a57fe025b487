"""Owns the row of retention: what is deleted, why, by which clock, and how much room rejected postbacks have left."""

from dashboards import promql
from dashboards.leads import INTAKE
from dashboards.panels import MEDIUM, ORANGE, RED, About, Look, Panel, Query, states_panel, timeseries_panel
from dashboards.promql import MOST
from dashboards.sdk import units
from service.telemetry.metrics.catalogue import (
    DELETED_ROWS,
    NOT_KEPT,
    REJECTED_BYTES,
    REJECTED_CAPACITY_BYTES,
    RETENTION_CLOCK_SUSPECT,
)

CLOCK = {0: ("believed", "green"), 1: ("suspect", "orange")}


def retention() -> list[Panel]:
    """Return the row."""
    return [_deleted(), _fill(), _not_kept(), _clock()]


def _deleted() -> Panel:
    about = About(
        601,
        "Rows deleted, by table and reason",
        units.RowsPerSecond,
        "age: older than is kept. size: rejected postbacks beyond POSTBACK_REJECTED_MAX_BYTES, replayed or of nobody "
        f"known. size_known: the same of known senders, never replayed. The {MOST} most.",
        "size for long: somebody floods us with garbage. size_known at all: what a person may still want is lost.",
        ("PostbackRejectionsEvicted", "PostbackRejectionSpike"),
        (INTAKE,),
    )
    query = Query(promql.busiest(DELETED_ROWS, "table", "reason"), "{{table}} {{reason}}")
    return timeseries_panel(about, query, size=MEDIUM)


def _fill() -> Panel:
    about = About(
        602,
        "Rejected postbacks, share of their room",
        units.PercentUnit,
        "Bytes that kept rejections take, of those that they may (POSTBACK_REJECTED_MAX_BYTES), measured every few "
        f"seconds by each replica. The {MOST} fullest; above 1 the oldest go, down to 0.9.",
        "a line that climbs to 1 within hours: look who sends it. Much above 1: it comes faster than it is deleted.",
        ("PostbackRejectionsEvicted", "PostbackDiskFilling"),
        (INTAKE,),
    )
    taken, whole = (promql.gauge(it, "instance") for it in (REJECTED_BYTES, REJECTED_CAPACITY_BYTES))
    query = Query(promql.most(f"{taken} / clamp_min({whole}, 1)"), "{{instance}}")
    return timeseries_panel(about, query, size=MEDIUM, look=Look(limits=[(0.9, ORANGE), (1.1, RED)]))


def _not_kept() -> Panel:
    about = About(
        604,
        "Rejected postbacks not kept, by reason",
        units.RowsPerSecond,
        "sampled, strangers_full: of unknown senders, more than their share; a sample is kept. sender_full: of a known "
        "sender, faster than room is made. All of them are counted in the table deletion.",
        "sender_full at all: what a person may still want is lost. The others for long: somebody floods us.",
        ("PostbackRejectionsEvicted", "PostbackRejectionSpike"),
        (INTAKE,),
    )
    return timeseries_panel(about, Query(promql.rate(NOT_KEPT, "reason"), "{{reason}}"), size=MEDIUM)


def _clock() -> Panel:
    about = About(
        603,
        "Retention, clock",
        units.Short,
        "suspect: the clock is more than 30 days ahead of when one was last believed, so nothing is deleted, for age "
        "or for size, until a person has looked. The five most in need.",
        "suspect at all: is the clock wrong? If it is right, `doctor --accept-clock` says so.",
        ("PostbackRetentionClockSuspect",),
        (INTAKE,),
    )
    suspect = promql.gauge(RETENTION_CLOCK_SUSPECT, "instance", how="max")
    return states_panel(about, Query(promql.most(suspect), "{{instance}}"), CLOCK, MEDIUM)
