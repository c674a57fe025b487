"""What is kept of a postback: its input as it was sent, within bounds."""

import pytest

from service.core.outcome import Outcome
from service.core.postback import MAX_KEPT_BYTES, NO_STATUS, answered, answered_status, sent_status
from tests.support import builders


def test_the_kept_input_is_what_was_sent() -> None:
    assert builders.raw(b"c=a\xff&value=1").as_sent() == b"GET /postback?c=a\xff&value=1"
    sent = builders.posted(b'{"c":', query=b"x=1").as_sent()
    assert sent == b'POST /postback?x=1\r\ncontent-type: application/json\r\n\r\n{"c":'


def test_the_kept_input_is_bounded() -> None:
    assert len(builders.raw(b"x" * 10_000_000).as_sent()) == MAX_KEPT_BYTES + len("GET /postback?")


ROW, WHOLE = f"{'a' * 32}-1", "a" * 32


@pytest.mark.parametrize(
    ("door", "request_id", "outcome", "status"),
    [
        ("postback", WHOLE, Outcome.STORED, 200),
        ("postback", WHOLE, Outcome.ILLEGAL_TRANSITION, 200),
        ("postback", WHOLE, Outcome.UNKNOWN_PATH, 404),
        ("pixel", WHOLE, Outcome.INVALID_VALUE, 200),
        ("batch", ROW, Outcome.ILLEGAL_TRANSITION, 200),
        ("batch", WHOLE, Outcome.ILLEGAL_TRANSITION, 409),
        ("batch", WHOLE, Outcome.INVALID_STATUS, 400),
        ("batch", WHOLE, Outcome.OVERLOADED, 503),
    ],
)
def test_the_status_is_the_one_that_was_sent(door: str, request_id: str, outcome: Outcome, status: int) -> None:
    assert sent_status(door, outcome, request_id) == answered_status(door, outcome, request_id) == status
    assert answered_status("import", outcome, request_id) is None


@pytest.mark.parametrize(
    ("outcome", "detail", "told"),
    [
        (Outcome.STORED, "", Outcome.SPOOLED),
        (Outcome.CONFLICT, "", Outcome.SPOOLED),
        (Outcome.ILLEGAL_TRANSITION, "", Outcome.SPOOLED),
        (Outcome.INVALID_STATUS, f"{NO_STATUS}'refunde' is no status of ezmob's", Outcome.SPOOLED),
        (Outcome.INVALID_STATUS, "'refunde' is no status of ezmob's", Outcome.INVALID_STATUS),
        (Outcome.INVALID_VALUE, "", Outcome.INVALID_VALUE),
        (Outcome.UNKNOWN_PATH, "", Outcome.UNKNOWN_PATH),
    ],
)
def test_what_waited_in_a_spool_and_was_judged_afterwards_was_told_that(
    outcome: Outcome, detail: str, told: Outcome
) -> None:
    assert answered(outcome, detail, drained=True) is told
    assert answered(outcome, detail, drained=False) is outcome
