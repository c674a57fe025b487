"""The vocabulary: every word of the contract, and attributes that cannot contradict each other."""

import pytest

from service.core.outcome import Family, Outcome

CONTRACT = """
    stored duplicate conflict spooled unknown_path
    missing_click_id invalid_click_id unexpanded_macro missing_value invalid_value invalid_currency invalid_encoding
    repeated_parameter too_many_parameters malformed_body unsupported_media_type too_large unauthenticated forbidden
    rate_limited
    overloaded storage_unavailable internal_error
""".split()  # noqa: SIM905 - as the contract lists them


# Of the lifecycle of a conversion's status, which the contract leaves to the issue that adds it.
ADDED = ["updated", "invalid_status", "illegal_transition"]


def test_the_words_are_exactly_those_of_the_contract() -> None:
    words = [outcome.value for outcome in Outcome]
    assert [word for word in words if word not in ADDED] == CONTRACT
    assert [word for word in words if word in ADDED] == ADDED


@pytest.mark.parametrize("outcome", Outcome)
def test_status_says_whose_fault_it_is(outcome: Outcome) -> None:
    family = {2: Family.ACCEPTED, 4: Family.REJECTED, 5: Family.FAILED}[outcome.status // 100]
    family = Family.REJECTED if outcome is Outcome.ILLEGAL_TRANSITION else family  # and no repeat would mend it
    assert outcome.family is family
    assert outcome.acknowledged is (outcome.status == 200)
    assert outcome.our_fault is (family is Family.FAILED)
    assert outcome.retryable is (family is Family.FAILED or outcome.status == 429)
    assert outcome.kept is (family is Family.REJECTED or outcome is Outcome.CONFLICT)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_batch_that_is_refused_as_a_whole_is_told_no_success(outcome: Outcome) -> None:
    assert outcome.whole_status == (409 if outcome.acknowledged else outcome.status)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_one_line_hint_and_a_snake_case_name(outcome: Outcome) -> None:
    assert outcome.hint.endswith(".")
    assert "\n" not in outcome.hint
    assert "  " not in outcome.hint
    assert outcome.name == outcome.value.upper()
    assert outcome.level in {"info", "warning", "error"}


def test_an_outcome_counts_as_its_word() -> None:
    assert {Outcome.STORED: 1}["stored"] == 1  # type: ignore[index]  # the point: equal hash, equal word
