"""Owns the rules that every dashboard keeps: those of grafana/dashboard-linter, and this house's own.

Each rule yields the titles that break it. An exception stands in EXCEPTIONS with its reason, as long as it is needed.
"""

from collections.abc import Callable, Iterator

from service.telemetry.metrics.catalogue import CATALOGUE, CounterOf
from tests.support.outside.panel_queries import Json, panels
from tests.support.promql import most_series, selectors

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COUNTERS = {declared.name for declared in CATALOGUE if isinstance(declared, CounterOf)}
MOST_SERIES = 5
Rule = Callable[[Json], Iterator[str]]
RULES: dict[str, Rule] = {}

OF_A_JOB = "the recorded series of alerts/slo.rules.yml are of a job, all its instances together"
OF_ALL = "an objective is one number: it has no labels; the others are of a job"
OF_AN_ALERT = "an alert about all replicas has no instance, one about everything no job: these must be listed too"

EXCEPTIONS: dict[tuple[str, str, str], str] = {
    ("matchers", "postback-overview", "Firing alerts"): OF_AN_ALERT,
    ("matchers", "postback-overview", "Success rate, 30 days"): OF_A_JOB,
    ("matchers", "postback-overview", "Error budget left, 30 days"): OF_A_JOB,
    ("matchers", "postback-overview", "Success rate against the objective"): OF_ALL,
    ("matchers", "postback-overview", "Error budget burn rate"): OF_ALL,
    ("matchers", "postback-overview", "Fast enough, against the objective"): OF_ALL,
}


def rule(check: Rule) -> Rule:
    """Add a rule under its function's name."""
    RULES[check.__name__] = check
    return check


def variables(dashboard: Json) -> dict[str, Json]:
    """Return the dashboard's variables by name."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def targets(dashboard: Json) -> Iterator[tuple[str, Json]]:
    """Yield every query of a panel with the panel's title."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target


def _keeps(variable: Json, **wanted: object) -> bool:
    return all(variable.get(key) == value for key, value in wanted.items())


@rule
def datasource_variable(dashboard: Json) -> Iterator[str]:
    """There is one data source variable, and it chooses a Prometheus."""
    found = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    wanted = {"name": "datasource", "label": "Data source", "query": "prometheus"}
    if len(found) != 1 or not _keeps(found[0], **wanted):
        yield "datasource"


@rule
def job_and_instance_variables(dashboard: Json) -> Iterator[str]:
    """Both exist, take several values, and mean `.+` by All; they are read again when the time range changes."""
    for name, label in (("job", "Job"), ("instance", "Instance")):
        wanted = {"type": "query", "label": label, "multi": True, "includeAll": True, "allValue": ".+"}
        if not _keeps(variables(dashboard).get(name, {}), datasource=DATASOURCE, refresh=2, **wanted):
            yield name


@rule
def panel_datasource(dashboard: Json) -> Iterator[str]:
    """Panels and their queries use the chosen data source."""
    for panel in panels(dashboard):
        if any(each["datasource"] != DATASOURCE for each in [panel, *panel["targets"]]):
            yield panel["title"]


@rule
def title_and_description(dashboard: Json) -> Iterator[str]:
    """Each panel has both, and says what bad looks like."""
    for panel in panels(dashboard):
        if not panel["title"] or "**Bad:** " not in panel.get("description", ""):
            yield panel["title"]


@rule
def somewhere_to_go(dashboard: Json) -> Iterator[str]:
    """Each description leads to the runbook, or to the next dashboard down."""
    for panel in panels(dashboard):
        if not any(lead in panel["description"] for lead in ("alerts/runbook.md#", "(/d/postback-")):
            yield panel["title"]


@rule
def unit(dashboard: Json) -> Iterator[str]:
    """Each panel has a unit, a heatmap on its axis too."""
    for panel in panels(dashboard):
        units = [panel["fieldConfig"]["defaults"].get("unit")]
        if panel["type"] == "heatmap":
            units.append(panel["options"]["yAxis"].get("unit"))
        if not all(units):
            yield panel["title"]


@rule
def queries(dashboard: Json) -> Iterator[str]:
    """Each panel asks something, under refIds of its own, and a line has a name."""
    for panel in panels(dashboard):
        names = [target["refId"] for target in panel["targets"]]
        unnamed = panel["type"] != "table" and not all(target["legendFormat"] for target in panel["targets"])
        if not names or len(set(names)) < len(names) or unnamed:
            yield panel["title"]


@rule
def matchers(dashboard: Json) -> Iterator[str]:
    """Each metric of each query is of the chosen jobs and instances."""
    wanted = {"job": "$job", "instance": "$instance"}
    for title, target in targets(dashboard):
        if any(not wanted.items() <= selector.matchers.items() for selector in selectors(target["expr"])):
            yield title


@rule
def rate_interval(dashboard: Json) -> Iterator[str]:
    """Each rate is over $__rate_interval, an increase over that or over the whole range shown."""
    allowed = {"rate": {"[$__rate_interval]"}, "increase": {"[$__rate_interval]", "[$__range]"}}
    for title, target in targets(dashboard):
        ranged = [selector for selector in selectors(target["expr"]) if selector.range]
        if any(selector.range not in allowed.get(selector.function, set()) for selector in ranged):
            yield title


@rule
def counters_aggregated(dashboard: Json) -> Iterator[str]:
    """Each counter is taken as a rate or an increase, and summed."""
    for title, target in targets(dashboard):
        for selector in selectors(target["expr"]):
            counting = selector.name in COUNTERS or selector.name.endswith(("_total", "_bucket", "_count", "_sum"))
            if counting and not (selector.function in {"rate", "increase"} and selector.summed):
                yield title


@rule
def few_series(dashboard: Json) -> Iterator[str]:
    """Each panel of lines or numbers shows five at most."""
    for panel in panels(dashboard):
        if panel["type"] in {"timeseries", "stat", "state-timeline"}:
            count = sum(most_series(target["expr"]) for target in panel["targets"])
            if count > MOST_SERIES:
                yield panel["title"]


@rule
def read_only(dashboard: Json) -> Iterator[str]:
    """Nobody edits it in the browser, and it asks nothing when it is imported."""
    if dashboard["editable"] or dashboard.keys() & {"__inputs", "__requires", "id"}:
        yield dashboard["title"]
