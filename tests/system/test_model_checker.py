"""Owns the proof that the model's check can fail: of every kind of violation a history in which it must be found."""

from dataclasses import replace

import pytest

from tests.support.outside.model.checking import Check
from tests.support.outside.model.history import History, Row
from tests.support.outside.model.made import KEY, atomic, erased, found, moved, other_host, said, sent

pytestmark = pytest.mark.system


def test_a_lost_row_is_found() -> None:
    assert found(sent(1, "- 5", "stored", row=None)) == ["lost"]
    assert found(sent(1, "- 5", "stored"), sent(2, "- 5", "duplicate", row=None)) == ["lost"]
    assert found(sent(1, "- 5", "spooled", row=None)) == ["lost"]


def test_what_was_lost_before_an_erasure_and_what_was_lost_after_it_are_told_apart() -> None:
    before, after = sent(1, "- 5", "stored", row=None), sent(3, "- 5", "stored", row=None)
    assert found(before, erasures=(erased(2),)) == []
    assert found(after, erasures=(erased(2),)) == ["lost"]


def test_a_request_id_with_two_rows_is_found() -> None:
    event = sent(1, "- 5", "stored", tag="a")
    assert "doubled" in found(event, further=(Row("duplicate", "id-a", "duplicate", KEY, "postback", 1),))


def test_a_row_that_nobody_sent_is_found() -> None:
    row = Row("duplicate", "id-b", "duplicate", KEY, "postback", 1)
    assert found(sent(1, "- 5", "stored"), further=(row,)) == ["nobody's"]


def test_more_duplicates_than_were_sent_are_found() -> None:
    rows = tuple(Row("duplicate", f"id-{name}", "duplicate", KEY, "postback", 2) for name in "bc")
    assert found(sent(1, "- 5", "stored"), sent(2, "- 5", None, row=None), further=rows[:1]) == []
    assert found(sent(1, "- 5", "stored"), sent(2, "- 5", None, row=None), further=rows) == ["no order"]


def test_two_outcomes_of_one_postback_are_found() -> None:
    assert found(sent(1, "- 5", "stored"), sent(2, "- 7", "conflict", row="duplicate")) == ["two outcomes"]
    assert found(sent(1, "- 5", "overloaded", row="stored")) == ["not stored, they said"]


def test_an_order_against_real_time_is_found() -> None:
    assert found(sent(1, "- 5", "duplicate"), sent(2, "- 5", "stored")) == ["no order"]
    assert found(sent(1, "- 5", "duplicate", answered=2.5), sent(2, "- 5", "stored")) == []


def test_what_is_spooled_keeps_its_place_on_its_host() -> None:
    first, second = sent(1, "- 5", "spooled", row="conflict"), sent(2, "- 7", "spooled", row="stored")
    assert found(first, second) == ["no order"]
    assert found(first, other_host(second)) == []


def test_an_order_within_a_batch_is_found() -> None:
    rows = [
        sent(1, "- 5", "duplicate", group="batch", place=1, tag="first"),
        sent(1, "- 5", "stored", group="batch", place=2, tag="second"),
    ]
    assert found(*rows) == ["no order"]


def test_numbers_of_changes_that_no_order_gives_are_found() -> None:
    first = sent(1, "pending 5", "stored")
    assert found(first, sent(2, "approved 5", "updated", number=2)) == ["no order"]
    assert found(first, sent(2, "approved 5", "updated", number=2), sent(3, "refunded 5", "updated", number=1)) == [
        "no order"
    ]


def test_a_status_that_could_not_follow_is_found() -> None:
    assert found(sent(1, "refunded 5", "stored"), sent(2, "approved 5", "updated")) == ["no order"]
    paid = sent(1, "approved 5", "stored"), sent(2, "rejected 5", "updated")
    assert found(*paid) == []
    assert found(*paid, sent(3, "approved 6", "updated", number=2)) == ["no order"]
    assert found(sent(1, "pending 5", "stored"), sent(2, "approved 5", "illegal_transition")) == ["no order"]


def test_a_mistyped_refund_that_passes_for_a_repetition_is_found() -> None:
    sold = sent(1, "approved 5", "stored")
    assert found(sold, sent(2, "?refunde 5", "invalid_status")) == []
    assert found(sold, sent(2, "?refunde 5", "duplicate")) == ["no order"]
    assert found(sent(1, "?signup 5", "stored"), sent(2, "?signup 5", "invalid_status")) == ["no order"]
    assert found(sent(2, "refunded 5", "invalid_status"), sold) == ["no order"]


def test_a_word_that_was_kept_as_another_is_found() -> None:
    one, row = sent(1, "?signup 5", "stored")
    assert row
    assert found((one, replace(row, said=said("- 5")))) == ["another content"]
    assert found((one, replace(row, said=said("?deposit 5")))) == ["another content"]


def test_an_erased_postback_that_is_back_is_found() -> None:
    back = sent(1, "- 5", "storage_unavailable", row="stored")
    assert found(back, erasures=(erased(3),)) == ["erased and back"]
    assert found(sent(1, "- 5", "stored"), erasures=(erased(3),)) == ["erased and back"]


def test_a_conversion_that_inherits_an_erased_status_is_found() -> None:
    old = sent(1, "refunded 5", "stored", row=None)
    heir = sent(4, "approved 5", "illegal_transition")
    assert found(old, sent(3.9, "- 5", "stored"), heir, erasures=(erased(2),)) == ["no order"]


def test_a_change_without_its_conversion_is_found() -> None:
    old = sent(1, "pending 5", "stored", row=None)
    assert found(old, sent(4, "approved 5", "updated"), erasures=(erased(2),)) == ["no order"]


def test_two_conversions_of_one_key_are_found_beside_an_erasure_that_may_have_happened() -> None:
    perhaps = (erased(3, surely=False),)
    assert found(sent(1, "- 5", "stored"), sent(4, "- 7", "stored"), erasures=perhaps) == ["no order"]
    assert found(sent(1, "- 5", "stored", row=None), sent(4, "- 7", "stored"), erasures=perhaps) == []
    assert found(sent(1, "- 5", "stored", row=None), sent(4, "- 7", "conflict"), erasures=perhaps) == ["no order"]


def test_what_no_erasure_can_have_taken_is_found() -> None:
    beside = sent(3.2, "- 5", "stored", row=None)
    assert found(beside, erasures=(erased(3),)) == []
    assert found(sent(1, "- 5", "stored", row=None), beside, erasures=(erased(3),)) == ["no order"]


def test_an_erasure_that_left_the_conversion_took_nothing() -> None:
    lost = sent(2, "- 5", "duplicate", row=None)
    assert found(sent(1, "- 5", "stored"), lost, erasures=(erased(3, surely=False),)) == ["no order"]


def test_answers_are_checked_though_their_rows_are_erased() -> None:
    wrong = sent(2, "- 5", "conflict", row=None)
    assert found(sent(1, "- 5", "stored", row=None), wrong, erasures=(erased(3),)) == ["no order"]


def test_an_answer_against_the_order_of_erasures_is_found() -> None:
    old, both = sent(1, "- 5", "stored", row=None), (erased(2), erased(6))
    assert found(old, sent(4, "- 5", "duplicate", row=None), erasures=both) == ["no order"]
    seven, never = sent(0, "- 7", "stored", row=None), sent(1.2, "- 5", None, row=None)
    early = sent(1, "- 5", "duplicate", row=None)
    assert found(seven, never, early, erasures=both) == ["no order"]
    assert found(seven, never, sent(4, "- 5", "duplicate", row=None), erasures=both) == []


def test_an_erasure_that_the_book_does_not_date_counts_all_the_same() -> None:
    assert found(sent(1, "- 5", "stored"), erasures=(replace(erased(3), at=None),)) == ["no order"]


def test_an_odd_word_that_is_understood_too_early_is_found() -> None:
    one, row = sent(1, "approved 5", "stored")
    odd = replace(one, unset=said("?odd 5"))
    assert row
    assert [one.kind for one in Check(History([odd]), [row]).differences()] == ["another content"]
    assert Check(History([odd], understood_from=1.2), [row]).differences() == []
    as_sent = replace(row, said=said("?odd 5"))
    assert Check(History([odd]), [as_sent]).differences() == []
    assert Check(History([odd], understood_from=1.2), [as_sent]).differences() == []
    sold, known = sent(0, "refunded 5", "stored")
    late = replace(sent(1, "approved 5", "illegal_transition")[0], unset=said("?odd 5"))
    refused = replace(row, table="rejected_postback", outcome="illegal_transition", said=None)
    late.request_id = refused.request_id
    assert known
    assert [one.kind for one in Check(History([sold, late]), [known, refused]).differences()] == ["no order"]
    assert Check(History([sold, late], understood_from=1.2), [known, refused]).differences() == []


def test_the_rows_of_an_unanswered_batch_are_known_by_one_that_has_a_name() -> None:
    rows = [
        sent(1, "- 5", None, row=outcome, group="b", place=place)
        for place, outcome in ((1, "stored"), (2, "duplicate"))
    ]
    named = [
        (
            replace(one, door="batch", tag=f"tag-{one.place}"),
            row and replace(row, door="batch", request_id=f"x-{one.place}"),
        )
        for one, row in rows
    ]
    named[0] = (named[0][0], named[0][1] and replace(named[0][1], tag="tag-1"))
    other = sent(0.5, "- 5", None, row=None)
    assert found(*named, other) == []
    another = Row("duplicate", "y-2", "duplicate", KEY, "batch", 1)
    assert found(named[0], (named[1][0], None), further=(another,)) == ["nobody's"]


def test_a_row_from_another_time_is_nobodys() -> None:
    late = sent(100, "- 5", None, row=None)
    row = Row("duplicate", "id-b", "duplicate", KEY, "postback", 2)
    assert found(sent(1, "- 5", "stored"), late, further=(row,)) == ["nobody's"]


def test_half_of_an_atomic_batch_is_found() -> None:
    stored = sent(1, "- 5", "stored", tag="a")
    for other in (
        sent(1, "- 5", "storage_unavailable", row=None, tag="b"),
        sent(1, "- 5", "refused", row=None, tag="b"),
        sent(1, "- 5", "illegal_transition", tag="b"),
    ):
        assert "half of an atomic batch" in found(*map(moved, atomic(stored, other)))
    assert found(*map(moved, atomic(stored, sent(1, "- 5", "stored", tag="b")))) == []


def test_half_of_an_atomic_batch_is_found_beside_an_erasure() -> None:
    halves = [*map(moved, atomic(sent(1, "- 5", "stored", tag="a"), sent(1, "- 5", "illegal_transition", tag="b")))]
    erasure = replace(erased(3, surely=False), click_id="click-2")
    assert "half of an atomic batch" in found(*halves, erasures=(erasure,))
    gone = [halves[0], (replace(halves[1][0], answer="stored"), None)]
    assert found(*gone, erasures=(erasure,)) == []


def test_the_row_of_a_refused_batch_goes_with_each_click_id_in_it() -> None:
    first, _ = moved(atomic(sent(1, "- 5", "refused", row=None, tag="a"))[0])
    refused = replace(
        sent(1, "approved 5", "illegal_transition", row=None, tag="b")[0], atomic=True, request_id="whole"
    )
    refused.mentioned = frozenset({"click", "click-1"})
    stored = sent(0, "refunded 5", "stored")
    assert found(stored, (first, None), (refused, None)) == ["lost"]
    assert found(stored, (first, None), (refused, None), erasures=(replace(erased(3), click_id="click-1"),)) == []


def test_an_outcome_of_something_flawed_is_found() -> None:
    one, row = sent(1, "- 5", "stored")
    assert found((replace(one, rejected=frozenset({"invalid_value"})), row)) == ["another outcome"]
    one, row = sent(1, "- 5", "invalid_value")
    assert found((one, row)) == ["another outcome"]
    assert found((replace(one, rejected=frozenset({"invalid_value"})), row)) == []


def test_another_content_and_another_door_are_found() -> None:
    one, row = sent(1, "- 5", "stored")
    assert row
    assert found((one, replace(row, said=said("- 7")))) == ["another content"]
    assert found((one, replace(row, door="batch"))) == ["another door"]
