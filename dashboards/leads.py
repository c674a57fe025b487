"""Owns where a panel leads: the runbook's heading, the next dashboard down, the log lines of its requests."""

import json
from urllib.parse import quote

from dashboards.sdk import Builder, dashboard, models

OVERVIEW, INTAKE, SERVICE = "postback-overview", "postback-intake", "postback-service"
TITLES = {OVERVIEW: "Postbacks overview", INTAKE: "Intake", SERVICE: "Service"}


def runbook(alert: str) -> str:
    """Return where the runbook speaks of an alert; a path in the repository, since Grafana does not serve it."""
    return f"`alerts/runbook.md#{alert.lower()}`"


def below(uid: str) -> str:
    """Return the link to another dashboard, for the same time and the same replicas."""
    return f"[{TITLES[uid]}](/d/{uid}?${{__url_time_range}}&${{job:queryparam}}&${{instance:queryparam}})"


def dashboards_menu(uid: str) -> list[Builder[models.DashboardLink]]:
    """Return the links to the other dashboards, shown at the top of one."""
    return [
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .url(f"/d/{other}")
        .icon("dashboard")
        .tooltip(f"Open {title} for the same time and replicas")
        .as_dropdown(as_dropdown=False)
        .target_blank(target_blank=False)
        .keep_time(keep_time=True)
        .include_vars(include_vars=True)
        for other, title in TITLES.items()
        if other != uid
    ]


def log_lines(selector: str) -> dashboard.DashboardLink:
    """Return the link from a point to the log lines that match a LogQL query, in Explore (needs the logs profile)."""
    link = dashboard.DashboardLink("Log lines").url(_explore(selector)).target_blank(target_blank=True)
    return link.type(models.DashboardLinkType.LINK).icon("doc").tooltip("").as_dropdown(as_dropdown=False)


def _explore(query: str) -> str:
    pane = {
        "datasource": "loki",
        "queries": [{"refId": "A", "expr": query, "datasource": {"type": "loki", "uid": "loki"}}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    written = quote(json.dumps({"lines": pane}, separators=(",", ":")), safe="$")
    for variable in ("__from", "__to", "__field.labels.outcome", "__field.labels.level"):
        written = written.replace(quote(f"${{{variable}}}", safe="$"), f"${{{variable}}}")
    return f"/explore?schemaVersion=1&orgId=1&panes={written}"
