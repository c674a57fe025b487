"""Paths: a door is found however its path is written, and what a known sender sent to no door is kept."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.auth.keys import digest
from service.core.postback import door_path
from service.storage.database import database_at
from tests.support import builders, registration
from tests.support.migrated import put_migrated
from tests.support.registered import KEY, PUBLIC, text_of
from tests.support.served import Served, serving

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:8000"  # so that no client takes //postback for a host
TEST_KEY, PIXEL_KEY, IDLE_KEY, GONE_KEY = text_of("test"), text_of("pixel"), text_of("idle"), text_of("gone")
WRITTEN = {
    "/postback": ["/postback/", "//postback", "/postback//", "/Postback", "/POSTBACK/", "/postback%2F", "/%50ostback"],
    "/conversion": ["/conversion/", "//conversion//", "/CONVERSION", "/Conversion/"],
    "/pixel.gif": ["/pixel.gif/", "//pixel.gif", "/Pixel.GIF"],
    "/postbacks": ["/postbacks/", "//postbacks", "/Postbacks"],
}
ELSEWHERE = [
    *("/", "/postbak", "/track", "/postback.php", "/post/back", "/postback/x", "/pixel", "/pixelXgif", "/metrics"),
    *(
        "/readyz",
        "/healthz/",
        "/api/conversions",
        "/docs",
        "/postback&c=a",
        "/postback%00",
        "/postback%3F",
        "/post back",
    ),
]


@pytest.mark.parametrize(("door", "path"), [(door, path) for door, paths in WRITTEN.items() for path in [door, *paths]])
def test_a_path_means_its_door_however_it_is_written(door: str, path: str) -> None:
    assert door_path(path.replace("%2F", "/").replace("%50", "P")) == door


@pytest.mark.parametrize("path", ["", "*", "/healthz", *ELSEWHERE])
def test_any_other_path_means_no_door(path: str) -> None:
    assert door_path(path) is None


@pytest.mark.parametrize("path", [*WRITTEN["/postback"], *WRITTEN["/conversion"], *WRITTEN["/pixel.gif"]])
async def test_what_comes_by_another_spelling_is_stored_and_kept_as_it_was_sent(served: Served, path: str) -> None:
    answer = await served.public.get(f"{HERE}{path}?c=a&value=1")
    assert (answer.status_code, answer.headers["x-postback-outcome"]) == (200, "stored")
    rejected = await served.public.get(f"{HERE}{path}?c=a&value=x")
    assert rejected.headers["x-postback-outcome"] == "invalid_value"
    assert served.rows("SELECT raw FROM rejected_postback") == [(f"GET {path}?c=a&value=x".encode(),)]
    door = "pixel" if "ixel" in path else "postback"
    assert served.counted() == {(door, "stored"): 1.0, (door, "invalid_value"): 1.0}
    routes = {route for route, _, _ in served.counted("postback_http_responses_total")}
    assert routes <= {*WRITTEN}


@pytest.mark.parametrize("path", WRITTEN["/postbacks"])
async def test_a_batch_may_be_sent_by_another_spelling(served: Served, path: str) -> None:
    rows = '{"c":"a","value":1}\n{"c":"b","value":1}'
    answer = await served.public.post(HERE + path, content=rows, headers={"content-type": "application/x-ndjson"})
    assert (answer.status_code, answer.headers["x-postback-outcomes"]) == (200, "stored=2")


async def test_another_spelling_takes_the_same_methods_and_is_no_redirect(served: Served) -> None:
    for method, path in (("PUT", "/postback/"), ("POST", "/PIXEL.gif"), ("GET", "//postbacks"), ("HEAD", "/postback/")):
        answer = await served.public.request(method, f"{HERE}{path}?value=1")
        assert answer.status_code == 405
        assert "location" not in answer.headers
    served.assert_untouched()


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_in_open_mode_a_click_that_missed_its_door_is_kept(served: Served, path: str) -> None:
    answer = await served.public.get(f"{HERE}{path}?c=a&value=1")
    sent = answer.request.url.raw_path.partition(b"?")[0]
    assert (answer.status_code, answer.json()["outcome"]) == (404, "unknown_path")
    assert answer.headers["x-postback-outcome"] == "unknown_path"
    assert "/postback" in answer.json()["hint"]
    assert "location" not in answer.headers
    kept = served.rows("SELECT door, sender, outcome, click_id, request_id, raw FROM rejected_postback")
    row = ("postback", "ezmob", "unknown_path", "a", answer.headers["x-request-id"], b"GET " + sent + b"?c=a&value=1")
    assert kept == [row]
    line = served.only_line()
    assert (line["outcome"], line["status"], line["click_id"]) == ("unknown_path", 404, "a")
    assert served.counted() == {("postback", "unknown_path"): 1.0}
    assert served.counted("postback_http_responses_total") == {("unmatched", "GET", "404"): 1.0}
    assert served.counted("postback_conservation_drift") == {}


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_without_a_click_it_is_no_postback(served: Served, path: str) -> None:
    answer = await served.public.get(f"{HERE}{path}?value=1&c=")
    assert answer.status_code == 404
    assert "outcome" not in answer.json()
    served.assert_untouched()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
async def test_who_only_asks_at_a_wrong_path_sends_no_postback(served: Served, method: str) -> None:
    assert (await served.public.request(method, "/track?c=a&value=1")).status_code == 404
    served.assert_untouched()


async def test_a_body_that_missed_its_door_is_kept_whole(served: Served) -> None:
    for body, content_type in (
        (b'{"c":"a","value":1}', "application/json"),
        (b"c=b", "application/x-www-form-urlencoded"),
    ):
        answer = await served.public.post("/track", content=body, headers={"content-type": content_type})
        assert (answer.status_code, answer.json()["outcome"]) == (404, "unknown_path")
    assert served.rows("SELECT click_id, raw FROM rejected_postback ORDER BY id") == [
        ("a", b'POST /track\r\ncontent-type: application/json\r\n\r\n{"c":"a","value":1}'),
        ("b", b"POST /track\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\nc=b"),
    ]


async def test_no_path_writes_a_header_of_ours_into_what_is_kept(served: Served) -> None:
    await served.public.get(f"{HERE}/x%0D%0Ax-test-key:%20true%0D%0A%0D%0A?c=a&value=1")
    assert served.rows("SELECT raw FROM rejected_postback") == [
        (b"GET /x%0D%0Ax-test-key:%20true%0D%0A%0D%0A?c=a&value=1",),
    ]


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """Register one sender with a key for each purpose, and one that is disabled."""
    path = tmp_path / "postback.db"
    put_migrated(path)
    database = database_at(f"sqlite:///{path}")
    ledger = database.ledger()
    ledger.open()
    senders = database.senders()
    senders.put_sender(registration.sender(preset="voluum"), new=True)
    senders.put_sender(registration.sender("idle", disabled_at=builders.RECEIVED_AT), new=True)
    senders.put_keys(
        registration.key(PUBLIC, secret_sha256=digest(KEY[17:]).hex()),
        registration.key(TEST_KEY[4:16], secret_sha256=digest(TEST_KEY[17:]).hex(), is_test=True),
        registration.key(PIXEL_KEY[4:16], secret_sha256=digest(PIXEL_KEY[17:]).hex(), doors=["pixel"]),
        registration.key(IDLE_KEY[4:16], sender="idle", secret_sha256=digest(IDLE_KEY[17:]).hex()),
        registration.key(GONE_KEY[4:16], secret_sha256=digest(GONE_KEY[17:]).hex(), revoked_at=builders.RECEIVED_AT),
    )
    ledger.close()
    return path


@pytest.fixture
async def required(registered: Path) -> AsyncIterator[Served]:
    """Serve them: keys are required."""
    async with serving(registered) as service:
        yield service


@pytest.mark.parametrize("query", ["cid=a&payout=1", "payout=1", "clickid=a", "x"])
@pytest.mark.parametrize("where", ["query", "header"])
async def test_what_a_senders_key_came_with_is_kept_under_its_name(required: Served, query: str, where: str) -> None:
    shown = f"&key={KEY}" if where == "query" else ""
    headers = {"authorization": f"Bearer {KEY}"} if where == "header" else {}
    answer = await required.public.get(f"/track?{query}{shown}", headers=headers)
    assert (answer.status_code, answer.json()["outcome"]) == (404, "unknown_path")
    (row,) = required.rows("SELECT sender, outcome, click_id, raw FROM rejected_postback")
    assert row == ("acme", "unknown_path", "a" if query[:3] == "cid" else None, f"GET /track?{query}".encode())
    assert required.counted("postback_sender_received_total") == {("acme", "rejected"): 1.0}


async def test_a_key_in_the_path_is_not_kept(required: Served) -> None:
    answer = await required.public.get(f"/postback&cid=a&key={KEY}", headers={"x-api-key": KEY})
    assert answer.json()["outcome"] == "unknown_path"
    (row,) = required.rows("SELECT * FROM rejected_postback")
    assert KEY[17:] not in repr(row) + repr(required.lines.kept) + answer.text


async def test_what_came_with_a_test_key_is_a_test(required: Served) -> None:
    await required.public.get(f"/track?cid=a&payout=1&key={TEST_KEY}")
    assert required.counted("postback_test_received_total") == {("unknown_path",): 1.0}
    ((raw,),) = required.rows("SELECT raw FROM rejected_postback")
    assert b"x-test-key: true" in raw  # type: ignore[operator]  # bytes


@pytest.mark.parametrize("shown", [{}, {"x-api-key": text_of("nobody")}, {"x-api-key": GONE_KEY}, {"x-api-key": "x"}])
async def test_to_a_stranger_there_is_nothing_there_and_nothing_is_kept(
    required: Served, shown: dict[str, str]
) -> None:
    for answer in (
        await required.public.get("/track?cid=a&payout=1&c=a", headers=shown),
        await required.public.post("/track", content=b"cid=a", headers=shown),
    ):
        assert answer.status_code == 404
        assert "x-postback-outcome" not in answer.headers
        assert "outcome" not in answer.json()
    required.assert_untouched()


async def test_strangers_at_wrong_paths_without_a_key_take_nobodys_turn(required: Served) -> None:
    for _ in range(200):
        await required.public.get("/favicon.ico")
    assert (await required.public.get("/postback?cid=a")).headers["x-postback-outcome"] == "unauthenticated"


@pytest.mark.parametrize("key", [PIXEL_KEY, IDLE_KEY], ids=["another door", "disabled"])
async def test_what_a_sender_may_not_send_is_refused_here_as_well(required: Served, key: str) -> None:
    answer = await required.public.get(f"/track?cid=a&c=a&payout=1&key={key}")
    assert (answer.status_code, answer.json()["outcome"]) == (403, "forbidden")
    assert required.rows("SELECT outcome FROM rejected_postback") == [("forbidden",)]


async def test_what_missed_its_door_and_could_not_be_kept_is_sent_again(served: Served) -> None:
    served.path.with_name("postback.db-wal").unlink()
    answer = await served.public.get("/track?c=a&value=1")
    assert (answer.status_code, answer.json()["outcome"]) == (503, "storage_unavailable")
