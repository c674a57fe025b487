"""The pixel: a browser always gets its image, and every other reader the truth about what became of the postback."""

from collections.abc import Mapping

import pytest
from httpx2 import Response

from service.core.unavailable import ErrorKind, StorageError
from service.storage.sqlite.ledger import SqliteLedger
from tests.support.served import Served

pytestmark = pytest.mark.anyio


async def ask(served: Served, query: str, headers: Mapping[str, str] | None = None) -> str:
    """Call the pixel as a browser does; return the outcome."""
    answer = await served.public.get(f"/pixel.gif?{query}", headers=headers)
    return image(answer).headers["x-postback-outcome"]


def image(answer: Response) -> Response:
    """Check that a browser has nothing to complain about, and will ask again next time."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.content.startswith(b"GIF89a")
    return answer


async def test_a_conversion_is_stored_counted_and_logged_at_a_door_of_its_own(served: Served) -> None:
    assert await ask(served, "c=a&value=1.50&goal=sale") == "stored"
    assert served.rows("SELECT click_id, value, goal, sender, door FROM conversion") == [
        ("a", "1.50", "sale", "ezmob", "pixel")
    ]
    assert served.counted() == {("pixel", "stored"): 1.0}
    assert served.counted("postback_arrived_total") == {("pixel",): 1.0}
    line = served.only_line()
    assert (line["door"], line["method"], line["status"], line["outcome"]) == ("pixel", "GET", 200, "stored")


@pytest.mark.parametrize("paths", [("/postback", "/pixel.gif"), ("/pixel.gif", "/postback")])
async def test_what_comes_by_both_doors_is_one_conversion_and_one_duplicate(
    served: Served, paths: tuple[str, str]
) -> None:
    answers = [await served.public.get(f"{path}?c=a&value=1") for path in paths]
    assert [answer.headers["x-postback-outcome"] for answer in answers] == ["stored", "duplicate"]
    first, second = (path.strip("/").removesuffix(".gif") for path in paths)
    assert served.counted() == {(first, "stored"): 1.0, (second, "duplicate"): 1.0}
    assert served.rows("SELECT door FROM conversion") == [(first,)]
    assert served.rows("SELECT door FROM duplicate") == [(second,)]


@pytest.mark.parametrize(
    ("query", "headers", "outcome"),
    [
        ("c=a", {}, "missing_value"),
        ("c={click_id}&value=1", {}, "unexpanded_macro"),
        (f"c=a&value=1&x={'x' * 9000}", {}, "too_large"),
        ("c=a&value=1", {"host": "shop.example"}, "unauthenticated"),
        ("c=a&value=1", {"x-forwarded-for": "192.0.2.1"}, "unauthenticated"),
    ],
)
async def test_a_rejection_is_an_image_too_and_kept_with_its_reason(
    served: Served, query: str, headers: dict[str, str], outcome: str
) -> None:
    assert await ask(served, query, headers) == outcome
    assert served.rows("SELECT door, outcome FROM rejected_postback") == [("pixel", outcome)]
    assert served.rows("SELECT * FROM conversion") == []
    assert served.counted() == {("pixel", outcome): 1.0}
    line = served.only_line()
    assert (line["level"], line["status"], line["outcome"]) == ("warning", 200, outcome)


async def test_a_failure_of_ours_is_an_image_and_counted_as_a_failure(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("SQLITE_FULL: database or disk is full", ErrorKind.SQLITE_FULL)

    monkeypatch.setattr(SqliteLedger, "commit", full)
    assert await ask(served, "c=a&value=1") == "storage_unavailable"
    assert served.counted() == {("pixel", "storage_unavailable"): 1.0}
    assert served.counted("postback_sender_received_total") == {("ezmob", "failed"): 1.0}
    assert served.counted("postback_http_responses_total") == {("/pixel.gif", "GET", "200"): 1.0}
    line = served.only_line()
    assert (line["level"], line["status"], line["outcome"]) == ("error", 200, "storage_unavailable")
