"""Owns what deploy/kubernetes promises, read from the files: there is no cluster here to apply them to."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.rules import ALERTS, WRITTEN, built, main
from service.settings import PREFIX, Settings
from tests.support.compose import SERVICES, Described
from tests.support.documents import REPOSITORY
from tests.support.outside.tools import need

FOLDER = REPOSITORY / "deploy" / "kubernetes"
SCHEMA = REPOSITORY / "deploy" / "kubernetes.schema.json"
MANIFESTS = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
NEXT = {"SPOOL"}  # a setting of the spool, which comes with it
PROMISED_SECONDS = 10  # from SIGTERM to the end

every_manifest = pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)


def read(name: str) -> Described:
    """Return one manifest."""
    described: Described = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return described


def pod() -> Described:
    """Return what the Deployment makes its pods of."""
    spec: Described = read("deployment.yaml")["spec"]["template"]["spec"]
    return spec


def containers() -> list[Described]:
    """Return the containers, those that run before the others too."""
    return [*pod()["initContainers"], *pod()["containers"]]


def serving() -> Described:
    """Return the container that serves."""
    (container,) = pod()["containers"]
    return dict(container)


def refusal(manifest: Described, folder: Path) -> str:
    """Return what the schema has against a manifest; empty if nothing."""
    path = folder / "manifest.yaml"
    path.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return check(path)


def check(path: Path) -> str:
    """Return what the schema has against a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if checked.returncode == 0 else checked.stdout + checked.stderr


@pytest.mark.processes
@every_manifest
def test_a_manifest_is_valid_by_the_schema(path: Path) -> None:
    assert check(path) == ""


@pytest.mark.processes
def test_the_schema_refuses_a_misspelt_field_at_any_depth_and_a_wrong_type(tmp_path: Path) -> None:
    manifest = read("deployment.yaml")
    manifest["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert "readynessProbe" in refusal(manifest, tmp_path)
    manifest = read("autoscaler.yaml")
    manifest["spec"]["minReplicas"] = "three"
    assert "three" in refusal(manifest, tmp_path)
    assert "Pod" in refusal({"apiVersion": "v1", "kind": "Pod"}, tmp_path)


def test_what_is_applied_is_every_manifest() -> None:
    assert sorted(read("kustomization.yaml")["resources"]) == [path.name for path in MANIFESTS]
    kinds = {read(path.name)["kind"] for path in MANIFESTS}
    assert kinds == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "PodMonitor",
        "PrometheusRule",
    }


def test_the_alerts_are_those_of_alerts_and_nothing_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_drift_is_shown_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = tmp_path / "rules.yaml"
    stale.write_text(built().replace("PostbackDown", "PostbackUp"), encoding="utf-8")
    assert main(["--check"], stale) == 1
    assert "+    - alert: PostbackDown" in capsys.readouterr().out
    assert main([], stale) == 0
    assert stale.read_text(encoding="utf-8") == built() == WRITTEN.read_text(encoding="utf-8")
    assert main(["--chekc"], stale) == 2


@pytest.mark.processes
def test_promtool_finds_as_many_rules_in_the_manifest_as_in_the_files(tmp_path: Path) -> None:
    need("promtool")
    (tmp_path / "all.yml").write_text(yaml.safe_dump(read("rules.yaml")["spec"]), encoding="utf-8")
    command = ["promtool", "check", "rules"]
    checked = subprocess.run([*command, tmp_path / "all.yml"], capture_output=True, text=True, check=False)
    files = subprocess.run([*command, *sorted(ALERTS.glob("*.rules.yml"))], capture_output=True, text=True, check=False)
    assert checked.returncode == files.returncode == 0
    found = [sum(map(int, re.findall(r"(\d+) rules found", ended.stdout))) for ended in (checked, files)]
    assert found[0] == found[1] > 30


def test_a_service_of_our_name_does_not_set_our_settings() -> None:
    """Kubernetes would set POSTBACK_PORT to a URL in every container."""
    assert pod()["enableServiceLinks"] is False


def test_every_variable_is_a_setting_and_no_password_is_written_down() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + name for name in NEXT}
    for container in containers():
        names = {variable["name"] for variable in container["env"]}
        assert {name.removesuffix("_FILE") for name in names} <= known
        assert PREFIX + "DATABASE_URL" not in names


def test_a_container_may_do_no_more_than_under_compose() -> None:
    service = SERVICES["service"]
    spec = pod()["securityContext"]
    assert f"{spec['runAsUser']}:{spec['runAsGroup']}" == service["user"]
    assert (spec["runAsNonRoot"], spec["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert pod()["automountServiceAccountToken"] is False
    for container in containers():
        assert container["image"] == service["image"]
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": service["read_only"],
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": service["cap_drop"]},
        }
        assert container["resources"]["limits"]["memory"] == service["mem_limit"].upper() + "i"


def test_a_pod_has_the_time_to_leave_the_load_balancers_and_then_to_finish() -> None:
    waits = serving()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits >= 5
    assert pod()["terminationGracePeriodSeconds"] >= waits + PROMISED_SECONDS
    readiness = serving()["readinessProbe"]
    assert readiness["timeoutSeconds"] < readiness["periodSeconds"]


def test_probes_ask_the_operator_port_and_none_of_them_asks_the_database() -> None:
    """All replicas share one database: a probe that asks it would take them out, or restart them, together."""
    probes = [serving()[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert probes == [{"path": "/healthz", "port": "operator"}] * 3


def test_ports_have_their_settings_defaults_and_only_the_public_one_is_a_service() -> None:
    ports = {port["name"]: port["containerPort"] for port in serving()["ports"]}
    fields = Settings.model_fields
    assert ports == {"public": fields["port"].default, "operator": fields["operator_port"].default}
    assert [port["targetPort"] for port in read("service.yaml")["spec"]["ports"]] == ["public"]


def test_only_prometheus_reaches_the_operator_port() -> None:
    rules = read("network.yaml")["spec"]["ingress"]
    opened = [(port["port"], rule.get("from")) for rule in rules for port in rule["ports"]]
    assert [port for port, _ in opened] == ["public", "operator"]
    assert [list(peer) for peer in dict(opened)["operator"]] == [["namespaceSelector"]]


def test_replicas_are_never_all_away_and_the_autoscaler_alone_says_how_many() -> None:
    spec = read("deployment.yaml")["spec"]
    assert "replicas" not in spec
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert read("autoscaler.yaml")["spec"]["minReplicas"] >= 3
    assert read("disruptions.yaml")["spec"]["maxUnavailable"] == 1
    assert read("autoscaler.yaml")["spec"]["scaleTargetRef"]["name"] == read("deployment.yaml")["metadata"]["name"]


def test_everything_selects_the_pods_that_the_deployment_makes() -> None:
    labels = read("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert read("deployment.yaml")["spec"]["selector"]["matchLabels"] == labels
    assert read("service.yaml")["spec"]["selector"] == labels
    assert read("network.yaml")["spec"]["podSelector"]["matchLabels"] == labels
    for name in ("disruptions.yaml", "monitor.yaml"):
        assert read(name)["spec"]["selector"]["matchLabels"] == labels


def test_metrics_are_scraped_under_the_job_that_rules_go_by() -> None:
    monitor = read("monitor.yaml")["spec"]
    labels = read("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    assert labels[monitor["jobLabel"]] == "postback"
    (endpoint,) = monitor["podMetricsEndpoints"]
    scraped = yaml.safe_load((ALERTS / "prometheus.yml").read_text(encoding="utf-8"))
    assert endpoint["interval"] == scraped["global"]["scrape_interval"]
    assert endpoint["scrapeTimeout"] == scraped["scrape_configs"][0]["scrape_timeout"]
