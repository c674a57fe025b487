"""What was rejected for its body, its parameters or its words before is stored by a replay, at its original moment."""

import pytest

from service.core.outcome import Outcome
from service.core.postback import RawPostback
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine
from tests.support.replayed import FORM, foreseen, outcomes, refused, replayed

_PART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
PARTS = _PART % (b"c", b"a") + _PART % (b"value", b"1")


@pytest.mark.parametrize(
    ("outcome", "raw"),
    [
        (Outcome.UNSUPPORTED_MEDIA_TYPE, builders.posted(b'{"c":"a","value":1}', "application/json; charset=utf-8;")),
        (Outcome.UNSUPPORTED_MEDIA_TYPE, builders.posted(b'{"c":"a","value":1}', "text/plain;charset=UTF-8")),
        (Outcome.UNSUPPORTED_MEDIA_TYPE, builders.posted(b"c=a&value=1", "")),
        (Outcome.UNSUPPORTED_MEDIA_TYPE, builders.posted(PARTS + b"--b--\r\n", "multipart/form-data; boundary=b")),
        (Outcome.UNSUPPORTED_MEDIA_TYPE, builders.posted(b"<x/>", "application/xml", query=b"c=a&value=1")),
        (Outcome.MISSING_CLICK_ID, builders.posted(b'{"c":"a","value":1}', FORM)),
        (Outcome.MALFORMED_BODY, builders.posted(b'{"c":"a","value":1,"custom":{"a":1}}')),
        (Outcome.TOO_MANY_PARAMETERS, builders.raw("c=a&value=1" + "&x=1" * 100)),
        (Outcome.REPEATED_PARAMETER, builders.raw("c=a&c=a&value=1")),
        (Outcome.REPEATED_PARAMETER, builders.posted(b'{"value":"1.0"}', query=b"c=a&value=1")),
        (Outcome.UNEXPANDED_MACRO, builders.raw("c=a&value=1&goal=(none)")),
        (Outcome.UNEXPANDED_MACRO, builders.raw("c=a&value=1&device=%device%")),
    ],
    ids=str,
)
def test_what_is_understood_by_now_is_stored_with_its_moment(
    engine: Engine, ledger: Ledger, outcome: Outcome, raw: RawPostback
) -> None:
    ledger.commit([refused("", outcome, raw=raw)])
    assert replayed(engine, ledger) == ["stored"]
    rows = engine.rows("SELECT click_id, value, is_test, received_at FROM conversion")
    assert rows == [("a", "1", 0, raw.received_at.strftime("%Y-%m-%d %H:%M:%S.%f"))]


@pytest.mark.parametrize("word", ["True", "TRUE", "yes", "on"])
def test_what_says_that_it_is_a_test_is_replayed_as_one(engine: Engine, ledger: Ledger, word: str) -> None:
    ledger.commit([refused(f"c=a&value=1&test={word}")])
    assert replayed(engine, ledger) == ["stored"]
    assert engine.rows("SELECT is_test, CAST(params AS text) FROM conversion") == [(1, "{}")]


@pytest.mark.parametrize("query", ["c=undefined&value=1", "c=a&value=1&txid=null", "c=%7Bclick_id&value=1"])
def test_a_placeholder_is_not_stored_by_a_replay_either(engine: Engine, ledger: Ledger, query: str) -> None:
    ledger.commit([refused(query, Outcome.INVALID_CURRENCY)])
    assert outcomes(foreseen(engine)) == [("unexpanded_macro", False)]


def test_what_is_nested_in_json_is_kept_as_text_on_every_engine(engine: Engine, ledger: Ledger) -> None:
    body = b'{"c":"a","value":1,"custom":{"a":[1.50,"\\u0000",true]},"ok":false}'
    ledger.commit([builders.postback("", method="POST", body=body, content_type="application/json")])
    ((params,),) = engine.rows("SELECT CAST(params AS text) FROM conversion")
    assert str(params).replace(" ", "") == '{"custom":"{\\"a\\":[1.50,\\"\\\\u0000\\",true]}","ok":"false"}'
