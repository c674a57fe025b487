"""Owns the proof that the rules of dashboards can fail: what breaks a rule is found in the panel that breaks it."""

import copy
from collections.abc import Callable

import pytest

from tests.support.dashboard_rules import RULES, variables
from tests.support.outside.panel_queries import Json, dashboards, panels

PANEL = "Rejections by outcome"
Break = Callable[[Json, Json], object]


def asks(expression: str) -> Break:
    """Return what puts another query into the panel."""
    return lambda _, panel: panel["targets"][0].update(expr=expression)


CHOSEN = 'job=~"$job", instance=~"$instance"'
RECEIVED = f"postback_received_total{{{CHOSEN}}}"
LATENCY = f"postback_http_request_duration_seconds_bucket{{{CHOSEN}}}"
BREAKS: dict[str, list[tuple[Break, str]]] = {
    "datasource_variable": [
        (lambda dashboard, _: variables(dashboard)["datasource"].update(query="loki"), "datasource"),
        (lambda dashboard, _: dashboard["templating"]["list"].pop(0), "datasource"),
    ],
    "job_and_instance_variables": [
        (lambda dashboard, _: variables(dashboard)["job"].update(multi=False), "job"),
        (lambda dashboard, _: variables(dashboard)["instance"].update(allValue=".*"), "instance"),
        (lambda dashboard, _: variables(dashboard)["instance"].update(refresh=1), "instance"),
        (lambda dashboard, _: dashboard["templating"]["list"].pop(), "instance"),
    ],
    "panel_datasource": [
        (lambda _, panel: panel.update(datasource={"type": "prometheus", "uid": "prometheus"}), PANEL),
        (lambda _, panel: panel["targets"][0].update(datasource={"type": "loki", "uid": "loki"}), PANEL),
    ],
    "title_and_description": [
        (lambda _, panel: panel.update(description="Rejections. alerts/runbook.md#postbackrejectionspike"), PANEL),
        (lambda _, panel: panel.pop("description"), PANEL),
        (lambda _, panel: panel.update(title=""), ""),
    ],
    "somewhere_to_go": [(lambda _, panel: panel.update(description="**Bad:** anything above 0."), PANEL)],
    "unit": [
        (lambda _, panel: panel["fieldConfig"]["defaults"].pop("unit"), PANEL),
        (lambda _, panel: panel.update(type="heatmap", options={"yAxis": {}}), PANEL),
    ],
    "queries": [
        (lambda _, panel: panel.update(targets=[]), PANEL),
        (lambda _, panel: panel["targets"].append(panel["targets"][0]), PANEL),
        (lambda _, panel: panel["targets"][0].update(legendFormat=""), PANEL),
    ],
    "matchers": [
        (asks('sum(rate(postback_received_total{job=~"$job"}[$__rate_interval]))'), PANEL),
        (asks("sum(rate(postback_received_total[$__rate_interval]))"), PANEL),
        (asks(f"sum(rate({RECEIVED}[$__rate_interval])) / sum(postback_queue_depth)"), PANEL),
    ],
    "rate_interval": [
        (asks(f"sum(rate({RECEIVED}[5m]))"), PANEL),
        (asks(f"sum(rate({RECEIVED}[$__range]))"), PANEL),
        (asks(f"sum(irate({RECEIVED}[$__rate_interval]))"), PANEL),
    ],
    "counters_aggregated": [
        (asks(f"sum({RECEIVED})"), PANEL),
        (asks(f"rate({RECEIVED}[$__rate_interval])"), PANEL),
        (asks(f"histogram_quantile(0.99, rate({LATENCY}[$__rate_interval]))"), PANEL),
    ],
    "few_series": [
        (asks(f'sum by (outcome, le) (rate({RECEIVED[:-1]}, outcome=~"a|b|c|d|e|f"}}[$__rate_interval]))'), PANEL),
        (asks(f"topk(6, sum by (sender) (rate({RECEIVED}[$__rate_interval])))"), PANEL),
    ],
    "read_only": [
        (lambda dashboard, _: dashboard.update(editable=True), "Postbacks overview"),
        (lambda dashboard, _: dashboard.update(__inputs=[]), "Postbacks overview"),
    ],
}
CASES = [(name, *case) for name, broken in BREAKS.items() for case in broken]


def test_every_rule_has_something_that_breaks_it() -> None:
    assert BREAKS.keys() == RULES.keys()


@pytest.mark.parametrize(("name", "spoil", "found"), CASES)
def test_what_breaks_a_rule_is_found_where_it_is(name: str, spoil: Break, found: str) -> None:
    (overview,) = [copy.deepcopy(each) for each in dashboards() if each["uid"] == "postback-overview"]
    (panel,) = [each for each in panels(overview) if each["title"] == PANEL]
    before = set(RULES[name](overview))
    spoil(overview, panel)
    assert set(RULES[name](overview)) - before == {found}
