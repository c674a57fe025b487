"""Owns what docker-compose.yml and the Dockerfile promise, read from the files: there is no engine here to run them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stack.configuration import ALERTS, Ports, configuration
from stack.programs import programs
from tests.support.compose import COMPOSE, SERVICES, described
from tests.support.documents import REPOSITORY
from tests.support.outside.tools import need

DOCKERFILE = REPOSITORY / "Dockerfile"
EXACT_TAG = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?")
NOT_OURS = {"/var/run/docker.sock"}  # mounted from the machine
NEEDS_NOBODY = {"service", "alertmanager", "loki"}  # and so waits for nobody

every_service = pytest.mark.parametrize("name", SERVICES)


def mounts(name: str) -> list[tuple[str, str, str]]:
    """Return source, target and options of each volume of a service."""
    parts = (volume.split(":") for volume in SERVICES[name]["volumes"])
    return [(source, target, "".join(options)) for source, target, *options in parts]


def mounted_at(name: str, target: str) -> Path:
    """Return what of the repository a path in a container shows; the longest mount wins."""
    found = [(to, source) for source, to, _ in mounts(name) if Path(target).is_relative_to(to)]
    to, source = max(found, key=lambda mount: len(mount[0]))
    return REPOSITORY / source / Path(target).relative_to(to)


def option(command: list[str], name: str) -> str:
    """Return what a command's option is set to."""
    (value,) = [word.removeprefix(f"--{name}=") for word in command if word.startswith(f"--{name}=")]
    return value


def script(name: str) -> str:
    """Return the program in a health check."""
    text: str = SERVICES[name]["healthcheck"]["test"][-1]
    return text


@pytest.mark.processes
def test_the_compose_file_is_valid_by_the_published_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout.strip()) == (0, "ok -- validation done")


@pytest.mark.processes
def test_hadolint_has_nothing_to_say_of_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    linted = subprocess.run(
        [hadolint, "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_services_that_the_issue_names_are_there_and_logs_are_a_profile() -> None:
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    always = dict.fromkeys(["service", "prometheus", "alertmanager", "receiver", "grafana"])
    assert profiles == always | {"loki": ["logs"], "alloy": ["logs"]}


@every_service
def test_an_image_has_an_exact_tag(name: str) -> None:
    assert EXACT_TAG.fullmatch(SERVICES[name]["image"])


def test_the_base_is_an_argument_with_an_exact_tag_and_the_only_one() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG BASE=(.+)$", text, re.MULTILINE)
    assert EXACT_TAG.fullmatch(base)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert SERVICES["receiver"]["image"] == base


def test_the_image_is_built_in_two_stages_from_the_hashed_lock_and_ends_as_a_user_without_rights() -> None:
    build, final = re.split(r"^FROM .+$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    (installed,) = re.findall(r"-m pip [^&]* install\b([^&]*)", build)
    assert {"--require-hashes", "--no-deps", "/opt/requirements.lock"} <= set(installed.split())
    assert "pip" not in final
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE) == ["10001:10001"] == [SERVICES["service"]["user"]]


@every_service
def test_a_container_is_hardened(name: str) -> None:
    service = SERVICES[name]
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) >= 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert any(entry.startswith("/tmp:size=") for entry in service["tmpfs"])  # noqa: S108 - the container's
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()


@every_service
def test_a_container_is_bounded_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["driver"] == "json-file"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@every_service
def test_a_health_check_asks_the_listener_itself(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "start_period", "retries"} <= check.keys()
    assert "127.0.0.1" in " ".join(check["test"]) or check["test"][1:] == ["/usr/bin/loki", "-health"]


@pytest.mark.processes
def test_the_python_and_bash_health_checks_are_programs() -> None:
    for name in ("service", "receiver"):
        compile(script(name), name, "exec")
    subprocess.run(["bash", "-n", "-c", script("alloy")], check=True, timeout=60)


def test_the_image_checks_its_health_as_compose_does() -> None:
    (written,) = re.findall(r'CMD \["python", "-c", "(.+)"\]', DOCKERFILE.read_text(encoding="utf-8"))
    named = "int(os.environ.get('POSTBACK_OPERATOR_PORT', '8001'))"
    assert written.replace(named, "8001").replace("http.client, os, sys", "http.client, sys") == script("service")


def test_whoever_needs_another_container_waits_until_it_is_healthy() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    assert {name for name, wait in waits.items() if not wait} == NEEDS_NOBODY
    conditions = [condition for wait in waits.values() for condition in wait.values()]
    assert conditions == [{"condition": "service_healthy"}] * len(conditions)


def test_who_watches_does_not_wait_for_the_watched() -> None:
    assert "service" not in SERVICES["prometheus"]["depends_on"]


@every_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for published in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", published)


def test_open_mode_is_said_only_beside_a_loopback_publish() -> None:
    """Open mode rests on 127.0.0.1 in front of the container: the image alone must not be open."""
    assert SERVICES["service"]["environment"]["POSTBACK_AUTH"] == "open"
    assert "127.0.0.1:8000:8000" in SERVICES["service"]["ports"]
    assert not re.search(r"^[^#]*POSTBACK_AUTH", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)


@every_service
def test_what_is_mounted_exists_and_cannot_be_written(name: str) -> None:
    volumes = described()["volumes"]
    for source, _, options in mounts(name):
        if source in volumes:
            assert options == ""
        else:
            assert options == "ro"
            assert source in NOT_OURS or (REPOSITORY / source).exists(), source


@every_service
def test_a_configuration_file_that_a_command_names_is_mounted(name: str) -> None:
    words = [word.split("=")[-1] for word in map(str, SERVICES[name].get("command", []))]
    for path in (word for word in words if word.startswith("/etc/")):
        assert mounted_at(name, path).is_file()


def test_compose_and_the_local_stack_run_on_the_same_files(tmp_path: Path) -> None:
    local = configuration(Ports(), tmp_path)
    prometheus = option(SERVICES["prometheus"]["command"], "config.file")
    alertmanager = option(SERVICES["alertmanager"]["command"], "config.file")
    assert mounted_at("prometheus", prometheus).resolve() == local.prometheus
    assert mounted_at("alertmanager", alertmanager).resolve() == local.alertmanager
    assert list(tmp_path.iterdir()) == []


def test_other_targets_are_the_only_difference(tmp_path: Path) -> None:
    """The targets of compose, of the local stack on its usual ports and on others: the same files, other addresses."""
    configuration(Ports(operator=1, alertmanager=2, receiver=3), tmp_path)
    inside = Path(option(SERVICES["prometheus"]["command"], "config.file")).parent / "targets"
    addresses = {
        folder: {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in folder.glob("*.yml")}
        for folder in (ALERTS / "targets", mounted_at("prometheus", str(inside)), tmp_path / "targets")
    }
    assert list(addresses.values()) == [
        {"postback.yml": [{"targets": [service]}], "alertmanager.yml": [{"targets": [alertmanager]}]}
        for service, alertmanager in [
            ("127.0.0.1:8001", "127.0.0.1:9093"),
            ("service:8001", "alertmanager:9093"),
            ("127.0.0.1:1", "127.0.0.1:2"),
        ]
    ]
    twin = {path.name for path in tmp_path.iterdir()} - {"targets", "alertmanager.yml"}
    assert twin == {"prometheus.yml"} | {path.name for path in ALERTS.glob("*.rules.yml")}
    assert all((tmp_path / name).resolve() == ALERTS / name for name in twin)
    committed = (ALERTS / "alertmanager.yml").read_text(encoding="utf-8")
    assert (tmp_path / "alertmanager.yml").read_text(encoding="utf-8") == committed.replace(":9095/", ":3/")


def test_prometheus_is_started_alike(tmp_path: Path) -> None:
    need("prometheus", "prometheus-alertmanager")
    (local,) = [
        list(program.command)
        for program in programs(Ports(), configuration(Ports(), tmp_path), tmp_path, {})
        if program.name == "prometheus"
    ]
    for name in ("enable-feature", "storage.tsdb.retention.time", "storage.tsdb.retention.size"):
        assert option(local, name) == option(SERVICES["prometheus"]["command"], name)
    assert option(local, "enable-feature") == "exemplar-storage"


def test_a_page_reaches_the_receiver_in_the_network_of_alertmanager() -> None:
    assert SERVICES["receiver"]["network_mode"] == "service:alertmanager"
    port = SERVICES["receiver"]["command"][-1]
    read = yaml.safe_load((ALERTS / "alertmanager.yml").read_text(encoding="utf-8"))
    urls = {hook["url"] for receiver in read["receivers"] for hook in receiver.get("webhook_configs", [])}
    assert urls == {f"http://localhost:{port}/page", f"http://localhost:{port}/ticket"}
    assert f"127.0.0.1:{port}:{port}" in SERVICES["alertmanager"]["ports"]


def test_nobody_can_log_in_to_grafana_and_a_visitor_only_looks() -> None:
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    for name in ("AUTH_ANONYMOUS_ENABLED", "AUTH_DISABLE_LOGIN_FORM", "SECURITY_DISABLE_INITIAL_ADMIN_CREATION"):
        assert settings[f"GF_{name}"] == "true"
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"
    assert not [name for name in settings if "PASSWORD" in name]


def test_log_labels_are_closed_sets() -> None:
    """A label makes a stream: an id of a request belongs into structured metadata."""
    text = (REPOSITORY / "stack" / "config.alloy").read_text(encoding="utf-8")
    found = re.findall(r"stage\.(labels|structured_metadata) {\s+values = {(.+?)}", text, re.DOTALL)
    assert {stage: re.findall(r"(\w+) +=", names) for stage, names in found} == {
        "labels": ["level", "event", "outcome"],
        "structured_metadata": ["sender", "request_id", "trace_id"],
    }


def test_the_builder_gets_only_what_the_image_is_made_of() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert allowed == {source for sources in copied for source in shlex.split(sources)}


def test_the_operator_listener_answers_to_the_name_by_which_it_is_scraped() -> None:
    (targets,) = yaml.safe_load(mounted_at("prometheus", "/etc/prometheus/alerts/targets/postback.yml").read_text())
    asked = {target.rpartition(":")[0] for target in targets["targets"]}
    assert asked == {SERVICES["service"]["environment"]["POSTBACK_OPERATOR_HOSTS"]}
