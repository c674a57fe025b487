"""The documents: every word that can be seen from outside is described in them, and they describe no other."""

from service.app import build_app
from service.metrics import Metrics
from service.outcome import Outcome
from service.settings import PREFIX, Settings
from tests.contract.documents import table, words
from tests.engine.fakes import KeptLines, kept_log


def test_the_documented_outcomes_are_exactly_those_there_are() -> None:
    assert words("outcomes.md", "outcome") == [outcome.value for outcome in Outcome]


def test_each_outcome_is_documented_with_its_status_and_where_it_is_kept() -> None:
    for word, status, _, _, kept in table("outcomes.md", "outcome"):
        outcome = Outcome[word.upper()]
        assert status == str(outcome.status), word
        assert ("rejected_postback" in kept) is outcome.kept, word


def exported() -> dict[str, str]:
    """Return the type of every metric of ours, under the name that queries use."""
    metrics = Metrics()
    build_app(Settings.model_construct(), kept_log(KeptLines(), metrics), metrics)
    ours = [family for family in metrics.registry.collect() if family.name.startswith("postback_")]
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in ours}


def test_the_documented_metrics_are_exactly_those_there_are() -> None:
    documented = words("metrics.md", "metric")
    assert sorted(documented) == sorted(exported())


def test_each_metric_is_documented_with_its_type() -> None:
    documented = {row[0]: row[1] for row in table("metrics.md", "metric")}
    assert documented == exported()


def test_the_documented_settings_are_exactly_those_there_are() -> None:
    assert words("settings.md", "setting") == [PREFIX + name.upper() for name in Settings.model_fields]


def test_each_setting_is_documented_with_its_default() -> None:
    documented = {row[0]: row[1] for row in table("settings.md", "setting")}
    defaults = {PREFIX + name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert documented == {
        name: "unset" if default in (None, "") else str(default) for name, default in defaults.items()
    }
