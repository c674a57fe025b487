"""Owns the dashboard of the way of a postback: doors, authenticate, parse by outcome, queue, commit, spool, books."""

from http import HTTPStatus

from dashboards import hops, promql
from dashboards.books import books
from dashboards.frame import Row, framed
from dashboards.leads import INTAKE, SERVICE, log_lines
from dashboards.panels import (
    GREEN,
    HALF,
    MEDIUM,
    ORANGE,
    RED,
    WIDE,
    About,
    Look,
    Panel,
    Query,
    Size,
    heatmap_panel,
    stat_panel,
    timeseries_panel,
)
from dashboards.promql import MOST
from dashboards.sdk import models, units
from dashboards.spool import spool
from service.core.outcome import Family, Outcome
from service.telemetry.metrics.catalogue import (
    ARRIVED,
    COMMIT_ROWS,
    COMMIT_SECONDS,
    HTTP_IN_FLIGHT,
    HTTP_RESPONSES,
    HTTP_SECONDS,
    IN_PROGRESS,
    KEY_EXPIRY,
    MISTAKES,
    RECEIVED,
    SENDER_RECEIVED,
    TEST_RECEIVED,
    UNPARSED,
    WOULD_REJECT,
)

ACCESS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
REJECTED = [outcome for outcome in Outcome if outcome.family is Family.REJECTED]
TURNED_AWAY = [outcome for outcome in REJECTED if outcome.status in ACCESS]
UNREADABLE = [outcome for outcome in REJECTED if outcome.status not in ACCESS]
PER_PANEL = 4
DAY = 86_400


def intake() -> models.Dashboard:
    """Return the dashboard "Intake"."""
    latency = [hops.latency_heatmap(106), hops.latency_lines(107)]
    commit = [_commit_heatmap(), hops.commit_lines(602, HALF), _batches(), hops.storage_errors(604, HALF)]
    rows = [
        Row(100, "Doors", [_arrivals(), _under_way(), hops.codes(103), *_away(), *latency]),
        Row(
            200,
            "Authenticate",
            [hops.senders(201), _rejected_by_sender(), _turned_away(), _would_reject(), _key_expiry()],
        ),
        Row(300, "Parse, by outcome", [hops.rejections(301, HALF), _mistakes(), *_unreadable()]),
        Row(400, "Outcomes", [hops.families(401), _accepted(), _failed(), _tests()]),
        Row(500, "Queue", [hops.queue_fill(501), hops.oldest_wait(502), _refused()]),
        Row(600, "Commit", commit),
        Row(800, "Spool", spool(), collapsed=True),
        Row(700, "Books", books(), collapsed=True),
    ]
    return framed(INTAKE, "The way of a postback, hop by hop: where does it stop, and what was the sender told?", rows)


def _outcomes(about: About, outcomes: list[Outcome], size: Size = MEDIUM) -> Panel:
    """Return a line for each outcome, and what each tells its sender."""
    query = Query(promql.rate(RECEIVED, "outcome", outcome=promql.any_of(outcomes)), "{{outcome}}", exemplars=True)
    return timeseries_panel(about, query, size=size, look=Look(links=[log_lines(hops.OUTCOME_LOGS)]))


def _arrivals() -> Panel:
    about = About(
        101,
        "Arriving, by door",
        units.RequestsPerSecond,
        "Postbacks counted on entry.",
        "silence while senders say that they send: look at DNS, the proxy and the certificate.",
        ("PostbackTrafficStopped", "PostbackCertificateExpiring"),
    )
    return timeseries_panel(about, Query(promql.rate(ARRIVED, "door"), "{{door}}"))


def _under_way() -> Panel:
    about = About(
        102,
        "Under way",
        units.Short,
        "Postbacks without an outcome yet, and HTTP requests being answered, pages for operators included.",
        "a line that does not come down again: something hangs, usually the disk.",
        ("PostbackQueueSaturated", "PostbackNotReady"),
    )
    postbacks = Query(promql.gauge(IN_PROGRESS), "postbacks")
    return timeseries_panel(about, postbacks, Query(promql.gauge(HTTP_IN_FLIGHT), "HTTP requests"))


def _away() -> list[Panel]:
    away = About(
        104,
        "Requests that reached no door",
        units.RequestsPerSecond,
        "404: wrong path, 405: wrong method; a known sender's is kept (unknown_path). not HTTP: no request.",
        "a steady line: a sender's URL is wrong, and its conversions are lost there.",
        ("PostbackUnexpectedResponses",),
    )
    routes = About(
        105,
        "p99 latency by route",
        units.Seconds,
        f"The {MOST} slowest routes.",
        "a slow /metrics or /readyz: the process itself is busy, not its disk.",
        ("PostbackLatencyBurnFast", "PostbackEventLoopBlocked"),
        (SERVICE,),
    )
    wrong = [
        Query(promql.rate(HTTP_RESPONSES, "code", code="404|405"), "{{code}}"),
        Query(promql.rate(HTTP_RESPONSES, route=UNPARSED), "not HTTP"),
    ]
    slowest = promql.most(promql.quantile(0.99, HTTP_SECONDS, "route"))
    return [
        timeseries_panel(away, *wrong, size=HALF),
        timeseries_panel(routes, Query(slowest, "{{route}}"), size=HALF),
    ]


def _rejected_by_sender() -> Panel:
    about = About(
        202,
        "Rejected share by sender",
        units.PercentUnit,
        f"Share of a sender's postbacks with a mistake of its own. The {MOST} highest.",
        "a sender near 100 %: its template is broken; write to it, the outcome's hint says what.",
        ("PostbackRejectionSpike",),
    )
    rejected, whole = promql.rate(SENDER_RECEIVED, "sender", family="rejected"), promql.rate(SENDER_RECEIVED, "sender")
    query = Query(promql.most(promql.share(rejected, whole)), "{{sender}}")
    return timeseries_panel(about, query, look=Look(limits=[(0.5, ORANGE)]))


def _told(outcomes: list[Outcome]) -> str:
    return f"Postbacks by outcome, and what the sender is told:\n\n{hops.hints(outcomes)}"


def _turned_away() -> Panel:
    about = About(
        203,
        "Turned away",
        units.RequestsPerSecond,
        _told(TURNED_AWAY),
        "any that persists: a proxy in front, a wrong Host, or somebody who should not be here.",
        ("PostbackCredentialFailures", "PostbackRejectionSpike"),
    )
    return _outcomes(about, TURNED_AWAY)


def _would_reject() -> Panel:
    about = About(
        204,
        "Accepted although a check failed",
        units.RequestsPerSecond,
        "Postbacks that would be turned away if their sender did not have the check as report-only.",
        "0 for days: the check can be switched on (`senders set NAME --report-only none`).",
        ("PostbackWouldReject",),
    )
    return timeseries_panel(about, Query(promql.rate(WOULD_REJECT, "check"), "{{check}}"), size=HALF)


def _key_expiry() -> Panel:
    about = About(
        205,
        "First API key to end, time left",
        units.Seconds,
        "Until the first of the live keys expires; after a rotation that is the old one.",
        "below 3 days, and `keys list` says that it is still used: its sender will be refused.",
        ("PostbackKeyExpiring",),
    )
    ends = promql.gauge(KEY_EXPIRY, "instance", how="min")
    query = Query(promql.least(f"{ends} - time() * ({ends} > bool 0)"), "{{instance}}")
    limits = [(float("-inf"), RED), (DAY, ORANGE), (3 * DAY, GREEN)]
    return stat_panel(about, query, limits=limits, zero="no key ends", size=HALF)


def _tests() -> Panel:
    about = About(
        404,
        "Test postbacks, by outcome",
        units.RequestsPerSecond,
        f"Sent with test=1, the {MOST} most frequent outcomes. They are stored as tests, and in no other panel.",
        "a steady line: somebody went live and left test=1 in the template, so real conversions do not count.",
        ("PostbackTrafficStopped",),
    )
    return timeseries_panel(about, Query(promql.busiest(TEST_RECEIVED, "outcome"), "{{outcome}}"), size=WIDE)


def _mistakes() -> Panel:
    about = About(
        302,
        "Integration mistakes",
        units.RequestsPerSecond,
        f"What senders did wrong, as they were told: the {MOST} most frequent. What was accepted may be odd, too.",
        "a line that starts suddenly: somebody changed a template. `rejected list` has them, docs/senders.md explains.",
        ("PostbackRejectionSpike",),
    )
    return timeseries_panel(about, Query(promql.busiest(MISTAKES, "mistake"), "{{mistake}}"), size=HALF)


def _unreadable() -> list[Panel]:
    groups = [UNREADABLE[start : start + PER_PANEL] for start in range(0, len(UNREADABLE), PER_PANEL)]
    return [_unreadable_group(310 + index, group) for index, group in enumerate(groups)]


def _unreadable_group(number: int, group: list[Outcome]) -> Panel:
    about = About(
        number,
        f"Rejected: {group[0].value} to {group[-1].value}",
        units.RequestsPerSecond,
        _told(group),
        "a line that leaves its usual level: a sender or a tracker changed its template.",
        ("PostbackRejectionSpike",),
    )
    return _outcomes(about, group, HALF)


def _accepted() -> Panel:
    accepted = [outcome for outcome in Outcome if outcome.family is Family.ACCEPTED]
    about = About(
        402,
        "Accepted",
        units.RequestsPerSecond,
        _told(accepted),
        "conflict: a sender uses one key for two conversions. Many duplicates: it does not see our 200.",
        ("PostbackConflicts", "PostbackNothingStored"),
    )
    return _outcomes(about, accepted)


def _failed() -> Panel:
    failed = [outcome for outcome in Outcome if outcome.family is Family.FAILED]
    about = About(
        403,
        "Failed, our fault",
        units.RequestsPerSecond,
        _told(failed),
        "anything above 0: only these count against the objective.",
        ("PostbackErrorSpike", "PostbackErrorBudgetBurnFast", "PostbackStorageErrors"),
        (SERVICE,),
    )
    return _outcomes(about, failed)


def _refused() -> Panel:
    about = About(
        503,
        "Refused as overloaded",
        units.RequestsPerSecond,
        f"Postbacks that found no place in the queue. {Outcome.OVERLOADED.hint}",
        "anything above 0: more arrives than the disk can make durable.",
        ("PostbackQueueSaturated", "PostbackErrorSpike"),
        (SERVICE,),
    )
    return timeseries_panel(about, Query(promql.rate(RECEIVED, outcome=Outcome.OVERLOADED.value), "overloaded"))


def _commit_heatmap() -> Panel:
    about = About(
        601,
        "Commit latency, spread",
        units.Seconds,
        "Seconds to make one batch durable.",
        "a second band far above the first: the disk stalls now and then.",
        ("PostbackLatencyBurnFast", "PostbackStorageErrors"),
        (SERVICE,),
    )
    return heatmap_panel(about, Query(promql.buckets(COMMIT_SECONDS), "{{le}}"))


def _batches() -> Panel:
    about = About(
        603,
        "Postbacks committed together, spread",
        units.Short,
        "What arrives during one commit is committed together by the next: batches grow with the load.",
        "batches at the upper end for long: the disk is the limit, and the queue will fill.",
        ("PostbackQueueSaturated",),
    )
    return heatmap_panel(about, Query(promql.buckets(COMMIT_ROWS), "{{le}}"))
