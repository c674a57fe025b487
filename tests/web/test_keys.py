"""Keys at the doors: each way in lets their sender in, and no secret is kept, told or logged, wherever it was sent."""

import gzip
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from service.auth.keys import digest
from service.storage.database import database_at
from tests.support import registration
from tests.support.migrated import put_migrated
from tests.support.registered import KEY, PUBLIC, text_of
from tests.support.served import Served, serving

pytestmark = pytest.mark.anyio

TEST_KEY, PIXEL_KEY = text_of("test"), text_of("pixel")
SECRETS = [key[17:] for key in (KEY, TEST_KEY, PIXEL_KEY)]
NDJSON, FORM = "application/x-ndjson", "application/x-www-form-urlencoded"
Headers = Mapping[str, str]


def bearer(key: str = KEY) -> Headers:
    return {"authorization": f"Bearer {key}"}


def basic(text: str) -> Headers:
    return {"authorization": f"Basic {b64encode(text.encode()).decode()}"}


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """Register one sender, with a key for each purpose."""
    path = tmp_path / "postback.db"
    put_migrated(path)
    database = database_at(f"sqlite:///{path}")
    ledger = database.ledger()
    ledger.open()
    senders = database.senders()
    senders.put_sender(registration.sender(preset="ezmob", fields={"sum": "value"}), new=True)
    senders.put_keys(
        registration.key(PUBLIC, secret_sha256=digest(KEY[17:]).hex()),
        registration.key(TEST_KEY[4:16], secret_sha256=digest(TEST_KEY[17:]).hex(), is_test=True),
        registration.key(PIXEL_KEY[4:16], secret_sha256=digest(PIXEL_KEY[17:]).hex(), doors=["pixel"]),
    )
    ledger.close()
    return path


@pytest.fixture
async def served(registered: Path) -> AsyncIterator[Served]:
    """Serve it."""
    async with serving(registered) as service:
        yield service


def assert_no_secret(served: Served, *told: str) -> None:
    """Look for every secret in rows, lines and answers."""
    tables = ("conversion", "duplicate", "rejected_postback")
    rows = [served.rows(f"SELECT * FROM {table}") for table in tables]  # noqa: S608 - our own names
    everything = repr(rows) + repr(served.lines.kept) + "".join(told)
    assert [secret for secret in SECRETS if secret in everything] == []


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"&key={KEY}", {}),
        ("", bearer()),
        ("", {"x-api-key": KEY}),
        ("", basic(f"acme:{KEY}")),
        ("", basic(f"{KEY}:")),
        (f"&key={KEY}&key={KEY}", bearer()),
    ],
    ids=["query", "bearer", "x-api-key", "basic-password", "basic-user", "all-the-same"],
)
async def test_each_way_lets_its_sender_in_with_its_own_names(served: Served, query: str, headers: Headers) -> None:
    answer = await served.public.get(f"/postback?c=a&sum=1.50{query}", headers=headers)
    assert (answer.status_code, answer.headers["x-postback-outcome"]) == (200, "stored")
    assert served.rows("SELECT sender, value, params FROM conversion") == [("acme", "1.50", "{}")]
    assert served.only_line()["sender"] == "acme"
    assert served.counted("postback_sender_received_total") == {("acme", "accepted"): 1.0}
    assert_no_secret(served, answer.text)


async def test_a_key_works_from_any_host_and_through_a_proxy(served: Served) -> None:
    headers = {"host": "track.example.com", "x-forwarded-for": "192.0.2.1", **bearer()}
    assert (await served.public.get("/postback?c=a&value=1", headers=headers)).status_code == 200


async def test_without_a_key_nobody_is_let_in_and_what_was_sent_is_kept(served: Served) -> None:
    answer = await served.public.get("/postback?c=a&value=1")
    assert (answer.status_code, answer.json()["outcome"]) == (401, "unauthenticated")
    assert answer.json()["detail"] == "no API key was sent, and nothing else that proves its sender"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert served.rows("SELECT sender, raw FROM rejected_postback") == [(None, b"GET /postback?c=a&value=1")]


async def test_a_known_sender_that_may_not_is_forbidden_and_named(served: Served) -> None:
    answer = await served.public.get(f"/pixel.gif?c=a&value=1&key={KEY}")
    assert (answer.status_code, answer.headers["x-postback-outcome"]) == (200, "forbidden")
    assert served.rows("SELECT sender, outcome, click_id FROM rejected_postback") == [("acme", "forbidden", "a")]
    assert served.counted("postback_sender_received_total") == {("acme", "rejected"): 1.0}
    assert (await served.public.get(f"/pixel.gif?c=a&value=1&key={PIXEL_KEY}")).headers[
        "x-postback-outcome"
    ] == "stored"


WRONG = f"{KEY[:17]}{TEST_KEY[17:]}"  # the public id of one key with the secret of another


@pytest.mark.parametrize(
    ("path", "headers", "outcome", "key_id", "address"),
    [
        (f"/postback?c=a&value=1&key={WRONG}", {}, "unauthenticated", PUBLIC, "127.0.0.1"),
        ("/postback?c=a&value=1", bearer(WRONG), "unauthenticated", PUBLIC, "127.0.0.1"),
        ("/postback?c=a&value=1", basic(f"acme:{WRONG}"), "unauthenticated", PUBLIC, "127.0.0.1"),
        ("/postback?c=a&value=1&key=hunter2", {}, "unauthenticated", None, "127.0.0.1"),
        (f"/postback?c=a&value=1&api_key={KEY}", {}, "unauthenticated", PUBLIC, "127.0.0.1"),  # in the wrong place
        ("/postback?c=a&value=1", {}, "unauthenticated", None, "127.0.0.1"),
        (f"/postback?c=a&value=1&key={PIXEL_KEY}", {}, "forbidden", PIXEL_KEY[4:16], "127.0.0.1"),
        (f"/pixel.gif?c=a&value=1&key={WRONG}", {}, "unauthenticated", PUBLIC, None),
        (f"/postback?c=a&value=x&key={KEY}", {}, "invalid_value", None, None),
    ],
)
async def test_of_what_is_refused_it_is_kept_whose_key_it_showed_and_where_it_came_from(  # noqa: PLR0913 - a table's columns
    served: Served, *, path: str, headers: Headers, outcome: str, key_id: str | None, address: str | None
) -> None:
    answer = await served.public.get(path, headers=headers)
    assert answer.headers["x-postback-outcome"] == outcome
    assert served.rows("SELECT key_id, client_ip FROM rejected_postback") == [(key_id, address)]
    assert_no_secret(served, answer.text)


async def test_so_it_is_of_a_batch(served: Served) -> None:
    body = b'{"c":"a","sum":1}\n'
    for key in (WRONG, PIXEL_KEY):
        await served.public.post("/postbacks", content=body, headers={"content-type": NDJSON, **bearer(key)})
    kept = served.rows("SELECT sender, key_id, client_ip FROM rejected_postback ORDER BY id")
    assert kept == [(None, PUBLIC, "127.0.0.1"), ("acme", PIXEL_KEY[4:16], "127.0.0.1")]
    assert_no_secret(served)


@pytest.mark.parametrize("query", ["", "&test=0", "&test=1", "&test=0&test=2"])
async def test_what_comes_with_a_tests_key_is_a_test(served: Served, query: str) -> None:
    answer = await served.public.get(f"/postback?c=a&value=1{query}", headers=bearer(TEST_KEY))
    assert answer.headers["x-postback-outcome"] == "stored"
    assert served.rows("SELECT is_test, params FROM conversion") == [(1, "{}")]
    assert served.counted("postback_sender_received_total") == {}
    assert served.counted("postback_test_received_total") == {("stored",): 1.0}


async def test_a_rejected_test_says_that_it_is_one_when_it_is_replayed(served: Served) -> None:
    await served.public.get("/postback?c=a&value=x", headers=bearer(TEST_KEY))
    kept = b"GET /postback?c=a&value=x\r\ncontent-type: \r\nx-test-key: true\r\n\r\n"
    assert served.rows("SELECT raw FROM rejected_postback") == [(kept,)]
    assert served.counted("postback_test_received_total") == {("invalid_value",): 1.0}


async def test_a_body_that_says_otherwise_makes_no_conversion_of_a_test(served: Served) -> None:
    await served.public.post("/postback", json={"c": "a", "value": 1, "test": 0}, headers=bearer(TEST_KEY))
    assert served.rows("SELECT is_test FROM conversion") == [(1,)]


@pytest.mark.parametrize("key", [KEY, TEST_KEY], ids=["live", "test"])
@pytest.mark.parametrize("query", ["", "?atomic=1"])
async def test_a_batch_is_its_senders_row_by_row(served: Served, key: str, query: str) -> None:
    body = b'{"c":"a","sum":1}\n{"c":"b","sum":2}\n'
    headers = {"content-type": NDJSON, **bearer(key)}
    answer = await served.public.post(f"/postbacks{query}", content=body, headers=headers)
    assert answer.status_code == 200
    kept = served.rows("SELECT sender, click_id, is_test FROM conversion ORDER BY click_id")
    assert kept == [("acme", "a", int(key is TEST_KEY)), ("acme", "b", int(key is TEST_KEY))]


async def test_a_batch_may_have_its_key_in_the_query(served: Served) -> None:
    body, headers = b'{"c":"a","value":1}\n', {"content-type": NDJSON}
    assert (await served.public.post(f"/postbacks?key={KEY}", content=body, headers=headers)).status_code == 200
    wrong = await served.public.post(f"/postbacks?key={KEY}&c=a", content=body, headers=headers)
    assert wrong.headers["x-postback-outcome"] == "malformed_body"


async def test_a_batch_of_a_key_that_may_not_is_refused_as_a_whole(served: Served) -> None:
    headers = {"content-type": NDJSON, **bearer(PIXEL_KEY)}
    answer = await served.public.post("/postbacks", content=b'{"c":"a","value":1}\n', headers=headers)
    assert (answer.status_code, answer.json()["outcome"]) == (403, "forbidden")
    assert served.rows("SELECT sender, outcome FROM rejected_postback") == [("acme", "forbidden")]


@pytest.mark.parametrize(
    ("path", "content_type", "body", "more"),
    [
        (f"/postback?c={KEY}&value=1", "", b"", {}),
        (f"/postback?c=a&value={KEY}", "", b"", {}),
        (f"/postback?c=a&value=1&token={KEY}&{KEY}=1", "", b"", {}),
        (f"/postback?c=a&value=1&KEY={KEY}", "", b"", {}),
        (f"/postback?c=a&value=1&k%65y={KEY.replace('_', '%5F')}", "", b"", {}),
        (f"/postback?c=a&value=1&x={'x' * 9000}{KEY}", "", b"", {}),
        (f"/postback?key={KEY}&c=a&value=1&c=b", "", b"", {}),
        ("/postback", FORM, f"c=a&value=1&key={KEY}".encode(), {}),
        ("/postback", "application/json", json.dumps({"c": "a", "value": "x", "key": KEY}).encode(), {}),
        ("/postback", "application/json", f'{{"c": "{KEY}'.encode(), {}),
        ("/postback", "text/plain", KEY.encode(), {}),
        ("/postback", FORM, b"x" * 70_000 + KEY.encode(), {}),
        ("/postback", f"text/{KEY}", b"x", {}),
        ("/postback", "application/json", b"{}", {"content-encoding": KEY}),
        ("/postbacks", NDJSON, f'{{"c":"a","value":"{KEY}"}}\n{{"c":"b","value":1,"k":"{KEY}"}}\n'.encode(), {}),
        ("/postbacks", "text/csv", f"c,value,key\na,1,{KEY}\nb,x,{KEY}\n".encode(), {}),
        ("/postbacks", "text/csv", f"c,value,{KEY}\na,1,x\nb,x,y\n".encode(), {}),
        ("/postbacks", NDJSON, gzip.compress(f'{{"c":"a","value":"{KEY}"}}\n'.encode()), {"content-encoding": "gzip"}),
        (f"/postbacks?token={KEY}", NDJSON, b"{}", {}),
        (f"/nowhere/{KEY}?key={KEY}", "", b"", {}),
        (f"/postback/{KEY}", "", b"", {}),
    ],
    ids=[
        *("click-id", "value", "other-parameters", "wrong-case", "encoded", "oversized-url", "repeated-parameter"),
        *(
            "form",
            "json",
            "broken-json",
            "text",
            "oversized-body",
            "media-type",
            "encoding",
            "rows",
            "csv",
            "csv-header",
            "gzip",
        ),
        *("batch-query", "wrong-path", "longer-path"),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["with-its-key", "with-no-key"])
async def test_a_secret_in_a_wrong_place_is_neither_kept_nor_told(  # noqa: PLR0913, PLR0917 - one request
    served: Served,
    path: str,
    content_type: str,
    body: bytes,
    more: Headers,
    known: bool,  # noqa: FBT001
) -> None:
    headers = {**({"content-type": content_type} if content_type else {}), **more, **(bearer() if known else {})}
    answer = await served.public.request("POST" if body else "GET", path, content=body, headers=headers)
    metrics = await served.operator.get("/metrics")
    assert answer.status_code
    assert_no_secret(served, answer.text, repr(answer.headers), metrics.text)


async def test_wrong_credentials_are_neither_kept_nor_told(served: Served) -> None:
    for headers in (
        bearer(KEY[:-1]),
        bearer(f"{KEY}0"),
        {"host": KEY},
        basic(f"{KEY}:{TEST_KEY}"),
        {"x-api-key": KEY[:40]},
    ):
        answer = await served.public.get("/postback?c=a&value=1", headers=headers)
        assert answer.status_code == 401
        assert KEY[20:40] not in answer.text + repr(served.lines.kept) + repr(
            served.rows("SELECT * FROM rejected_postback")
        )


async def test_who_is_registered_has_its_counts_at_0_before_anything_comes(served: Served) -> None:
    page = (await served.operator.get("/metrics")).text
    assert 'postback_sender_received_total{family="accepted",sender="acme"} 0.0' in page


async def test_in_open_mode_a_secret_in_a_wrong_place_is_neither_kept_nor_told(tmp_path: Path) -> None:
    async with serving(tmp_path / "open.db") as served:
        answer = await served.public.get(f"/postback?c=a&value=1&key={KEY}", headers={"host": KEY, **bearer()})
        assert answer.headers["x-postback-outcome"] == "unauthenticated"
        assert (await served.public.get(f"/postback?c=a&value=1&key={KEY}")).status_code == 200
        assert_no_secret(served, answer.text)
