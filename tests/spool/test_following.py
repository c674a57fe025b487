"""Who must follow into the spool: whoever has the click id of something that waits there, and nobody else for long."""

from service.core.postback import Postback
from service.spool.following import MOST_REMEMBERED, Following
from tests.support import builders

A, B = builders.postback("c=a&value=1"), builders.postback("c=b&value=1")


def entered(*postbacks: Postback) -> Following:
    following = Following()
    following.enter(postbacks)
    following.entered(postbacks)
    return following


def test_only_the_same_click_id_follows() -> None:
    following = entered(A)
    assert following.must([builders.postback("c=a&value=2")])
    assert following.must([B, A])
    assert not following.must([B])
    assert not following.must([builders.rejection()])


def test_what_was_seen_to_have_left_holds_nobody_back() -> None:
    following = entered(A, B)
    following.look()
    following.seen(["b"])
    assert (following.must([A]), following.must([B])) == (False, True)


def test_what_enters_while_somebody_looks_is_not_forgotten() -> None:
    following = Following()
    following.enter([A])
    following.look()
    following.enter([B])
    following.entered([A, B])
    following.seen([])
    assert following.must([A])
    assert following.must([B])
    assert not following.anybody_entering


def test_what_was_found_at_the_start_is_followed() -> None:
    following = Following()
    following.found(["a"])
    assert (following.must([A]), following.must([B])) == (True, False)


def test_everybody_follows_a_backlog_that_nobody_has_seen() -> None:
    following = Following()
    assert not following.must([A])
    following.everybody()
    assert following.must([A])
    following.look()
    following.seen([])
    assert not following.must([A])


def test_memory_is_bounded_and_then_everybody_follows() -> None:
    following = entered(*(builders.postback(f"c={number}&value=1") for number in range(1000)))
    following.found([str(number) for number in range(MOST_REMEMBERED)])
    following.enter([A])
    assert following.must([builders.postback("c=never-seen&value=1")])
