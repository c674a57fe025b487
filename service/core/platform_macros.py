"""Owns what to paste into a platform: its own macros in the parameters of its preset, as docs/senders.md gives them."""

from collections.abc import Mapping
from urllib.parse import quote

from service.core.presets import EZMOB, PRESETS
from service.core.sender import Field, Sender

_FIRST: Mapping[Field, int] = {"click_id": 0, "value": 1}
# In the order of the URL; the text is empty where no page of the platform's documents the macro.
_MACROS: Mapping[str, Mapping[str, str]] = {
    "ezmob": {"c": "{click_id}", "value": "{value}"},
    "voluum": {"cid": "{externalid}", "payout": "{payout}"},
    "redtrack": {"clickid": "{ref_id}", "sum": "", "type": "", "rdtk_event_id": ""},
    "keitaro": {
        "subid": "{external_id}",
        "revenue": "{revenue}",
        "tid": "{tid}",
        "status": "{status}",
        "currency": "{currency}",
    },
    "binom": {
        "cnv_id": "{externalid}",
        "payout": "",
        "cnv_status": "{cnv_status}",
        "cnv_currency": "{cnv_currency}",
    },
    "bemob": {"cid": "{externalId}", "payout": "", "txid": "", "status": "{status}"},
    "tune": {"transaction_id": "{aff_sub}", "amount": "{amount}"},
    "everflow": {
        "transaction_id": "",
        "amount": "{sale_amount}",
        "event_id": "{event_id}",
        "order_id": "{order_id}",
    },
    "appsflyer": {"clickid": "", "event_revenue": "", "event_revenue_currency": "", "event_name": ""},
    "adjust": {
        "click_id": "{click_id}",
        "revenue_float": "{revenue_float}",
        "currency": "{currency}",
        "event_token": "{event}",
        "event_name": "{event_name}",
    },
}
_DEFAULT = EZMOB.name  # the preset of whoever named none: of the platform that sends it says nothing


def query_to_paste(sender: Sender, preset: str) -> str:
    """Return the query of a postback URL, such as `cid={externalid}&payout=<its macro for the value>`.

    Names of the sender's own stand in place of the preset's for the same field. What nobody fills in is rejected as
    `unexpanded_macro`, unless it is a goal.
    """
    known = preset != _DEFAULT or sender.name == _DEFAULT
    pasted = []
    for name, macro in _parameters(sender, preset):
        field = sender.fields[name].replace("_", " ")
        pasted.append(f"{quote(name)}={macro if macro and known else f'<its macro for the {field}>'}")
    return "&".join(pasted)


def _parameters(sender: Sender, preset: str) -> list[tuple[str, str]]:
    """Return the parameters and their macros: the click id, the value, and then the others."""
    named = PRESETS[preset].fields if preset in PRESETS else {}
    own: dict[Field, str] = {}
    for name, field in sender.fields.items():
        if named.get(name) != field:
            own.setdefault(field, name)
    pairs = [(name, "") for name in own.values()]
    for name, macro in _MACROS.get(preset, {}).items():
        if sender.fields[name] == named[name] and named[name] not in own:
            pairs.append((name, macro))
    return sorted(pairs, key=lambda pair: _FIRST.get(sender.fields[pair[0]], len(_FIRST)))
