"""The program under its two names: what an installed `postback` and `python -m service` say of themselves."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.version import VERSION
from tests.support.documents import REPOSITORY
from tests.support.outside.harness import clean_environment

pytestmark = pytest.mark.processes

Typed = Callable[..., subprocess.CompletedProcess[str]]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def postback(tmp_path: Path) -> Typed:
    """Type `postback …` in an empty folder: a script that does what the installed one does."""
    module, _, name = PROJECT["project"]["scripts"]["postback"].partition(":")
    script = tmp_path / "bin" / "postback"
    script.parent.mkdir()
    script.write_text(f"import sys\nfrom {module} import {name}\nsys.exit({name}())\n", encoding="ascii")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def typed(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=elsewhere,
            env={**clean_environment(), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return typed


def in_checkout(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Type `python -m service …`."""
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, check=False)


def test_the_version_is_told_and_is_the_one_that_is_packed(postback: Typed) -> None:
    assert postback("--version").stdout.startswith(f"postback {VERSION} (revision ")
    assert in_checkout("--version").stdout == postback("--version").stdout
    assert PROJECT["project"]["version"] == VERSION


def test_only_the_service_is_packed() -> None:
    assert PROJECT["tool"]["flit"]["module"]["name"] == "service"


@pytest.mark.parametrize("command", [(), ("lookup",), ("keys",), ("keys", "create"), ("run",)], ids=str)
def test_help_has_a_short_name_everywhere(postback: Typed, command: tuple[str, ...]) -> None:
    short, long = postback(*command, "-h"), postback(*command, "--help")
    assert (short.returncode, short.stdout, short.stderr) == (0, long.stdout, "")


def test_help_and_messages_name_the_program_as_it_was_typed(postback: Typed) -> None:
    for typed, name, other in ((postback, "postback", "python -m service"), (in_checkout, "python -m service", None)):
        told = typed("keys", "create", "-h").stdout
        assert told.startswith(f"Usage: {name} keys create ")
        assert f"Example: {name} keys create ezmob" in told
        assert other is None or other not in told
    refused = postback("run", POSTBACK_AUTH="required", POSTBACK_PORT="0", POSTBACK_OPERATOR_PORT="0")
    assert (refused.returncode, "`postback keys create ezmob`" in refused.stderr) == (2, True)


def test_shells_complete_the_installed_command(postback: Typed) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it is the shell that the tests run in
    assert "-F _postback_completion postback" in postback("--show-completion", "bash", **named).stdout
    asked = {"_POSTBACK_COMPLETE": "complete_bash", "COMP_WORDS": "postback re", "COMP_CWORD": "1"}
    assert postback(**asked).stdout.split() == ["replay", "reprocess", "restore", "reconcile", "rejected"]
    assert "completion" not in in_checkout("-h").stdout  # a shell cannot complete `python -m service`


def test_workers_are_started_as_their_supervisor_was() -> None:
    tell = "import sys; sys.argv[0] = {!r}; from service.core.program import same_program; print(*same_program())"
    for argument, started in (("/opt/bin/postback", "/opt/bin/postback"), ("/x/service/__main__.py", "-m service")):
        command = [sys.executable, "-c", tell.format(argument)]
        ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
        assert ended.stdout.strip() == f"{sys.executable} {started}"
