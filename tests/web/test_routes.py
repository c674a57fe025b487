"""The HTTP surface: each listener answers exactly what its table lists, and nothing else reaches a door."""

import pytest

from tests.support.served import Served

pytestmark = pytest.mark.anyio

DOORS = {"/postback": {"GET", "POST"}, "/conversion": {"GET", "POST"}, "/pixel.gif": {"GET"}}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/postback.php",
        "/postback/x",
        "/pixel",
        "/pixelXgif",
        "/healthz/",
        "/Healthz",
        "/metrics",
        "/readyz",
        "/api/conversions",
        "/docs",
    ],
)
async def test_the_public_listener_shows_nothing_but_doors(served: Served, path: str) -> None:
    answer = await served.public.get("http://127.0.0.1:8000" + path, params={"value": "1"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    served.assert_untouched()


@pytest.mark.parametrize("path", [*DOORS, "/postback/", "/metrics/", "/readyz/", "/healthz/", "/nothing"])
async def test_the_operator_listener_has_no_doors(served: Served, path: str) -> None:
    answer = await served.operator.get(path, params={"c": "a", "value": "1"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    served.assert_untouched()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "ANYTHING"])
@pytest.mark.parametrize("path", DOORS)
async def test_any_other_method_at_a_door_is_405_and_stores_nothing(served: Served, path: str, method: str) -> None:
    answer = await served.public.request(method, path, params={"value": "1"})
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == DOORS[path]
    served.assert_untouched()


async def test_a_pixel_takes_no_post(served: Served) -> None:
    answer = await served.public.post("/pixel.gif", params={"value": "1"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    served.assert_untouched()


@pytest.mark.parametrize(
    ("path", "methods"), [("/healthz", "GET, HEAD"), ("/metrics", "GET"), ("/readyz", "GET, HEAD")]
)
async def test_what_only_shows_is_only_read(served: Served, path: str, methods: str) -> None:
    for method in ("HEAD", "POST", "PUT"):
        answer = await served.operator.request(method, path)
        if method in methods:
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("path", ["/postback.php", "/nothing"])
async def test_a_wrong_path_or_method_is_a_problem_with_a_hint_and_no_outcome(served: Served, path: str) -> None:
    for answer in (await served.public.get(path), await served.public.put("/postback")):
        assert answer.headers["content-type"] == "application/problem+json"
        assert "x-postback-outcome" not in answer.headers
        problem = answer.json()
        assert (problem["status"], problem["request_id"]) == (answer.status_code, answer.headers["x-request-id"])
        assert problem["hint"]
        assert "outcome" not in problem


async def test_liveness_is_on_both_listeners(served: Served) -> None:
    for client in (served.public, served.operator):
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.head("/healthz")).status_code == 200
    served.assert_untouched()


async def test_each_response_is_counted_under_its_route_never_its_path(served: Served) -> None:
    await served.public.get("/postback?c=a&value=1")
    await served.public.put("/conversion")
    await served.public.request("BREW", "/no/such/path")
    assert served.counted("postback_http_responses_total") == {
        ("/postback", "GET", "200"): 1.0,
        ("/conversion", "other", "405"): 1.0,
        ("unmatched", "other", "404"): 1.0,
    }
    durations = served.counted("postback_http_request_duration_seconds_count")
    assert durations == {("/postback",): 1.0, ("/conversion",): 1.0}
    assert served.counted("postback_http_requests_in_flight") == {}
