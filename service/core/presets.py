"""Owns the presets: how EZmob and the platforms of its trade write a postback, each by its own documentation."""

from collections.abc import Mapping

from service.core.sender import Field, Sender

_CLICK_ID: frozenset[Field] = frozenset({"click_id"})

# EZmob's postback URL is `/conversion?c={click_id}&value={value}` (EZmob help desk); the other names are the trade's.
EZMOB = Sender(
    name="ezmob",
    fields={
        "c": "click_id",
        "value": "value",
        "currency": "currency",
        "goal": "goal",
        "transaction_id": "transaction_id",
        "txid": "transaction_id",
        "conversion_status": "conversion_status",
    },
)

# How others write the same, each by its own documentation (docs/senders.md has the pages). Where one documents several
# names for a field, they stand in its order of preference. Their payout may be absent, because it may be fixed in the
# offer; what some of them call the transaction id is our click id.
_OTHERS = (
    Sender(
        "voluum",
        {"cid": "click_id", "payout": "value", "currency": "currency", "et": "goal", "txid": "transaction_id"},
        _CLICK_ID,
    ),
    Sender(
        "redtrack",
        {
            "clickid": "click_id",
            "sum": "value",
            "currency": "currency",
            "type": "goal",
            "rdtk_event_id": "transaction_id",
        },
        _CLICK_ID,
    ),
    Sender(
        "keitaro",
        {
            "subid": "click_id",
            "sub_id": "click_id",
            "payout": "value",
            "revenue": "value",
            "currency": "currency",
            "tid": "transaction_id",
            "status": "conversion_status",
        },
        _CLICK_ID,
    ),
    Sender(
        "binom",
        {
            "cnv_id": "click_id",
            "clickid": "click_id",
            "payout": "value",
            "cnv_currency": "currency",
            "cnv_status": "conversion_status",
        },
        _CLICK_ID,
    ),
    Sender(
        "bemob",
        {
            "cid": "click_id",
            "payout": "value",
            "currency": "currency",
            "txid": "transaction_id",
            "status": "conversion_status",
        },
        _CLICK_ID,
    ),
    Sender(
        "tune",
        {
            "transaction_id": "click_id",
            "amount": "value",
            "currency": "currency",
            "goal_id": "goal",
            "conversion_unique_id": "transaction_id",
        },
        _CLICK_ID,
    ),
    Sender(
        "everflow",
        {
            "transaction_id": "click_id",
            "amount": "value",
            "currency": "currency",
            "event_id": "goal",
            "adv_event_id": "goal",
            "order_id": "transaction_id",
        },
        _CLICK_ID,
    ),
    Sender(
        "appsflyer",
        {
            "clickid": "click_id",
            "event_revenue": "value",
            "event_revenue_USD": "value",
            "event_revenue_currency": "currency",
            "event_name": "goal",
            "event_id": "transaction_id",
        },
        _CLICK_ID,
        implied_currencies={"event_revenue_USD": "USD"},
    ),
    Sender(
        "adjust",
        {
            "click_id": "click_id",
            "revenue_float": "value",
            "currency": "currency",
            "event_name": "goal",
            "event_token": "goal",
            "transaction_id": "transaction_id",
        },
        _CLICK_ID,
    ),
)
PRESETS: Mapping[str, Sender] = {sender.name: sender for sender in (EZMOB, *_OTHERS)}
