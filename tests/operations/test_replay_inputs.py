"""What a replay makes of each kept input: whose it is, whether it is whole, and read back as it arrived."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.outcome import Outcome
from service.core.parameters import MAX_BODY_BYTES
from service.core.postback import RawPostback
from service.core.roster import sender_from_preset
from service.operations.kept_input import raw_again
from service.storage.ledger import Ledger
from service.storage.schema.tables import RejectedPostback
from tests.support import builders
from tests.support.engines import Engine
from tests.support.replayed import FORM, ME, foreseen, outcomes, refused, replayed


@pytest.mark.parametrize("outcome", [Outcome.UNAUTHENTICATED, Outcome.FORBIDDEN])
@pytest.mark.parametrize("sender", [None, "ezmob"])
def test_what_came_without_proof_of_its_sender_needs_somebody_who_vouches(
    engine: Engine, ledger: Ledger, outcome: Outcome, sender: str | None
) -> None:
    ledger.commit([refused("c=a&value=1", outcome, sender)])
    assert outcomes(foreseen(engine)) == [(outcome.value, False)]
    assert replayed(engine, ledger, replace(ME, vouches=True)) == ["stored"]


def test_whatever_the_word_nobody_vouches_for_an_unknown_or_another_sender(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1", sender=None), refused("c=b&value=1", sender="somebody")])
    assert outcomes(foreseen(engine)) == [("invalid_value", False)] * 2
    assert outcomes(foreseen(engine, replace(ME, vouches=True))) == [("stored", True), ("invalid_value", False)]


def test_a_registered_sender_goes_before_the_preset_of_its_name(engine: Engine, ledger: Ledger) -> None:
    acme, voluum = sender_from_preset("tune", "acme"), sender_from_preset("tune", "voluum", numbers="comma")
    ledger.commit([refused("transaction_id=a&amount=1", sender="acme")])
    ledger.commit([refused("transaction_id=b&amount=1,50", sender="voluum")])
    assert outcomes(foreseen(engine)) == [("invalid_value", False), ("missing_click_id", False)]
    known = replace(ME, registered={"acme": acme, "voluum": voluum})
    assert replayed(engine, ledger, known) == ["stored", "stored"]
    stored = engine.rows("SELECT sender, click_id, value FROM conversion ORDER BY click_id")
    assert stored == [("acme", "a", "1"), ("voluum", "b", "1,50")]


@pytest.mark.parametrize(
    "raw",
    [
        builders.posted(b"c=a&value=12", FORM, complete=False),
        builders.posted(b"c=a&value=1&x=" + b"x" * MAX_BODY_BYTES, FORM),
        builders.posted(b"c=a&value=1", FORM, content_encoding="gzip"),
        builders.raw("c=a&value=1", method="POST", complete=False),
    ],
    ids=["hung up", "cut by us", "encoded", "hung up before the body"],
)
def test_a_body_that_is_not_whole_or_not_plain_is_never_accepted(
    engine: Engine, ledger: Ledger, raw: RawPostback
) -> None:
    ledger.commit([refused("", Outcome.UNAUTHENTICATED, None, raw)])
    ((_, changes),) = outcomes(foreseen(engine, replace(ME, vouches=True)))
    assert not changes


def test_bytes_that_we_did_not_write_are_left_alone(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1")])
    raw = "x'00'" if engine.kind == "sqlite" else "'\\x00'"
    engine.change(f"UPDATE rejected_postback SET raw = {raw}, outcome = 'of_tomorrow'")  # noqa: S608 - our own bytes
    assert outcomes(foreseen(engine)) == [("of_tomorrow", False)]


def test_a_row_of_a_batch_is_replayed_and_a_whole_batch_is_not_taken_for_one_postback(
    engine: Engine, ledger: Ledger
) -> None:
    row = builders.raw("c=a&value=1")
    ledger.commit([refused("", raw=row._replace(request_id=f"{row.request_id}-1")), refused("c=b&value=1")])
    engine.change("UPDATE rejected_postback SET door = 'batch'")
    assert outcomes(foreseen(engine)) == [("stored", True), ("invalid_value", False)]


BODIES = st.binary(min_size=1, max_size=80)
ENCODED = st.sampled_from(["", "gzip", "identity"])


@given(query=st.binary(max_size=60), body=BODIES, encoding=ENCODED, complete=st.booleans(), posts=st.booleans())
def test_whatever_was_kept_is_read_back_as_it_arrived(
    query: bytes, body: bytes, encoding: str, *, complete: bool, posts: bool
) -> None:
    query = query.replace(b"\r", b"").replace(b"\n", b"")  # no request line holds them
    sent = builders.raw(query)
    if posts:
        sent = builders.posted(body, FORM, query=query, content_encoding=encoding, complete=complete)
    row = RejectedPostback(
        received_at=sent.received_at,
        door="postback",
        sender=None,
        click_id=None,
        outcome="x",
        detail="",
        raw=sent.as_sent(),
        request_id=sent.request_id,
    )
    again = raw_again(row)
    new = again.request_id
    assert again == sent._replace(body=again.body, host=b"", client_ip="", request_id=new, trace_id=new)
    assert again.body == sent.legible()
