"""Owns what asking the dashboards' queries promises: Grafana's replacements, and that nothing wrong goes unsaid."""

import pytest

from tests.support.outside.panel_queries import (
    DAY,
    QUARTER,
    Json,
    Question,
    Reply,
    Span,
    complaints,
    opened,
    questions,
    replaced,
)

HEALTHY = Question("postback-overview", "Replicas", "panel", "up", QUARTER, 15)
QUIET = Question("postback-overview", "Firing alerts", "panel", "ALERTS", QUARTER, 15)


@pytest.mark.parametrize(
    ("seconds", "scrape", "expected"),
    [(QUARTER, 15, "[60s] 15s 900s"), (DAY, 15, "[101s] 86s 86400s"), (QUARTER, 1, "[4s] 1s 900s")],
)
def test_macros_are_replaced_as_grafana_does_for_the_range(seconds: int, scrape: int, expected: str) -> None:
    written = "[$__rate_interval] $__interval ${__range}"
    assert replaced(written, Span(seconds, scrape).macros()) == expected


def test_an_unknown_macro_is_refused() -> None:
    with pytest.raises(KeyError, match="__rate_intervall"):
        replaced("[$__rate_intervall]", Span().macros())


def test_variables_have_the_values_with_which_a_dashboard_opens() -> None:
    every: Json = {"name": "instance", "current": {"value": ["$__all"]}, "allValue": ".+"}
    some: Json = {"name": "job", "current": {"value": ["a", "b"]}, "allValue": ".+"}
    assert opened({"templating": {"list": [every, some]}}) == {"instance": ".+", "job": "a|b"}


def test_no_question_holds_anything_unreplaced_and_every_kind_is_asked() -> None:
    asked = questions(Span(chosen={"instance": "replica-1"}))
    assert [question for question in asked if "$" in question.expression] == []
    assert {question.kind for question in asked} == {"panel", "variable", "annotation"}
    assert any('instance=~"replica-1"' in question.expression for question in asked)


def test_a_range_never_has_more_points_than_prometheus_answers() -> None:
    assert all(question.seconds / question.step <= 11_000 for question in questions(Span(DAY, 1, points=10_000)))


def test_health_leaves_nothing_to_complain_of() -> None:
    assert complaints([Reply(HEALTHY, 2), Reply(QUIET, 0)]) == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(HEALTHY, 2, error="parse error"), "error: parse error"),
        (Reply(HEALTHY, 2, warnings=["slow"]), "warning: slow"),
        (Reply(HEALTHY, 0), "empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_panel(reply: Reply, said: str) -> None:
    assert complaints([reply]) == [f"{said}: {reply.question}"]
