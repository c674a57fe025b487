"""Strays: what a known sender sent by a method that its path does not take, or where health is asked for, is kept."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.auth.keys import digest
from service.storage.database import database_at
from tests.support import registration
from tests.support.registered import KEY, PUBLIC, text_of
from tests.support.served import Served, serving

pytestmark = pytest.mark.anyio

BATCH_KEY, PIXEL_KEY = text_of("batch"), text_of("pixel")
STRAYS = [
    *(("PUT", "/postback", "GET, POST"), ("DELETE", "/conversion/", "GET, POST"), ("PATCH", "/Postback", "GET, POST")),
    *(("POST", "/pixel.gif", "GET"), ("PUT", "/pixel.gif", "GET"), ("GET", "/postbacks", "POST")),
    *(("PUT", "/postbacks/", "POST"), ("BREW", "/postback", "GET, POST"), ("POST", "/healthz", "GET, HEAD")),
]
_NUMBERED = "SELECT door, sender, outcome, click_id, request_id, raw FROM rejected_postback"


@pytest.mark.parametrize(("method", "path", "allowed"), STRAYS)
async def test_a_click_that_came_by_a_wrong_method_is_kept_and_answered_405(
    served: Served, method: str, path: str, allowed: str
) -> None:
    answer = await served.public.request(method, f"{path}?c=a&value=1")
    assert (answer.status_code, answer.json()["outcome"]) == (405 if path != "/healthz" else 404, "unknown_path")
    assert answer.headers["x-postback-outcome"] == "unknown_path"
    assert answer.headers.get("allow") == (allowed if answer.status_code == 405 else None)
    assert "/postback, as GET or POST" in answer.json()["hint"]
    raw = f"{method} {path}?c=a&value=1".encode()
    assert served.rows(_NUMBERED) == [("postback", "ezmob", "unknown_path", "a", answer.headers["x-request-id"], raw)]
    line = served.only_line()
    assert (line["door"], line["outcome"], line["status"]) == ("postback", "unknown_path", answer.status_code)
    assert line["method"] == method
    assert served.counted() == {("postback", "unknown_path"): 1.0}
    assert served.counted("postback_arrived_total") == {("postback",): 1.0}
    assert served.counted("postback_conservation_drift") == {}


@pytest.mark.parametrize(("method", "path", "_allowed"), STRAYS)
async def test_its_answer_is_counted_as_that_of_no_route(served: Served, method: str, path: str, _allowed: str) -> None:
    before = set(served.counted_from_zero("postback_http_responses_total"))
    await served.public.request(method, f"{path}?c=a&value=1")
    after = served.counted("postback_http_responses_total")
    assert {route for route, _, _ in after} == {"unmatched"}
    assert set(after) <= before


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/postback", "/pixel.gif", "/postbacks"])
async def test_who_only_asks_sends_no_postback(served: Served, method: str, path: str) -> None:
    answer = await served.public.request(method, f"{path}?c=a&value=1")
    assert answer.status_code == 405
    assert "x-postback-outcome" not in answer.headers
    served.assert_untouched()


@pytest.mark.parametrize(("path", "body", "click_id"), [("/postback", b'{"c":"a"}', "a"), ("/pixel.gif", b"c=b", "b")])
async def test_its_body_is_kept_too(served: Served, path: str, body: bytes, click_id: str) -> None:
    content_type = "application/json" if body[:1] == b"{" else "application/x-www-form-urlencoded"
    method = "PUT" if path == "/postback" else "POST"
    answer = await served.public.request(method, path, content=body, headers={"content-type": content_type})
    assert answer.status_code == 405
    raw = f"{method} {path}\r\ncontent-type: {content_type}\r\n\r\n".encode() + body
    assert served.rows("SELECT click_id, raw FROM rejected_postback") == [(click_id, raw)]


@pytest.mark.parametrize("query", ["?ts=1", "?value=1", "?c=", ""])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_asks_after_health_and_names_no_click_is_told(served: Served, method: str, query: str) -> None:
    answer = await served.public.request(method, f"/healthz{query}")
    assert answer.status_code == 200
    served.assert_untouched()


async def test_a_click_that_is_named_where_health_is_asked_for_is_kept(served: Served) -> None:
    answer = await served.public.get("/healthz?c=a&value=1")
    assert (answer.status_code, answer.json()["outcome"]) == (404, "unknown_path")
    assert served.rows("SELECT click_id, raw FROM rejected_postback") == [("a", b"GET /healthz?c=a&value=1")]
    assert (await served.public.head("/healthz?c=a&value=1")).status_code == 200
    assert served.counted("postback_http_responses_total")[("unmatched", "GET", "404")] == 1.0


async def test_the_operator_listener_keeps_nothing(served: Served) -> None:
    assert (await served.operator.get("/healthz?c=a&value=1")).status_code == 200
    assert (await served.operator.put("/metrics?c=a&value=1")).status_code == 405
    served.assert_untouched()


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """Register a sender that has a key for each door."""
    path = tmp_path / "postback.db"
    database = database_at(f"sqlite:///{path}")
    ledger = database.ledger()
    ledger.open()
    senders = database.senders()
    senders.put_sender(registration.sender(preset="voluum"), new=True)
    senders.put_keys(
        registration.key(PUBLIC, secret_sha256=digest(KEY[17:]).hex()),
        *(
            registration.key(text[4:16], secret_sha256=digest(text[17:]).hex(), doors=[door])
            for door, text in (("batch", BATCH_KEY), ("pixel", PIXEL_KEY))
        ),
    )
    ledger.close()
    return path


@pytest.fixture
async def required(registered: Path) -> AsyncIterator[Served]:
    """Serve it: keys are required."""
    async with serving(registered) as service:
        yield service


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [("PUT", "/postback", KEY), ("GET", "/postbacks", BATCH_KEY), ("POST", "/pixel.gif", PIXEL_KEY)],
)
async def test_the_key_of_the_door_that_was_meant_proves_whose_it_is(
    required: Served, method: str, path: str, key: str
) -> None:
    answer = await required.public.request(method, f"{path}?cid=a&payout=1&key={key}")
    assert (answer.status_code, answer.json()["outcome"]) == (405, "unknown_path")
    assert required.rows("SELECT door, sender, click_id FROM rejected_postback") == [("postback", "acme", "a")]
    assert key[17:] not in repr(required.rows("SELECT * FROM rejected_postback")) + repr(required.lines.kept)


async def test_a_key_for_another_door_is_forbidden_whatever_the_method(required: Served) -> None:
    answer = await required.public.put(f"/postback?cid=a&payout=1&key={PIXEL_KEY}")
    assert (answer.status_code, answer.json()["outcome"]) == (403, "forbidden")
    assert "allow" not in answer.headers


async def test_a_monitor_that_shows_a_key_is_told_of_health(required: Served) -> None:
    for path in ("/healthz", "/healthz?ts=1"):
        answer = await required.public.get(path, headers={"authorization": f"Bearer {KEY}"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    required.assert_untouched()


@pytest.mark.parametrize("key", ["", "&key=wrong", f"&key={text_of('nobody')}"])
async def test_a_strangers_is_not_kept(required: Served, key: str) -> None:
    for method, path, status in (("PUT", "/postback", 405), ("GET", "/postbacks", 405), ("GET", "/healthz", 200)):
        answer = await required.public.request(method, f"{path}?cid=a&c=a&payout=1{key}")
        assert answer.status_code == status
        assert "x-postback-outcome" not in answer.headers
    required.assert_untouched()


async def test_what_could_not_be_kept_is_sent_again(served: Served) -> None:
    served.path.with_name("postback.db-wal").unlink()
    answer = await served.public.post("/pixel.gif?c=a&value=1")
    assert (answer.status_code, answer.json()["outcome"]) == (503, "storage_unavailable")
    assert served.only_line()["status"] == 503


async def test_a_batch_that_missed_its_door_is_to_be_sent_again(served: Served) -> None:
    batch, json = b'[{"c":"a","value":1}]', {"content-type": "application/json"}
    answer = await served.public.request("PUT", "/postbacks?c=a", content=batch, headers=json)
    assert answer.json()["outcome"] == "unknown_path"
    assert answer.json()["hint"] == "Send the batch again to /postbacks, as POST: it is not replayed as it is."
