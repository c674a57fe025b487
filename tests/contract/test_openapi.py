"""Owns what docs/openapi*.json promise: what the code would write now, valid, no route or outcome left out."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from starlette.responses import Response
from starlette.routing import request_response

from service.core.outcome import Family, Outcome
from service.core.presets import EZMOB
from service.operator.browser_headers import HEADERS
from service.operator.openapi.__main__ import built, main
from service.operator.probes import MetricsPage, ReadinessPage
from service.operator.routes import operator_routes
from service.settings import Settings
from service.web.openapi import document
from service.web.public.batches import BatchDoor
from service.web.public.doors import PixelDoor, PostbackDoor
from service.web.public.routes import public_routes
from service.web.public.strays import StrayDoor
from service.web.routing import ExactRoute
from tests.support.documents import REPOSITORY

Described = dict[str, Any]
PUBLIC, OPERATOR = "openapi.json", "openapi-operator.json"
ROUTES = {
    PUBLIC: public_routes(
        *(cast("Any", kind.__new__(kind)) for kind in (PostbackDoor, PixelDoor, BatchDoor, StrayDoor))
    ),
    OPERATOR: operator_routes(*(cast("Any", kind.__new__(kind)) for kind in (ReadinessPage, MetricsPage))),
}
AT_A_DOOR = [outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN_PATH]
every_document = pytest.mark.parametrize("name", [PUBLIC, OPERATOR])


def committed(name: str) -> Described:
    """Return a document as it is committed."""
    described: Described = json.loads((REPOSITORY / "docs" / name).read_text(encoding="utf-8"))
    return described


def responses(path: str, method: str = "get") -> Described:
    """Return the answers of an operation at the doors."""
    found: Described = committed(PUBLIC)["paths"][path][method]["responses"]
    return found


@every_document
def test_a_committed_document_is_what_the_tables_and_words_say_now(name: str) -> None:
    assert (REPOSITORY / "docs" / name).read_text(encoding="utf-8") == built()[name]


@every_document
def test_a_document_is_valid(name: str) -> None:
    schemathesis.openapi.from_dict(committed(name)).validate()


@every_document
def test_every_method_of_every_route_is_described_and_no_other(name: str) -> None:
    described = {(path, method) for path, methods in committed(name)["paths"].items() for method in methods}
    assert described == {(route.path, method.lower()) for route in ROUTES[name] for method in route.methods}


@pytest.mark.parametrize("path", ["/postback", "/conversion"])
def test_every_outcome_is_an_answer_with_its_hint(path: str) -> None:
    described = responses(path, "post")
    for outcome in AT_A_DOOR:
        answer = described[str(outcome.status)]
        assert outcome.value in answer["headers"]["X-Postback-Outcome"]["schema"]["enum"]
        assert f"`{outcome.value}`: {outcome.hint}" in answer["description"]


def test_what_needs_a_body_is_no_answer_of_a_query() -> None:
    assert "415" not in responses("/postback")
    assert "malformed_body" not in json.dumps(responses("/postback")["400"])


def test_a_pixel_is_answered_200_with_every_outcome_that_a_query_can_have() -> None:
    words = responses("/pixel.gif")["200"]["headers"]["X-Postback-Outcome"]["schema"]["enum"]
    bodies = {"malformed_body", "unsupported_media_type"}
    assert words == [outcome.value for outcome in AT_A_DOOR if outcome.value not in bodies]


def test_a_batch_is_answered_row_by_row_or_as_a_whole() -> None:
    described = responses("/postbacks", "post")
    assert {"200", "207", "422", "503"} <= described.keys()
    assert described["503"]["content"].keys() >= {"application/json", "text/csv", "application/problem+json"}
    for outcome in AT_A_DOOR:
        if outcome.family is not Family.ACCEPTED:
            assert outcome.value in json.dumps(described[str(outcome.whole_status)]), outcome


@pytest.mark.parametrize(
    ("status", "header"), [("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After")]
)
def test_the_headers_that_an_answer_needs_are_required(status: str, header: str) -> None:
    assert responses("/postback", "post")[status]["headers"][header]["required"]


def test_a_header_is_only_required_where_every_answer_of_that_status_has_it() -> None:
    """What is no request gets a 400 as well, and no id."""
    assert responses("/postback")["200"]["headers"]["X-Request-Id"]["required"]
    assert not responses("/postback")["400"]["headers"]["X-Request-Id"]["required"]


def test_every_name_of_the_preset_is_described() -> None:
    text = json.dumps(committed(PUBLIC))
    listed = {parameter["name"] for parameter in committed(PUBLIC)["paths"]["/postback"]["get"]["parameters"]}
    assert [name for name in EZMOB.fields if name not in listed and f"`{name}`" not in text] == []


def test_what_nobody_can_be_told_at_a_path_is_a_component() -> None:
    components = committed(PUBLIC)["components"]["responses"]
    assert components["MethodNotAllowed"]["headers"]["Allow"]["required"]
    assert components["NotFound"]["content"].keys() == {"application/problem+json"}


def test_the_operator_listeners_own_headers_are_described() -> None:
    described = committed(OPERATOR)["paths"]["/readyz"]["get"]["responses"]["200"]["headers"]
    required = {name.lower() for name, header in described.items() if header["required"]}
    assert {name.decode() for name in HEADERS} <= required


@pytest.mark.parametrize(("name", "port"), [(PUBLIC, "port"), (OPERATOR, "operator_port")])
def test_the_server_is_where_make_run_serves(name: str, port: str) -> None:
    (server,) = committed(name)["servers"]
    defaults = Settings.model_fields
    assert server["url"] == f"http://{defaults['host'].default}:{defaults[port].default}"


def test_a_door_at_a_new_path_describes_itself_and_a_new_page_must_be_described(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = PostbackDoor.__new__(PostbackDoor)
    monkeypatch.setattr(document, "public_routes", lambda *_: [ExactRoute("/new", {"GET": door.get})])
    described = cast("Described", document.public_document()["paths"])
    assert described["/new"]["get"]["responses"] == responses("/postback")
    page = request_response(lambda _: Response())
    monkeypatch.setattr(document, "public_routes", lambda *_: [ExactRoute("/new", {"GET": page})])
    with pytest.raises(KeyError, match="/new"):
        document.public_document()


def test_the_check_shows_what_would_change_and_writing_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], tmp_path) == 1
    assert '+   "get": {' in capsys.readouterr().out
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_the_generator_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err
