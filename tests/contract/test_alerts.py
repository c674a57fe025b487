"""Owns what alerts/ promises: every alert said in full, tested, routed, and explained to somebody who was asleep."""

import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from service.cli import app
from service.core.outcome import Family, Outcome
from service.storage.sqlite.ledger import SqliteLedger
from service.telemetry.metrics.catalogue import CATALOGUE, SINGLE_ROUTES
from tests.support import builders
from tests.support.alert_files import (
    ALERTS,
    PARTS,
    RULE_FILES,
    TEST_FILES,
    alerts,
    blocks,
    cases,
    headings,
    read,
    recorded,
    rules,
)
from tests.support.documents import REPOSITORY
from tests.support.outside.tools import need, search_path
from tests.support.promql import OF_THE_LIBRARY

PAGES = {"critical": "page", "warning": "ticket"}
OBJECTIVES = {"postback:objective:availability": "0.999", "postback:objective:latency": "0.99"}
BURNS = {  # error and latency objectives: how many times too fast, over the long and the short window
    "PostbackErrorBudgetBurnFast": ("critical", ["errors 14.4 1h", "errors 14.4 5m"]),
    "PostbackErrorBudgetBurn": ("critical", ["errors 6 6h", "errors 6 30m"]),
    "PostbackErrorBudgetBurnSlow": ("warning", ["errors 3 1d", "errors 3 2h", "errors 1 3d", "errors 1 6h"]),
    "PostbackErrorsElevated": ("warning", ["errors 10 30m", "errors 10 5m"]),
    "PostbackLatencyBurnFast": ("critical", ["slow 14.4 1h", "slow 14.4 5m"]),
    "PostbackLatencyBurnSlow": ("warning", ["slow 6 6h", "slow 6 30m"]),
}
BURN = re.compile(r"job:postback_(\w+):ratio_rate(\w+) > ([\d.]+) \* \(1 - scalar\(postback:objective:(\w+)\)\)")
OBJECTIVE = {"errors": "availability", "slow": "latency"}
EDGES = ["low traffic", "counter reset", "missing series"]
every_alert = pytest.mark.parametrize("name", alerts())
every_test_file = pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)


def tool(*command: str) -> tuple[int, str]:
    """Run promtool or amtool; return its exit code and all that it printed."""
    need(command[0])
    ended = subprocess.run(
        command, cwd=ALERTS, env={"PATH": search_path()}, check=False, capture_output=True, text=True, timeout=120
    )
    return ended.returncode, ended.stdout + ended.stderr


def names_in(expression: str) -> set[str]:
    """Return the metrics and recorded series that an expression asks for, as they are declared."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}', "", expression)
    found = re.findall(r"\b(?:(?:postback|process)_[a-z_]+|(?:job|instance|postback):[\w:]+)\b", bare)
    return {re.sub(r"(_duration_seconds|_lag_seconds)_(bucket|count|sum)$", r"\1", name) for name in found}


@pytest.mark.processes
def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    code, said = tool("promtool", "check", "rules", "--lint=all", "--lint-fatal", *[path.name for path in RULE_FILES])
    assert code == 0, said


@pytest.mark.processes
def test_promtool_finds_nothing_wrong_with_the_configuration() -> None:
    code, said = tool("promtool", "check", "config", "prometheus.yml")
    assert code == 0, said
    assert "WARNING" not in said.upper()


@pytest.mark.processes
@every_test_file
def test_every_unit_test_of_the_rules_passes(path: Path) -> None:
    code, said = tool("promtool", "test", "rules", path.name)
    assert code == 0, said


@every_alert
def test_an_alert_fires_in_a_test_stays_silent_in_another_and_ends(name: str) -> None:
    own = [case for case in cases() if case.alert == name]
    assert [case.name for case in own if case.fires] != []
    assert [case.name for case in own if not case.fires] != []
    assert [case.name for case in own if case.resolves] != []


def test_no_alert_at_all_is_raised_by_low_traffic_by_a_counter_reset_or_by_missing_series() -> None:
    edges = read(ALERTS / "edges.test.yml")
    assert edges["rule_files"] == ["*.rules.yml"]
    assert [test["name"].partition(":")[0] for test in edges["tests"]] == EDGES
    for test in edges["tests"]:
        (asked,) = test["promql_expr_test"]
        assert ("ALERTS[3h]" in asked["expr"], asked["exp_samples"]) == (True, [])


def test_every_case_that_fires_says_all_that_a_person_is_told() -> None:
    told = [alert for case in cases() for expected in case.expected for alert in expected]
    assert {frozenset(alert["exp_annotations"]) for alert in told} == {
        frozenset({"summary", "description", "runbook_url", "dashboard"})
    }
    assert {alert["exp_labels"]["severity"] for alert in told} == set(PAGES)
    assert [alert for alert in told if "<no value>" in str(alert) or "job" not in alert["exp_labels"]] == []


def test_no_test_is_of_an_alert_that_does_not_exist() -> None:
    assert {case.alert for case in cases()} - set(alerts()) == set()


@every_alert
def test_an_alert_says_how_severe_it_is_what_it_is_and_where_to_look(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in PAGES
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url", "dashboard"}
    assert alert["annotations"]["runbook_url"] == f"alerts/runbook.md#{name.lower()}"
    uid = alert["annotations"]["dashboard"].removeprefix("/d/")
    assert (REPOSITORY / "dashboards" / "generated" / f"{uid}.json").exists()


@every_alert
def test_the_labels_that_a_text_names_survive_the_aggregation(name: str) -> None:
    alert = alerts()[name]
    named = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
    kept = re.findall(r"\b(?:sum|max) by \(([\w, ]+)\)", alert["expr"])
    outermost = alert["expr"].lstrip("( \n").startswith(("sum by", "max by"))
    assert not outermost or named <= set(kept[0].split(", "))
    assert all("job" in labels.split(", ") for labels in kept)


def test_every_metric_of_every_rule_and_of_the_runbook_exists() -> None:
    asked = [rule["expr"] for rule in rules()] + [
        line for text in headings().values() for line in blocks(text, "promql")
    ]
    known = {declared.name for declared in CATALOGUE} | OF_THE_LIBRARY | recorded()
    assert {name for expression in asked for name in names_in(str(expression))} - known == set()


def test_what_counts_as_our_failure_is_what_the_outcomes_say() -> None:
    failed = {outcome.value for outcome in Outcome if outcome.family is Family.FAILED}
    accepted = {outcome.value for outcome in Outcome if outcome.family is Family.ACCEPTED}
    text = "\n".join(path.read_text(encoding="utf-8") for path in RULE_FILES)
    sets = {frozenset(words.split("|")) for words in re.findall(r'outcome(?:=~|!~)"([^"]+)"', text)}
    turned_away = {"unauthenticated", "forbidden", "rate_limited"}
    assert sets == {frozenset(failed), frozenset(accepted), frozenset(failed | accepted), frozenset(turned_away)}


def test_the_latency_objective_is_of_every_door() -> None:
    text = (ALERTS / "slo.rules.yml").read_text(encoding="utf-8")
    assert set(re.findall(r'route=~"([^"]+)"', text)) == {"|".join(SINGLE_ROUTES)}


def test_budgets_burn_over_two_windows_each_by_the_factors_that_are_promised() -> None:
    found = {
        name: BURN.findall(alert["expr"])
        for name, alert in alerts().items()
        if "scalar(postback:objective" in alert["expr"]
    }
    burns = {name: [f"{what} {factor} {window}" for what, window, factor, _ in each] for name, each in found.items()}
    assert {name: (alerts()[name]["labels"]["severity"], each) for name, each in burns.items()} == BURNS
    assert {(what, objective) for each in found.values() for what, _, _, objective in each} == set(OBJECTIVE.items())


def test_the_objectives_are_written_in_one_place_only() -> None:
    written = {rule["record"]: str(rule["expr"]) for rule in rules() if rule.get("record") in OBJECTIVES}
    assert written == OBJECTIVES
    others = [path for path in RULE_FILES if path.name != "slo.rules.yml"] + [ALERTS / "runbook.md"]
    number = re.compile(r"0\.999|99\.9 ?%|1 - 0\.99\b|> 0\.001\b")
    assert [path.name for path in others if number.search(path.read_text(encoding="utf-8"))] == []


def test_every_alert_has_its_heading_and_every_heading_its_alert() -> None:
    assert list(headings()) == list(dict.fromkeys(headings()))
    assert set(headings()) == set(alerts())


@every_alert
def test_a_heading_has_the_four_parts_in_order_and_three_things_to_type(name: str) -> None:
    text = headings()[name]
    assert re.findall(r"^\*\*([^*]+)\*\*", text, re.MULTILINE) == PARTS
    assert len(blocks(text, "promql")) + len(blocks(text, "sh")) >= 3
    for part in re.split(r"^\*\*[^*]+\*\*", text, flags=re.MULTILINE)[1:]:
        assert len(part.strip()) > 5, part


@pytest.mark.processes
def test_every_query_of_the_runbook_can_be_asked(tmp_path: Path) -> None:
    queries = [line for text in headings().values() for line in blocks(text, "promql")]
    asked = [{"record": f"runbook:query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "runbook.rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": asked}]}), encoding="utf-8")
    code, said = tool("promtool", "check", "rules", str(path))
    assert code == 0, said


@pytest.mark.processes
def test_every_command_of_the_runbook_is_one_that_a_shell_and_the_service_know() -> None:
    lines = [line for text in headings().values() for line in blocks(text, "sh")]
    assert subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, check=False).returncode == 0
    commands = getattr(get_command(app), "commands", {})
    for words in (shlex.split(line) for line in lines if line.startswith("python -m service")):
        command = commands[words[3]]
        command = getattr(command, "commands", {}).get(words[4], command) if len(words) > 4 else command
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[4:] if word.startswith("--")} <= known


@pytest.mark.processes
def test_every_look_at_the_database_finds_what_it_is_for(tmp_path: Path) -> None:
    need("sqlite3")
    looks = [line for text in headings().values() for line in blocks(text, "sh") if line.startswith("sqlite3 ")]
    assert len(looks) >= 3
    (tmp_path / "data").mkdir()
    ledger = SqliteLedger(tmp_path / "data" / "postback.db")
    ledger.open()
    ledger.commit([builders.rejection(outcome, received_at=datetime.now(UTC)) for outcome in Outcome if outcome.kept])
    for look in looks:  # the service goes on meanwhile
        found = subprocess.run(["bash", "-c", look], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert "is not an amount" in found.stdout, look
    ledger.close()


@pytest.mark.processes
def test_amtool_finds_nothing_wrong_with_the_routes() -> None:
    code, said = tool("amtool", "check-config", "alertmanager.yml")
    assert code == 0, said


@pytest.mark.processes
@pytest.mark.parametrize(("severity", "receiver"), [*PAGES.items(), ("", "ticket")])
def test_a_severity_reaches_its_receiver_and_its_end_is_told(severity: str, receiver: str) -> None:
    labels = ["alertname=PostbackErrorSpike", "job=postback", *([f"severity={severity}"] if severity else [])]
    code, said = tool(
        "amtool",
        "config",
        "routes",
        "test",
        "--config.file=alertmanager.yml",
        f"--verify.receivers={receiver}",
        *labels,
    )
    assert (code, said.splitlines()[0]) == (0, receiver)
    (hooks,) = [
        each["webhook_configs"] for each in read(ALERTS / "alertmanager.yml")["receivers"] if each["name"] == receiver
    ]
    assert [(hook["url"], hook["send_resolved"]) for hook in hooks] == [(f"http://localhost:9095/{receiver}", True)]


def test_a_page_waits_for_no_more_than_ten_seconds() -> None:
    routes = read(ALERTS / "alertmanager.yml")["route"]["routes"]
    (page,) = [route for route in routes if route["receiver"] == "page"]
    assert int(page["group_wait"].removesuffix("s")) <= 10
    assert int(page["group_interval"].removesuffix("s")) <= 15  # a second page joins the first at once


def test_what_is_worse_hides_what_follows_from_it_in_the_same_job_only() -> None:
    inhibitions = read(ALERTS / "alertmanager.yml")["inhibit_rules"]
    assert {tuple(rule["equal"]) for rule in inhibitions} == {("job",)}
    pairs = [(" ".join(rule["source_matchers"]), " ".join(rule["target_matchers"])) for rule in inhibitions]
    assert ('severity="critical"', 'severity="warning"') in pairs
    assert {re.findall(r"Postback\w+", source)[0] for source, _ in pairs if "alertname" in source} == {
        "PostbackDown",
        "PostbackNotReady",
    }
    named = {name for pair in pairs for text in pair for name in re.findall(r"Postback[A-Z]\w+", text)}
    assert named - set(alerts()) == set()
