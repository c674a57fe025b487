"""Naming the fields: an empty one was not sent, and of several names the sender's first that is not empty counts."""

from itertools import permutations

import pytest

from service.core.outcome import Outcome, Rejected
from service.core.parsing import parse
from service.core.postback import Postback
from service.core.presets import PRESETS
from service.core.roster import sender_from_preset
from service.core.sender import Sender
from tests.support import builders

OWN = sender_from_preset("keitaro", "own", fields={"sum": "value", "revenue": "goal"})


def parsed(query: str, sender: Sender | str = "ezmob") -> Postback:
    return parse(builders.raw(query), PRESETS[sender] if isinstance(sender, str) else sender)


@pytest.mark.parametrize("empty", ["", "=", "=+", "=%20%20", "=%09", "=%C2%A0"])
@pytest.mark.parametrize(
    ("preset", "name"), [(preset, name) for preset, sender in PRESETS.items() for name in sender.fields]
)
def test_an_optional_field_that_is_empty_was_not_sent(preset: str, name: str, empty: str) -> None:
    sender = PRESETS[preset]
    needed = "&".join(f"{sender.name_of(field)}=1" for field in sorted(sender.required))
    if sender.fields[name] in sender.required:
        return
    without, with_empty = parsed(needed, preset), parsed(f"{needed}&{name}{empty}", preset)
    assert with_empty._replace(raw=without.raw) == without


@pytest.mark.parametrize("name", ["value", "currency", "goal", "txid", "conversion_status"])
def test_null_and_an_empty_text_in_json_were_not_sent(name: str) -> None:
    sender = sender_from_preset("ezmob", "relaxed", required=frozenset({"click_id"}))
    for member in (b"null", b'""', b'"  "'):
        postback = parse(builders.posted(b'{"c":"a","%b":%b}' % (name.encode(), member)), sender)
        assert postback._replace(raw=None) == parsed("c=a", sender)._replace(raw=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sender", "query", "value", "params"),
    [
        ("keitaro", "subid=a&payout=5&revenue=10", "5", {"revenue": "10"}),
        ("keitaro", "subid=a&payout=&revenue=10", "10", {}),
        ("keitaro", "subid=a&payout=%20&revenue=10", "10", {}),
        ("keitaro", "subid=a&payout=5&revenue=", "5", {}),
        ("keitaro", "subid=a&payout=&revenue=", "", {}),
        ("keitaro", "subid=a&payout=0&revenue=10", "0", {"revenue": "10"}),
        ("appsflyer", "clickid=a&event_revenue=9&event_revenue_USD=10", "9", {"event_revenue_USD": "10"}),
        (OWN, "subid=a&payout=5&sum=6", "6", {"payout": "5"}),
        (OWN, "subid=a&payout=5&sum=", "5", {}),
    ],
    ids=str,
)
def test_the_first_name_that_is_not_empty_counts_whatever_the_order(
    sender: Sender | str, query: str, value: str, params: dict[str, str]
) -> None:
    for order in permutations(query.split("&")):
        postback = parsed("&".join(order), sender)
        assert (postback.click_id, postback.value, postback.params) == ("a", value, params)


@pytest.mark.parametrize(
    ("preset", "query", "field", "text"),
    [
        ("keitaro", "sub_id=b&subid=a", "click_id", "a"),
        ("keitaro", "sub_id=b&subid=", "click_id", "b"),
        ("binom", "clickid=b&cnv_id=a", "click_id", "a"),
        ("everflow", "transaction_id=a&adv_event_id=7&event_id=4", "goal", "4"),
        ("everflow", "transaction_id=a&adv_event_id=7", "goal", "7"),
        ("adjust", "click_id=a&event_token=bkrfgq&event_name=sale", "goal", "sale"),
        ("adjust", "click_id=a&event_token=bkrfgq", "goal", "bkrfgq"),
        ("redtrack", "clickid=a&rdtk_event_id=o-1", "transaction_id", "o-1"),
        ("ezmob", "c=a&value=1&txid=2&transaction_id=1", "transaction_id", "1"),
    ],
)
def test_each_field_has_its_order_of_names(preset: str, query: str, field: str, text: str) -> None:
    assert getattr(parsed(query, preset), field) == text


def test_what_a_sender_calls_a_goal_is_no_value_of_its() -> None:
    postback = parsed("subid=a&revenue=10&payout=5", OWN)
    assert (postback.goal, postback.value) == ("10", "5")


@pytest.mark.parametrize("query", ["c=a&c=b&value=1", "c=a&value=1&value=2", "c=a&value=1&goal=x&goal=y"])
def test_one_name_with_two_texts_is_not_guessed(query: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parsed(query)
    assert rejected.value.outcome is Outcome.REPEATED_PARAMETER


@pytest.mark.parametrize("query", ["c=a&c=a&value=1", "c=&c=a&value=1", "c=a&value=1&c=", "c=a&value=&value=1&value="])
def test_one_name_with_one_text_is_sent_once(query: str) -> None:
    postback = parsed(query)
    assert (postback.click_id, postback.value, postback.params) == ("a", "1", {})


@pytest.mark.parametrize(
    ("query", "currency", "kept"),
    [
        ("event_revenue_USD=10", "USD", {}),
        ("event_revenue_USD=10&event_revenue_currency=EUR", "USD", {"event_revenue_currency": "EUR"}),
        ("event_revenue_USD=10&event_revenue_currency=USD", "USD", {}),
        ("event_revenue_USD=10&event_revenue_currency=", "USD", {}),
        ("event_revenue=9&event_revenue_USD=10&event_revenue_currency=EUR", "EUR", {"event_revenue_USD": "10"}),
        ("event_revenue=9&event_revenue_USD=10", None, {"event_revenue_USD": "10"}),
        ("event_revenue=&event_revenue_USD=10&event_revenue_currency=eur", "USD", {"event_revenue_currency": "eur"}),
        ("event_revenue_USD=&event_revenue_currency=EUR", "EUR", {}),
        ("event_revenue_USD=", None, {}),
    ],
)
def test_a_name_may_say_the_currency_of_its_value(query: str, currency: str | None, kept: dict[str, str]) -> None:
    postback = parsed(f"clickid=a&{query}", "appsflyer")
    assert (postback.currency, postback.params) == (currency, kept)


@pytest.mark.parametrize(
    ("query", "currency", "kept"),
    [
        ("currency=USD", "USD", {}),
        ("currency=usd", "USD", {"currency": "usd"}),
        ("currency=Usd", "USD", {"currency": "Usd"}),
        ("currency=+USD+", "USD", {"currency": " USD "}),
        ("currency=usdt", "USDT", {"currency": "usdt"}),
        ("currency=HRK", "HRK", {}),
        ("currency=", None, {}),
    ],
)
def test_a_currency_is_canonical_and_what_was_sent_is_kept(query: str, currency: str, kept: dict[str, str]) -> None:
    sender = sender_from_preset("keitaro", "crypto", currencies=frozenset({"USDT", "HRK"}))
    postback = parsed(f"subid=a&payout=1&{query}", sender)
    assert (postback.currency, postback.params) == (currency, kept)


@pytest.mark.parametrize("currency", ["USDT", "HRK", "US", "EURO", "$", "840", "ÜSD", "ﬁm"])
def test_a_code_that_is_not_allowed_is_rejected(currency: str) -> None:
    with pytest.raises(Rejected) as rejected:
        parsed(f"c=a&value=1&currency={currency}")
    assert rejected.value.outcome is Outcome.INVALID_CURRENCY


def test_a_transaction_id_that_is_ignored_is_kept_under_the_name_it_was_sent_by() -> None:
    sender = sender_from_preset("ezmob", "click", duplicates="click")
    assert parsed("c=a&value=1&txid=7", sender).params == {"txid": "7"}
    assert parsed("c=a&value=1&txid=&transaction_id=8", sender).params == {"transaction_id": "8"}
