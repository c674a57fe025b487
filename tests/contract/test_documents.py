"""The documents: every word that can be seen from outside is described in them, and they describe no other."""

import re
from pathlib import Path

import pytest

from service.core.outcome import Outcome
from service.settings import PREFIX, Settings
from service.telemetry.metrics.__main__ import main
from service.telemetry.metrics.catalogue import CATALOGUE, markdown_table
from tests.support.documents import REPOSITORY, document, table, words


def test_the_documented_outcomes_are_exactly_those_there_are() -> None:
    assert words("outcomes.md", "outcome") == [outcome.value for outcome in Outcome]


def test_each_outcome_is_documented_with_its_status_and_where_it_is_kept() -> None:
    for word, status, _, _, kept in table("outcomes.md", "outcome"):
        outcome = Outcome[word.upper()]
        assert status == str(outcome.status), word
        assert ("rejected_postback" in kept) is outcome.kept, word


def test_the_documented_metrics_are_the_declared_ones_word_for_word() -> None:
    assert markdown_table() in document("metrics.md")


def test_every_metric_that_a_document_names_is_declared() -> None:
    texts = [
        path.read_text(encoding="utf-8") for path in [*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md"]
    ]
    named = set(re.findall(r"\bpostback_[a-z_]+", "\n".join(texts)))
    assert named - {declared.name for declared in CATALOGUE} == set()


def test_the_documented_settings_are_exactly_those_there_are() -> None:
    assert words("settings.md", "setting") == [PREFIX + name.upper() for name in Settings.model_fields]


def test_each_setting_is_documented_with_its_default() -> None:
    documented = {row[0]: row[1] for row in table("settings.md", "setting")}
    defaults = {PREFIX + name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert documented == {
        name: "unset" if default in (None, "") else str(default) for name, default in defaults.items()
    }


def test_the_generator_mends_the_table_and_touches_nothing_else(tmp_path: Path) -> None:
    stale = tmp_path / "metrics.md"
    stale.write_text(document("metrics.md").replace("| gauge |", "| gouge |"), encoding="utf-8")
    assert main([str(stale)]) == 0
    assert stale.read_text(encoding="utf-8") == document("metrics.md")


@pytest.mark.parametrize("arguments", [[], ["/nowhere/metrics.md"], [__file__], ["a", "b"]])
def test_the_generator_says_what_it_needs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err
