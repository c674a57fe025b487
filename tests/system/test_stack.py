"""Owns `python -m stack`: the service and what watches it come up together, see one another, and go together."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.outside.asking import PATIENCE, ask, ask_json
from tests.support.outside.clock import shortened
from tests.support.outside.harness import REPOSITORY, clean_environment, wait_for
from tests.support.outside.tools import need

pytestmark = [pytest.mark.system, pytest.mark.proof]

RECEIVER = "stack.receiver"


class Stack:
    """`python -m stack` in a folder of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._out = directory / "out"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack", "--free-ports", "--data", str(directory / "kept"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=clean_environment(),
                start_new_session=True,
            )

    def text(self) -> str:
        """Return all that was printed until now."""
        return self._out.read_text(encoding="utf-8")

    def urls(self) -> dict[str, str]:
        """Wait until all are ready; return the URL that is printed for each."""

        def found() -> dict[str, str] | None:
            assert self.process.poll() is None, self.text()
            lines = dict(re.findall(r"^stack +\| (\w+) +(http://\S+)", self.text(), re.MULTILINE))
            return lines if "receiver" in lines else None

        return wait_for(found, PATIENCE)

    def children(self) -> list[int]:
        """Return the process ids of the programs that it started."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in listed.split()]


@contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Stack]:
    """Run a stack, and stop it whatever happens."""
    need("prometheus", "prometheus-alertmanager")
    stack = Stack(directory, *arguments)
    try:
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.process.terminate()
        stack.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run one stack for the tests that only look."""
    directory = tmp_path_factory.mktemp("stack")
    with running(directory, "--alerts", str(shortened(directory, 15))) as stack:
        yield stack.urls()


def test_it_prints_the_urls_of_all_and_each_answers(urls: dict[str, str]) -> None:
    assert list(urls) == ["service", "operator", "prometheus", "alertmanager", "receiver"]
    pages = [urls["prometheus"] + "/-/healthy", urls["alertmanager"] + "/-/healthy", urls["receiver"], urls["operator"]]
    assert [ask(page)[0] for page in pages] == [200, 200, 200, 200]
    assert ask(urls["service"] + "/healthz")[0] == 200


def compose_check(name: str, inside: str, outside: str) -> list[str]:
    """Return a health check of docker-compose.yml as a command, with another port than the container's."""
    text = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
    words: list[str] = yaml.safe_load(text)["services"][name]["healthcheck"]["test"][1:]
    return [word.replace(inside, outside) for word in words]


def test_the_health_checks_of_compose_tell_a_program_that_answers_from_none(urls: dict[str, str]) -> None:
    """Those that are programs are run; the others ask a page with wget, which is asked here without it."""
    port = {name: url.split(":")[2].split("/")[0] for name, url in urls.items()}
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        nobody = str(server.getsockname()[1])
    python = str(Path(sys.executable).parent)
    path = {"PATH": f"{python}:{os.environ['PATH']}"}
    for name, inside, outside in [
        ("service", "8001", port["operator"]),
        ("receiver", "9095", port["receiver"]),
        ("alloy", "12345", port["prometheus"]),  # the same path, and not to be had here itself
    ]:
        ended = [
            subprocess.run(
                compose_check(name, inside, to), env=path, check=False, capture_output=True, timeout=PATIENCE
            )
            for to in (outside, nobody)
        ]
        assert [end.returncode == 0 for end in ended] == [True, False], ended
    for name, inside in [("prometheus", "9090"), ("alertmanager", "9093")]:
        assert ask(compose_check(name, inside, port[name])[-1])[0] == 200


def test_prometheus_has_loaded_every_committed_rule(urls: dict[str, str]) -> None:
    groups = ask_json(urls["prometheus"] + "/api/v1/rules")["data"]["groups"]
    assert {Path(group["file"]).name for group in groups} == {
        path.name for path in (REPOSITORY / "alerts").glob("*.rules.yml")
    }
    assert all(group["rules"] for group in groups)


def test_prometheus_stores_exemplars(urls: dict[str, str]) -> None:
    flags = ask_json(urls["prometheus"] + "/api/v1/status/flags")["data"]
    assert flags["enable-feature"] == "exemplar-storage"


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "page"), ("warning", "ticket")])
def test_what_is_told_to_alertmanager_reaches_the_receiver_of_its_severity(
    urls: dict[str, str], severity: str, receiver: str
) -> None:
    name = f"Planted{severity.title()}"
    labels = {"alertname": name, "severity": severity, "job": name}  # of a job of its own: nothing there inhibits it
    alert = {"labels": labels, "annotations": {"summary": "for a test"}}
    assert ask(urls["alertmanager"] + "/api/v2/alerts", [alert])[0] == 200

    def arrived() -> list[tuple[str, str]]:
        kept = ask_json(urls["receiver"])
        return [(told["receiver"], told["status"]) for told in kept if told["labels"]["alertname"] == name]

    assert wait_for(arrived, PATIENCE) == [(receiver, "firing")]


def test_prometheus_scrapes_the_service(urls: dict[str, str]) -> None:
    def up() -> list[tuple[str, str]]:
        targets = ask_json(urls["prometheus"] + "/api/v1/targets?state=active")["data"]["activeTargets"]
        return [(target["labels"]["job"], target["scrapeUrl"]) for target in targets if target["health"] == "up"]

    assert wait_for(up, PATIENCE) == [("postback", urls["operator"])]


def test_prometheus_knows_alertmanager(urls: dict[str, str]) -> None:
    def known() -> list[str]:
        active = ask_json(urls["prometheus"] + "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        return [entry["url"] for entry in active]

    assert wait_for(known, PATIENCE) == [urls["alertmanager"] + "/api/v2/alerts"]


def test_a_postback_is_seen_in_prometheus(urls: dict[str, str]) -> None:
    assert ask(urls["service"] + "/postback?c=seen-by-prometheus&value=1.50") == (200, "Success")
    query = "/api/v1/query?query=postback_received_total%7Boutcome%3D%22stored%22%7D%20%3E%200"
    (series,) = wait_for(lambda: ask_json(urls["prometheus"] + query)["data"]["result"], PATIENCE)
    assert series["value"][1] == "1"


def left(children: Sequence[int]) -> list[int]:
    """Return which of these processes still run; one that has ended may wait for init to take its exit code."""
    return [pid for pid in children if _state(pid) not in ("", "Z")]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_of_them_the_service_first(tmp_path: Path, signum: signal.Signals) -> None:
    with running(tmp_path) as stack:
        stack.urls()
        children = stack.children()
        stack.process.send_signal(signum)
        assert stack.process.wait(PATIENCE) == 0
        assert (len(children), left(children)) == (4, [])
        text = stack.text()
        assert text.index('"event":"stopped"') < text.index("Received SIGTERM") < text.index("stack        | stopped")


def test_a_program_that_dies_ends_the_stack_and_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        stack.urls()
        children = stack.children()
        (receiver,) = [pid for pid in children if RECEIVER in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")]
        os.kill(receiver, signal.SIGKILL)
        assert stack.process.wait(PATIENCE) == 1
        assert stack.text().splitlines()[-1] == "stack: receiver ended with exit code -9"
        assert left(children) == []


def test_a_killed_stack_leaves_no_program_behind(tmp_path: Path) -> None:
    need("setpriv")
    with running(tmp_path) as stack:
        stack.urls()
        children = stack.children()
        stack.process.kill()
        stack.process.wait(PATIENCE)
        wait_for(lambda: not left(children), PATIENCE)


def refused(directory: Path, *arguments: str, **environment: str) -> list[str]:
    """Return what is printed by a stack that cannot be started."""
    ended = subprocess.run(
        [sys.executable, "-m", "stack", "--free-ports", *arguments],
        cwd=directory,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert list(directory.iterdir()) == []
    return ended.stderr.splitlines()


def test_a_program_that_is_not_installed_is_one_clear_line(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, PATH="/nowhere")
    assert line == "stack: prometheus is not installed: apt install prometheus prometheus-alertmanager"


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_what_is_no_port_is_said(tmp_path: Path, port: str) -> None:
    assert f"{port} is no port" in refused(tmp_path, f"--service-port={port}")[-1]


@pytest.mark.parametrize("name", ["service", "operator", "prometheus", "alertmanager", "receiver"])
def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path, name: str) -> None:
    need("prometheus", "prometheus-alertmanager")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        (line,) = refused(tmp_path, f"--{name}-port", port)
        assert f"port {port} ({name}) cannot be used" in line
        assert f"--{name}-port" in line
