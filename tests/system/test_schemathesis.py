"""Owns the proof that the description is true: Schemathesis gets no answer that is not in it, and no 5xx."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outside.harness import REPOSITORY, Service, clean_environment
from tests.support.outside.wire import Address

pytestmark = [pytest.mark.system, pytest.mark.proof]

EXAMPLES = {"short": ["--max-examples", "25", "--generation-deterministic"], "long": ["--max-examples", "2000"]}
# What inputs alone can lead to; an empty run would prove nothing. No schema asks for repeated_parameter: two texts of a
# field.
REACHED = {
    *("stored", "duplicate", "conflict", "missing_click_id", "invalid_click_id", "missing_value", "invalid_value"),
    *("invalid_currency", "invalid_status", "malformed_body", "unsupported_media_type"),
    *("illegal_transition", "too_large", "200", "207", "400", "404", "405", "409", "413", "415", "422"),
}


def test_every_answer_of_the_doors_is_described_and_none_is_5xx(
    tmp_path: Path, form: str, figures: Callable[[str], None]
) -> None:
    with Service(tmp_path) as service:
        figures(examined("openapi.json", service.public, tmp_path, form))
        outcomes = service.metrics().by_label("postback_received_total", "outcome")
        statuses = service.metrics().by_label("postback_http_responses_total", "code")
        assert REACHED - outcomes.keys() - statuses.keys() == set()
        assert failures(service) == {}


def test_every_answer_of_the_operator_listener_is_described_and_none_is_5xx(
    tmp_path: Path, form: str, figures: Callable[[str], None]
) -> None:
    with Service(tmp_path) as service:
        figures(examined("openapi-operator.json", service.operator, tmp_path, form))
        assert failures(service) == {}


def examined(document: str, listener: Address, folder: Path, form: str) -> str:
    """Return how many inputs there were; fail with the program's own report, which has a curl line for each finding."""
    url = "http://{}:{}".format(*listener)
    settings = str(REPOSITORY / "tests" / "system" / "schemathesis.toml")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", settings, "run"]
    options = ["--url", url, "--continue-on-failure", "--no-color", *EXAMPLES[form]]
    ended = subprocess.run(
        [*command, str(REPOSITORY / "docs" / document), *options],
        cwd=folder,
        env={**clean_environment(), "SCHEMATHESIS_HOOKS": "tests.support.outside.schemathesis_checks"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (generated,) = re.findall(r"\d+ generated, \d+ passed", ended.stdout)
    return str(generated)


def failures(service: Service) -> dict[tuple[str, str], float]:
    """Return how often each route answered 5xx, as the service counted it."""
    responses = [s for s in service.metrics() if s.name == "postback_http_responses_total" and s.value]
    return {(s.labels["route"], s.labels["code"]): s.value for s in responses if s.labels["code"].startswith("5")}
