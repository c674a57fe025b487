"""Replay of what was refused because nothing proved its sender: a person says whose it is, by key id and address."""

import asyncio

import pytest

from service.auth.keys import id_shown
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.core.roster import sender_from_preset
from service.operations.replay import Step, rehearse
from service.operations.replay_author import Author
from service.storage.ledger import Ledger
from service.storage.reads.quarantine import Chosen
from tests.support import builders
from tests.support.engines import Engine
from tests.support.registered import KEY, PUBLIC, text_of
from tests.support.replayed import WAITING, foreseen, outcomes, replayed

ACME, BETA = sender_from_preset("keitaro", "acme", numbers="comma"), sender_from_preset("ezmob", "beta")
OTHER = text_of("beta")[4:16]
NETWORK, ELSEWHERE = "192.0.2.7", "198.51.100.9"


def refused(
    query: str,
    sender: str | None = None,
    outcome: Outcome = Outcome.UNAUTHENTICATED,
    key_id: str | None = None,
    address: str = NETWORK,
) -> Rejection:
    """Return what was refused, as it is kept."""
    return Rejection(builders.raw(query, client_ip=address), sender, outcome, "no such API key", None, key_id=key_id)


def as_acme(**changes: object) -> Author:
    """Return a person who says that it is acme's."""
    registered = {"acme": ACME, "beta": BETA}
    owners = {PUBLIC: "acme", OTHER: "beta"}
    return Author("maria", registered=registered, claims=ACME, key_owners=owners, **changes)  # type: ignore[arg-type]  # what a test changes


@pytest.mark.parametrize(
    ("kept", "becomes"),
    [
        (refused("subid=a&payout=1,50"), ("stored", "acme", 1_500_000)),
        (refused("subid=a&payout=1,50", key_id=PUBLIC), ("stored", "acme", 1_500_000)),
        (refused("subid=a&payout=1,50", key_id="0" * 12), ("stored", "acme", 1_500_000)),  # of nobody that is known
        (refused("subid=a&payout=1,50", outcome=Outcome.RATE_LIMITED), ("stored", "acme", 1_500_000)),
        (refused("subid=a&payout=1,50", "acme", Outcome.FORBIDDEN), ("stored", "acme", 1_500_000)),
        (refused("subid=a&payout=1,50", "ezmob", Outcome.MISSING_CLICK_ID), ("stored", "acme", 1_500_000)),  # open mode
        (refused("subid=a&payout=x"), ("invalid_value", None, None)),
        (refused("c=a&value=1"), ("missing_click_id", None, None)),  # by acme's rules, not the configured sender's
        (refused("subid=a&payout=1,50", key_id=OTHER), ("unauthenticated", None, None)),  # beta's key
        (refused("subid=a&payout=1,50", "beta", Outcome.FORBIDDEN), ("forbidden", None, None)),
        (refused("c=a&value=x", "beta", Outcome.INVALID_VALUE), ("invalid_value", None, None)),
        (refused("c=a&value=1", "beta", Outcome.UNKNOWN_PATH), ("unknown_path", None, None)),  # good, and beta's own
        (refused("subid=a&payout=1,50", "acme", Outcome.UNKNOWN_PATH), ("stored", "acme", 1_500_000)),
    ],
)
def test_it_is_judged_by_the_rules_of_the_one_who_is_named_and_stored_under_that_name(
    engine: Engine, ledger: Ledger, kept: Rejection, becomes: tuple[str, str | None, int | None]
) -> None:
    ledger.commit([kept])
    outcome, sender, micros = becomes
    assert outcomes(foreseen(engine, as_acme())) == [(outcome, sender is not None)]
    assert replayed(engine, ledger, as_acme()) == ([outcome] if sender else [])
    rows = engine.rows("SELECT sender, value_micros, received_at, door FROM conversion")
    assert rows == ([(sender, micros, "2026-01-02 03:04:05.678901", "replay")] if sender else [])


def test_it_is_recorded_who_said_so_and_whose_it_became(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("subid=a&payout=1,50")])
    replayed(engine, ledger, as_acme())
    ((request_id,),) = engine.rows("SELECT request_id FROM rejected_postback")
    (replay,) = engine.database.quarantine().replays_of([str(request_id)]).values()
    assert (replay.replayed_by, replay.outcome, replay.rules and replay.rules["name"]) == ("maria", "stored", "acme")


def test_without_a_name_nobody_is_believed_and_vouching_is_for_the_configured_sender(
    engine: Engine, ledger: Ledger
) -> None:
    ledger.commit([refused("c=a&value=1", key_id=PUBLIC)])
    assert outcomes(foreseen(engine, Author("me"))) == [("unauthenticated", False)]
    assert outcomes(foreseen(engine, Author("me", vouches=True))) == [("stored", True)]


def test_the_groups_say_which_key_came_from_where(engine: Engine, ledger: Ledger) -> None:
    ledger.commit(
        [
            refused("subid=a&payout=1", key_id=PUBLIC),
            refused("subid=b&payout=1", key_id=PUBLIC),
            refused("subid=c&payout=1", address=ELSEWHERE),
            refused("subid=d&payout=1", "ezmob", Outcome.MISSING_CLICK_ID),
            refused("subid=e&payout=x", "acme", Outcome.INVALID_VALUE),
        ]
    )
    report = asyncio.run(rehearse(engine.database, WAITING, as_acme()))
    assert report.in_order() == [
        (Step("unauthenticated", "stored", changes=True, key_id=PUBLIC, client_ip=NETWORK, key_sender="acme"), 2),
        (Step("missing_click_id", "stored", changes=True, sender="ezmob"), 1),
        (Step("unauthenticated", "stored", changes=True, client_ip=ELSEWHERE), 1),
        (Step("invalid_value", "invalid_value", changes=False), 1),
    ]


def test_the_first_that_stays_says_what_is_wrong_by_the_rules_of_the_one_who_is_named(
    engine: Engine, ledger: Ledger
) -> None:
    wrong = [refused(f"subid=s{amount}&payout={amount}") for amount in ("14.50", "15.50")]
    ledger.commit([*wrong, refused("subid=a&payout=1,50"), refused("subid=b&payout=1,50", key_id=OTHER)])
    report = asyncio.run(rehearse(engine.database, WAITING, as_acme()))
    assert [(step.before, step.after, step.key_sender, number) for step, number in report.in_order()] == [
        ("unauthenticated", "stored", None, 1),
        ("unauthenticated", "invalid_value", None, 2),
        ("unauthenticated", "unauthenticated", "beta", 1),
    ]
    (example,) = report.examples.values()
    advice = "Write payout with a decimal comma, and without a point or separators of thousands."
    assert example == (wrong[0].raw.request_id, f"'14.50' is not an amount. {advice}")


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Chosen(), 3),
        (Chosen(key_id=PUBLIC), 1),
        (Chosen(client_ip=ELSEWHERE), 1),
        (Chosen(key_id=PUBLIC, client_ip=ELSEWHERE), 0),
    ],
)
def test_a_person_chooses_by_key_and_by_address(engine: Engine, ledger: Ledger, chosen: Chosen, found: int) -> None:
    ledger.commit([refused("c=a", key_id=PUBLIC), refused("c=b", address=ELSEWHERE), refused("c=c")])
    assert len(engine.database.quarantine().newest(chosen, 10)) == found


@pytest.mark.parametrize(
    ("sender", "outcome", "door", "address"),
    [
        (None, Outcome.UNAUTHENTICATED, "postback", NETWORK),
        (None, Outcome.RATE_LIMITED, "postback", NETWORK),
        ("acme", Outcome.FORBIDDEN, "batch", NETWORK),
        (None, Outcome.UNAUTHENTICATED, "pixel", None),  # a visitor's
        ("acme", Outcome.INVALID_VALUE, "postback", None),  # a known sender's: nobody needs to ask
        ("acme", Outcome.RATE_LIMITED, "postback", None),
    ],
)
def test_an_address_is_kept_only_where_it_tells_whose_it_may_be(  # noqa: PLR0913 - a table's columns
    engine: Engine, ledger: Ledger, *, sender: str | None, outcome: Outcome, door: str, address: str | None
) -> None:
    raw = builders.raw("c=a", client_ip=NETWORK, door=door)
    ledger.commit([Rejection(raw, sender, outcome, "", None)])
    assert engine.rows("SELECT client_ip, key_id FROM rejected_postback") == [(address, None)]


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ([KEY], PUBLIC),
        (["wrong", KEY], PUBLIC),
        ([KEY[:30]], PUBLIC),  # cut off on its way
        ([KEY + "x"], PUBLIC),
        ([f"pbk_{PUBLIC}_redacted"], PUBLIC),
        ([KEY[:16]], None),
        ([KEY[:17]], None),
        ([KEY[17:]], None),
        (["hunter2"], None),
        (["pbk_TWELVELETTER_x"], None),
        ([""], None),
        ([], None),
    ],
)
def test_only_the_public_id_of_what_has_the_form_of_a_key_is_kept(texts: list[str], shown: str | None) -> None:
    assert id_shown(texts) == shown
