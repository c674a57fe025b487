"""Owns the description of a listener: every route of its table; and the public one's whole document."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from starlette.types import ASGIApp

from service.core.outcome import Outcome
from service.core.version import VERSION
from service.web.openapi import fields
from service.web.openapi.answers import hints, outcome_answers, outcome_word, problem, routing_answers
from service.web.openapi.fields import Schema
from service.web.openapi.operations import SECURITY_SCHEMES, batch_of_postbacks, page, pixel, postback, row
from service.web.public.batches import BatchDoor
from service.web.public.doors import PixelDoor, PostbackDoor
from service.web.public.routes import public_routes
from service.web.public.strays import StrayDoor
from service.web.routing import ExactRoute

_PUBLIC = """Receives conversion postbacks. `200` is a receipt: the conversion is on disk. `4xx` is to be mended by
the sender, with the answer's `hint`; `5xx` is our fault: send the same again, as often as you like. No answer
redirects. HEAD, OPTIONS and every other method are 405 and store nothing. Slashes at a path's end or doubled, and
upper case, make no difference. Any other path is 404. What came with a good key by a wrong path or method is kept, as
`unknown_path`. `X-Request-Id` names the request to the people who run this; a W3C `traceparent` is taken over into
their log. The fields are EZmob's."""
Unwired = TypeVar("Unwired")


def public_document() -> Schema:
    """Describe the public listener."""
    doors = unwired(PostbackDoor), unwired(PixelDoor), unwired(BatchDoor), unwired(StrayDoor)
    described = paths(public_routes(*doors))
    schemas: Schema = {
        "Outcome": {**outcome_word(Outcome), "description": hints(Outcome)},
        "Problem": problem(),
        **fields.texts(),
        "Postback": fields.json_object(),
        "PostbackForm": fields.form(),
        "Row": row(),
    }
    beginning = head("Postback receiver", _PUBLIC, 8000)
    answers = {**routing_answers({}), "UnknownPath": outcome_answers([Outcome.UNKNOWN_PATH])[404].described()}
    components = {"schemas": schemas, "responses": answers, "securitySchemes": SECURITY_SCHEMES}
    return {**beginning, "paths": described, "components": components}


def head(title: str, description: str, port: int) -> Schema:
    """Return how a document begins."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "description": " ".join(description.split())},
        "servers": [{"url": f"http://127.0.0.1:{port}", "description": "As `make run` serves it."}],
    }


def unwired(kind: type[Unwired]) -> Unwired:
    """Return a door without its intake: the route tables want one, and no request will ever reach it."""
    return kind.__new__(kind)


def paths(routes: Iterable[ExactRoute], extra_headers: Mapping[str, Schema] = MappingProxyType({})) -> Schema:
    """Describe the routes of a table; `extra_headers` are headers that each answer has."""
    return {
        route.path: {
            method.lower(): {
                "operationId": _name(method, route.path),
                **_operation(method, route.path, app, extra_headers),
            }
            for method, app in route.methods.items()
        }
        for route in routes
    }


def _name(method: str, path: str) -> str:
    return f"{method.lower()}_{path.strip('/').replace('.', '_')}"


def _operation(method: str, path: str, app: ASGIApp, extra_headers: Mapping[str, Schema]) -> Schema:
    """Describe one entry of a table. Raises KeyError for a page that nobody has described."""
    match getattr(app, "__self__", None):  # the door that the method is of
        case PostbackDoor():
            return postback(method)
        case PixelDoor():
            return pixel()
        case BatchDoor():
            return batch_of_postbacks()
        case _:
            return page(method, path, extra_headers)
