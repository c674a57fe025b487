"""The commands other people's scripts rely on: their names, their help, their exit codes, their JSON."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.core
import typer.main

from service.cli import app
from service.core.outcome import Outcome
from service.settings import Settings
from tests.support.commands import Command
from tests.support.documents import REPOSITORY

COMMANDS = [
    "run",
    "send",
    "check",
    "lookup",
    "replay",
    "reprocess",
    "erase",
    "deletions",
    "doctor",
    "backup",
    "restore",
    "import",
    "export",
    "reconcile",
    "rejected",
    "migrate",
    "senders",
    "keys",
    "secrets",
]
ANSWERING = ["send", "check", "lookup", "replay", "erase", "deletions", "doctor", "import", "export", "reconcile"]
ANSWERING += [f"migrate {sub}" for sub in ("up", "down", "status", "copy")]
ANSWERING += [f"rejected {sub}" for sub in ("list", "show", "export")]
ANSWERING += [f"senders {sub}" for sub in ("add", "list", "show", "set", "disable", "enable")]
ANSWERING += [f"keys {sub}" for sub in ("create", "list", "revoke", "rotate")]
ANSWERING += [f"secrets {sub}" for sub in ("create", "list", "revoke")]
TARGETS = [
    "install",
    "parquet",
    "run",
    "stack",
    "quick",
    "test",
    "proofs",
    "soak",
    "lint",
    "fmt",
    "dashboards",
    "bench",
]
DATABASE = "data/postback.db"  # where the default setting puts it, in the bare folder


@pytest.mark.processes
@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_its_targets(target: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    dry = ["make", "--dry-run", "--always-make", target]
    told = subprocess.run(dry, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


def test_without_a_command_the_commands_are_listed(service: Command) -> None:
    ended = service()
    assert ended.code == 2
    for command in COMMANDS:
        assert f"  {command} " in ended.out + ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_says_what_it_does(service: Command, command: str) -> None:
    ended = service(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    usage, purpose, *_ = ended.out.split("\n\n")
    assert usage.startswith(f"Usage: python -m service {command} ")
    assert purpose.strip().endswith(".")


def test_every_option_and_argument_of_every_command_explains_itself() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert list(group.commands) == COMMANDS
    commands = dict(group.commands)
    for name, command in group.commands.items():
        commands |= {f"{name} {sub}": each for sub, each in getattr(command, "commands", {}).items()}
    parameters = [(name, each) for name, command in commands.items() for each in command.params]
    assert [(name, each.name) for name, each in parameters if not getattr(each, "help", None)] == []


@pytest.mark.parametrize("command", ANSWERING)
def test_the_help_of_a_command_that_answers_tells_its_exit_codes(service: Command, command: str) -> None:
    assert "Exit" in service(*command.split(), "--help").out


def test_the_help_of_run_shows_every_setting_with_its_default(service: Command) -> None:
    shown = " ".join(service("run", "--help").out.split())
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default in (None, "") else field.default
        assert f"POSTBACK_{name.upper()} {field.description} [{default}]" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["check"],
        ["lookup"],
        ["check", "/elsewhere?x=a"],
        ["check", "/postbacks?x=a"],
        ["check", "http://[::1/x"],
    ],
)
def test_bad_usage_ends_with_2_and_says_why_without_a_traceback(service: Command, arguments: list[str]) -> None:
    ended = service(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", [["run"], ["lookup", "came"], ["check", "/postback?c=a&value=1"]])
def test_wrong_settings_end_with_2_and_a_line_for_each(service: Command, command: list[str]) -> None:
    ended = service(*command, PORT="x", DATABASE_URL="postgresql://u:hunter2@h:port/d")
    assert (ended.code, ended.out) == (2, "")
    assert [line.partition(":")[0] for line in ended.err.splitlines()] == ["POSTBACK_PORT=x", "POSTBACK_DATABASE_URL"]
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"HOST": "192.0.2.1", "AUTH": "open"}, "192.0.2.1"),
        ({"HOST": "0.0.0.0"}, "POSTBACK_HOST=0.0.0.0"),
        ({"AUTH": "required"}, "POSTBACK_AUTH=required"),
        ({"DATABASE_URL": "sqlite:////dev/null/p.db"}, "/dev/null/p.db"),
    ],
    ids=["an address of others", "open to the world", "keys only", "no such folder"],
)
def test_a_start_that_cannot_be_is_refused_with_2_and_one_line(
    service: Command, settings: dict[str, str], reason: str
) -> None:
    ended = service("run", **{"PORT": "0", "OPERATOR_PORT": "0", "LOG_LEVEL": "critical", **settings})
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    assert reason in line


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("url", "code", "outcome"),
    [
        ("/postback?c=new&value=1", 0, "stored"),
        ("http://localhost:8000/conversion?c=new&value=1", 0, "stored"),
        ("/postback?c=came&value=1.5&currency=EUR", 0, "duplicate"),
        ("/postback?c=came&value=2", 0, "conflict"),
        ("/postback?c={click_id}&value=1", 1, "unexpanded_macro"),
        ("/postback?c=new&value=1,50", 1, "invalid_value"),
    ],
)
def test_check_foresees_the_outcome(service: Command, url: str, code: int, outcome: str) -> None:
    ended = service("check", url, "--json")
    answer = ended.answer()
    assert (ended.code, answer["outcome"], answer["status"]) == (code, outcome, Outcome[outcome.upper()].status)
    assert answer["hint"] == Outcome[outcome.upper()].hint or answer["mistake"]
    told = {"outcome", "status", "detail", "hint", "mistake", "sender", "known_by", "fields", "notes", "supposed"}
    assert set(answer) == told


def test_check_tells_what_would_become_of_a_pixel_and_that_it_is_answered_200(service: Command) -> None:
    ended = service("check", "http://127.0.0.1/pixel.gif?c=new&value=1,50")
    assert (ended.code, ended.out.splitlines()[0]) == (1, "invalid_value (HTTP 200): '1,50' is not an amount")
    ended = service("check", "/pixel.gif?c=new", "--json")
    answer = ended.answer()
    assert (ended.code, answer["outcome"], answer["status"]) == (1, "missing_value", 200)


def test_check_reads_a_url_as_another_sender_writes_it(service: Command) -> None:
    url = "/postback?cid=new&payout=1&et=sale&status=approved"
    assert service("check", url).out.startswith("missing_click_id (HTTP 400): absent\nhint: Send the click id as c: ")
    for answer in (
        service("check", "--preset", "voluum", url, "--json"),
        service("check", url, "--json", PRESET="voluum"),
    ):
        fields = answer.answer()["fields"]
        assert fields == {
            "sender": "voluum",
            "click_id": "new",
            "value": "1",
            "goal": "sale",
            "params": {"status": "approved"},
        }
    assert service("check", "--preset", "volum", url).code == 2


def test_check_reads_amounts_in_the_form_that_was_agreed(service: Command) -> None:
    for ended in (
        service("check", "/postback?c=new&value=1,50", "--numbers", "comma"),
        service("check", "/postback?c=new&value=150", NUMBERS="cents"),
    ):
        assert (ended.code, ended.out[:6]) == (0, "stored")
    ended = service("check", "/postback?c=new&value=1.50", "--numbers", "cents")
    assert (ended.code, ended.out[:13]) == (1, "invalid_value")


def test_check_names_a_test(service: Command) -> None:
    fields = service("check", "/postback?c=new&value=1&test=1", "--json").answer()["fields"]
    assert fields == {"sender": "ezmob", "click_id": "new", "value": "1", "is_test": True}


def test_check_tells_what_looks_odd_in_what_would_be_accepted(service: Command) -> None:
    ended = service("check", "/postback?c=1.50&value=2")
    assert ended.out.startswith("stored (HTTP 200)")
    assert ended.out.splitlines()[1] == "hint: Check c and value: the click id looks like an amount."


def test_check_stores_nothing_and_needs_no_database(service: Command, bare: Path) -> None:
    ended = service("check", "/postback?c=new&value=1&x=2")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("stored (HTTP 200)")
    assert list(bare.iterdir()) == []


def test_check_tells_a_person_what_is_wrong_and_what_to_do(service: Command) -> None:
    ended = service("check", "/postback?c=new&value=1,50")
    assert ended.out.splitlines() == [
        "invalid_value (HTTP 400): '1,50' is not an amount",
        "hint: Write value with a decimal point, and without a comma or separators of thousands.",
        "  sender          ezmob (open mode: no key is asked for)",
    ]


@pytest.mark.parametrize("content", [b"", b"long enough to be read as a header" * 9], ids=["empty", "text"])
@pytest.mark.parametrize(
    "command", [["lookup", "came"], ["check", "/postback?c=came&value=1"]], ids=["lookup", "check"]
)
def test_a_file_that_is_no_database_of_ours_is_no_answer(
    service: Command, bare: Path, command: list[str], content: bytes
) -> None:
    (bare / "data").mkdir()
    (bare / DATABASE).write_bytes(content)
    ended = service(*command)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


@pytest.mark.processes
@pytest.mark.usefixtures("bare")
def test_a_crash_of_the_service_is_told_in_its_log() -> None:
    program = """
import service.process.single_process
from service.settings import load_settings

def fail(*_): raise LookupError("the reason")
service.process.single_process.build_app = fail
service.process.single_process.run(load_settings(log_format="json"))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "the reason" in ended.stdout + ended.stderr
