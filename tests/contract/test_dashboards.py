"""Owns what the generated dashboards promise: no drift, the linter's rules, only metrics and alerts that exist."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
import yaml

from dashboards import objectives
from dashboards.build import GENERATED, built, differences, main, write
from dashboards.promql import UnknownLabel, rate
from dashboards.sdk import JSONEncoder, models, register_default_plugins
from service.core.outcome import Family, Outcome
from service.telemetry.metrics import catalogue
from service.telemetry.metrics.catalogue import CATALOGUE, RECEIVED, HistogramOf
from tests.support import dashboard_rules
from tests.support.documents import REPOSITORY
from tests.support.outside.panel_queries import EMPTY_IN_HEALTH, Json, Span, dashboards, panels, questions
from tests.support.outside.tools import need
from tests.support.promql import OF_PROMETHEUS, OF_THE_LIBRARY, selectors

HOPS = ["Doors", "Authenticate", "Parse, by outcome", "Outcomes", "Queue", "Commit"]  # as a postback passes them
HOPS_TOGETHER = ["Doors", "Authenticate and parse", "Queue and commit"]
ROWS = {  # those in brackets are closed
    "postback-overview": ["Is it healthy?", "Objectives", *HOPS_TOGETHER, "(Resources)"],
    "postback-intake": [*HOPS, "(Spool)", "(Books)"],
    "postback-service": ["Processes", "Event loop and files", "Storage", "(Retention)", "Log", "(Python)"],
}
LATENCIES = {
    "postback-overview": ["Latency of postbacks"],
    "postback-intake": ["Latency of postbacks", "Commit latency"],
}
ALERTS = REPOSITORY / "alerts"
PACKAGE = REPOSITORY / "dashboards"
PROVISIONING = PACKAGE / "provisioning"
DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in dashboards()}
every_dashboard = pytest.mark.parametrize("uid", DASHBOARDS)
every_rule = pytest.mark.parametrize("name", dashboard_rules.RULES)


def every_panel() -> list[Json]:
    return [panel for dashboard in DASHBOARDS.values() for panel in panels(dashboard)]


def every_expression() -> list[str]:
    asked = [target["expr"] for panel in every_panel() for target in panel["targets"]]
    annotations = [each["target"]["expr"] for it in DASHBOARDS.values() for each in it["annotations"]["list"]]
    return [*asked, *annotations]


def rules() -> list[Json]:
    """Return the recording and alerting rules."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(ALERTS.glob("*.rules.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def exposed() -> set[str]:
    """Return every name that the service exports, buckets included."""
    histograms = {declared.name for declared in CATALOGUE if isinstance(declared, HistogramOf)}
    buckets = {name + suffix for name in histograms for suffix in ("_bucket", "_sum", "_count")}
    return {declared.name for declared in CATALOGUE} - histograms | buckets


def test_generating_again_changes_nothing() -> None:
    assert differences() == ""


def test_check_shows_what_would_change_and_exits_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dashboards.build.differences.__defaults__", (tmp_path,))
    write(tmp_path)
    assert main(["--check"]) == 0
    path = tmp_path / "postback-intake.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"title": "Intake"', '"title": "By hand"'), encoding="utf-8"
    )
    (tmp_path / "gone.json").write_text("{}\n", encoding="utf-8")
    assert main(["--check"]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if re.match(r"[-+] *[\"{]", line)] == [
        "-{}",
        '-  "title": "By hand",',
        '+  "title": "Intake",',
    ]
    write(tmp_path)
    assert differences(tmp_path) == ""


def test_an_unknown_argument_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--chek"]) == 2
    assert capsys.readouterr().err == "usage: python -m dashboards.build [--check]\n"


@every_dashboard
def test_the_round_trip_through_the_sdk_is_equal(uid: str) -> None:
    register_default_plugins()
    text = (GENERATED / f"{uid}.json").read_text(encoding="utf-8")
    again = models.Dashboard.from_json(json.loads(text))
    assert json.dumps(again, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n" == text


@pytest.mark.processes
def test_every_file_is_valid_by_the_schema() -> None:
    schema = ["--schemafile", str(PACKAGE / "classic.schema.json")]
    command = [sys.executable, "-m", "check_jsonschema", *schema, *map(str, sorted(GENERATED.glob("*.json")))]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout.strip()) == (0, "ok -- validation done")


def test_uids_are_fixed_and_name_the_files() -> None:
    assert sorted(DASHBOARDS) == ["postback-intake", "postback-overview", "postback-service"]
    assert sorted(built()) == sorted(f"{uid}.json" for uid in DASHBOARDS)


@every_dashboard
def test_panel_ids_and_titles_are_unique_and_lie_under_their_row(uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
    shown = list(panels(dashboard))
    numbers = [panel["id"] for panel in [*rows, *shown]]
    titles = [panel["title"] for panel in [*rows, *shown]]
    assert [number for number, count in Counter(numbers).items() if count > 1] == []
    assert [title for title, count in Counter(titles).items() if count > 1] == []
    assert {panel["id"] // 100 * 100 for panel in shown} == {row["id"] for row in rows}


@every_dashboard
def test_panels_do_not_lie_over_each_other(uid: str) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in DASHBOARDS[uid]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    assert [place for place, count in taken.items() if count > 1] == []


@every_rule
def test_every_dashboard_keeps_the_rule_but_for_needed_exceptions(name: str) -> None:
    broken = {(name, uid, title) for uid, each in DASHBOARDS.items() for title in dashboard_rules.RULES[name](each)}
    assert broken == {exception for exception in dashboard_rules.EXCEPTIONS if exception[0] == name}


def test_every_exception_is_of_a_rule_and_carries_its_reason() -> None:
    assert {name for name, _, _ in dashboard_rules.EXCEPTIONS} <= dashboard_rules.RULES.keys()
    assert all(len(reason) > 20 for reason in dashboard_rules.EXCEPTIONS.values())


def test_every_metric_of_every_query_exists() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {selector.name for expression in every_expression() for selector in selectors(expression)}
    assert used - exposed() - OF_THE_LIBRARY - OF_PROMETHEUS - recorded == set()


def test_every_exported_metric_is_on_a_dashboard() -> None:
    used = {selector.name for expression in every_expression() for selector in selectors(expression)}
    drawn = {name.removesuffix("_bucket") for name in used}
    assert {declared.name for declared in CATALOGUE} - drawn == set()


def test_every_label_of_a_matcher_belongs_to_its_metric() -> None:
    labels = {declared.name: {*declared.labels, "job", "instance"} for declared in CATALOGUE}
    found = [selector for expression in every_expression() for selector in selectors(expression)]
    wrong = [
        each
        for each in found
        if each.matchers.keys() - labels.get(each.name.removesuffix("_bucket"), each.matchers.keys())
    ]
    assert wrong == []


def test_a_label_that_a_metric_lacks_ends_the_build() -> None:
    with pytest.raises(UnknownLabel, match="postback_received_total has no label outcomes"):
        rate(RECEIVED, "outcomes")


def test_every_alert_that_a_description_names_exists_with_its_runbook_heading() -> None:
    alerts = {rule["alert"].lower() for rule in rules() if "alert" in rule}
    headings = re.findall(r"^## (\w+)$", (ALERTS / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {anchor for panel in every_panel() for anchor in re.findall(r"runbook\.md#(\w+)", panel["description"])}
    assert named - alerts == set()
    assert named - {heading.lower() for heading in headings} == set()


def test_every_alert_is_named_by_a_panel() -> None:
    alerts = {rule["alert"].lower() for rule in rules() if "alert" in rule}
    named = {anchor for panel in every_panel() for anchor in re.findall(r"runbook\.md#(\w+)", panel["description"])}
    assert alerts - named == set()


def test_every_dashboard_that_a_link_names_exists() -> None:
    linked = {uid for panel in every_panel() for uid in re.findall(r"\(/d/([\w-]+)", panel["description"])}
    menus = {link["url"].removeprefix("/d/") for dashboard in DASHBOARDS.values() for link in dashboard["links"]}
    assert linked | menus == set(DASHBOARDS)


def test_intake_tells_what_every_outcome_asks_of_its_sender() -> None:
    told = "\n".join(panel["description"] for panel in panels(DASHBOARDS["postback-intake"]))
    assert [outcome for outcome in Outcome if f"`{outcome.value}`: {outcome.hint}" not in told] == []


def test_every_outcome_that_is_rejected_has_its_line_on_intake() -> None:
    shown = [target["expr"] for panel in panels(DASHBOARDS["postback-intake"]) for target in panel["targets"]]
    closed = [each for expression in shown if "topk" not in expression for each in selectors(expression)]
    drawn = set(chain.from_iterable(each.matchers.get("outcome", "").split("|") for each in closed))
    assert {outcome.value for outcome in Outcome if outcome.family is Family.REJECTED} - drawn == set()


def test_the_first_row_of_the_overview_says_whether_it_is_healthy() -> None:
    heading, states, alerts, *headlines = DASHBOARDS["postback-overview"]["panels"][:9]
    assert (heading["title"], states["type"], alerts["type"]) == ("Is it healthy?", "state-timeline", "table")
    assert {panel["type"] for panel in headlines} == {"stat"}


@every_dashboard
def test_rows_stand_in_the_order_in_which_a_postback_passes_and_minor_ones_are_closed(uid: str) -> None:
    rows = [panel for panel in DASHBOARDS[uid]["panels"] if panel["type"] == "row"]
    assert [f"({row['title']})" if row["collapsed"] else row["title"] for row in rows] == ROWS[uid]


@pytest.mark.parametrize(("uid", "what"), [(uid, what) for uid, named in LATENCIES.items() for what in named])
def test_latency_is_a_heatmap_beside_p50_and_p99_with_the_objective_drawn(uid: str, what: str) -> None:
    shown = {panel["title"]: panel for panel in panels(DASHBOARDS[uid])}
    spread, lines = shown[f"{what}, spread"], shown[f"{what}, p50 and p99"]
    assert (spread["type"], lines["type"]) == ("heatmap", "timeseries")
    assert [target["legendFormat"] for target in lines["targets"]] == ["p50", "p99"]
    drawn = lines["fieldConfig"]["defaults"]
    assert [step["value"] for step in drawn["thresholds"]["steps"]] == [None, objectives.LATENCY_SECONDS]
    assert drawn["custom"]["thresholdsStyle"]["mode"] == "dashed"


def test_a_number_is_of_now_so_that_a_dead_replica_leaves_none() -> None:
    ranged = [
        panel["title"] for panel in every_panel() if panel["type"] == "stat" and not panel["targets"][0]["instant"]
    ]
    assert ranged == []


@every_dashboard
def test_every_dashboard_marks_versions_restarts_and_alerts(uid: str) -> None:
    marks = {mark["name"]: mark["target"]["expr"] for mark in DASHBOARDS[uid]["annotations"]["list"] if mark["enable"]}
    assert list(marks) == ["Version change", "Restart", "Firing alerts"]
    named = [{each.name for each in selectors(expression)} for expression in marks.values()]
    assert named == [{"postback_build_info"}, {"process_start_time_seconds"}, {"ALERTS"}]


def test_the_limits_drawn_are_the_objectives_of_the_rules() -> None:
    recorded = {rule["record"]: str(rule["expr"]) for rule in rules() if "record" in rule}
    drawn = {"availability": objectives.AVAILABILITY, "latency": objectives.LATENCY}
    assert {name: float(recorded[f"postback:objective:{name}"]) for name in drawn} == drawn
    slow = "".join(expression for name, expression in recorded.items() if name.startswith("job:postback_slow"))
    assert f'le="{objectives.LATENCY_SECONDS}"' in slow
    assert objectives.LATENCY_SECONDS in catalogue.SECONDS


@pytest.mark.processes
@pytest.mark.parametrize("seconds", [900, 86_400])
def test_promtool_parses_every_query(seconds: int, tmp_path: Path) -> None:
    need("promtool")
    asked = [question.expression for question in questions(Span(seconds))]
    recorded = [{"record": f"panel:query:{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = tmp_path / "queries.rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}), encoding="utf-8")
    checked = subprocess.run(
        ["promtool", "check", "rules", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"SUCCESS: {len(asked)} rules found" in checked.stdout


def test_what_is_empty_in_health_is_on_a_dashboard() -> None:
    assert EMPTY_IN_HEALTH.keys() - {question.title for question in questions(Span())} == set()


def test_dashboards_import_nothing_of_the_service_but_the_catalogue_and_outcomes() -> None:
    imported = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("service"):
                imported.add(node.module)
    assert imported == {"service.telemetry.metrics.catalogue", "service.core.outcome"}
