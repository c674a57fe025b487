"""Owns how each operation is described: what it takes, and what it answers."""

from collections.abc import Mapping

from service.core import batch, bodies
from service.core.decompression import ENCODINGS
from service.core.outcome import Family, Outcome
from service.web.openapi import fields
from service.web.openapi.answers import (
    CONNECTION,
    EVERY,
    RETRY_AFTER,
    TEXT,
    Answer,
    Answers,
    answers_by_status,
    hints,
    outcome_answers,
    outcome_word,
)
from service.web.openapi.fields import Schema, component

_TEXT: Schema = {"type": "string"}
_OPENMETRICS = "application/openmetrics-text"
_OF_BODIES = {Outcome.MALFORMED_BODY, Outcome.UNSUPPORTED_MEDIA_TYPE}
_OF_A_DOOR = [outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN_PATH]
_WITHOUT_A_BODY = [outcome for outcome in _OF_A_DOOR if outcome not in _OF_BODIES]
_OF_A_WHOLE_BATCH = [outcome for outcome in _OF_A_DOOR if outcome.family is not Family.ACCEPTED]
_UNEXPECTED = outcome_answers([Outcome.INTERNAL_ERROR])
_SECURITY: list[Schema] = [{}, {"key": []}, {"header": []}, {"bearer": []}]
SECURITY_SCHEMES: Schema = {
    "key": {"type": "apiKey", "in": "query", "name": "key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def postback(method: str) -> Schema:
    """Describe one postback, as a query or with a body."""
    if method == "GET":
        return {
            **_taking("Report one conversion", "200 means that it is stored durably. Sent again, it changes nothing."),
            "parameters": fields.query_parameters(),
            "responses": answers_by_status(outcome_answers(_WITHOUT_A_BODY), CONNECTION),
        }
    forms = {bodies.FORM: "PostbackForm", bodies.JSON: "Postback", bodies.MULTIPART: "PostbackForm"}
    why = "A query is read together with the body: a field may stand in either, or in both with one meaning."
    return {
        **_taking("Report one conversion in a body", why),
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": component(name)} for media_type, name in forms.items()},
        },
        "responses": answers_by_status(outcome_answers(_OF_A_DOOR), CONNECTION),
    }


def pixel() -> Schema:
    """Describe one postback that a browser sends."""
    headers = {**EVERY, "X-Postback-Outcome": outcome_word(_WITHOUT_A_BODY)}
    image = Answer(
        f"A transparent image, whatever came of it: here the header is the receipt.\n{hints(_WITHOUT_A_BODY)}",
        {"image/gif": {}},
        headers,
    )
    return {
        **_taking("Report one conversion from a page", "Prefer /postback wherever a server can send it."),
        "parameters": fields.query_parameters(),
        "responses": answers_by_status({200: image}, _UNEXPECTED, CONNECTION),
    }


def batch_of_postbacks() -> Schema:
    """Describe a batch."""
    why = (
        f"Up to {batch.MAX_ROWS:,} rows or {batch.MAX_BYTES // 2**20} MiB, each a postback of its own, answered in "
        "their order, in the form of the request or the one that `Accept` names."
    )
    rows = {
        bodies.JSON: _rows("Postback", "An element each.", _ONE_NOT_EXPANDED, _NOT_EXPANDED),
        bodies.NDJSON: _rows("Postback", "A line each."),
        bodies.CSV: _rows(
            "PostbackForm", "A record each, below a header of names (RFC 4180); an empty cell is not sent."
        ),
    }
    return {
        **_taking("Report many conversions", why),
        "parameters": _batch_parameters(),
        "requestBody": {
            "required": True,
            "content": {media_type: {"schema": schema} for media_type, schema in rows.items()},
        },
        "responses": answers_by_status(_row_answers(), outcome_answers(_OF_A_WHOLE_BATCH, whole=True), CONNECTION),
    }


def _batch_parameters() -> list[Schema]:
    atomic = (
        f"All or nothing, for up to {batch.MAX_ATOMIC_ROWS:,} rows and {batch.MAX_ATOMIC_BYTES // 2**20} MiB of them."
    )
    return [
        {"name": "atomic", "in": "query", "description": atomic, "schema": {"type": "string", "const": "1"}},
        {
            "name": "Content-Encoding",
            "in": "header",
            "description": "How the body is packed.",
            "schema": {"type": "string", "enum": ["identity", *ENCODINGS]},
        },
    ]


def _row_answers() -> Answers:
    sums: Schema = {
        "type": "string",
        "pattern": "^[a-z_]+=[0-9]+( [a-z_]+=[0-9]+)*$",
        "description": "How many rows had each outcome.",
    }
    content = {media_type: _rows("Row", "In the order of the request.") for media_type in batch.MEDIA_TYPES}
    headers = {**EVERY, "X-Postback-Outcomes": sums}
    meanings = {
        200: "Every row was accepted, or no repeat would mend it (`illegal_transition`).",
        207: "Every row was accepted or rejected. Send the rejected ones again, mended.",
        422: "Every row was rejected.",
    }
    answers = {status: Answer(f"- {meaning}", content, headers) for status, meaning in meanings.items()}
    failed = Answer(
        "- Some row failed by our fault. Send all of them again, unchanged: what is stored will be `duplicate`.",
        content,
        {**headers, "Retry-After": RETRY_AFTER},
    )
    return {**answers, 503: failed}


def row() -> Schema:
    """Return what is told of one row of a batch."""
    return {
        "type": "object",
        "required": ["row", "outcome", "hint", "request_id"],
        "properties": {
            "row": {"type": "integer", "minimum": 1},
            "outcome": component("Outcome"),
            "hint": {"type": "string"},
            "detail": {"type": "string", "description": "What exactly was wrong with a rejected row."},
            "request_id": {"type": "string", "pattern": "^[0-9a-f]{32}-[1-9][0-9]*$"},
        },
    }


def page(method: str, path: str, extra_headers: Mapping[str, Schema]) -> Schema:
    """Describe a page; `extra_headers` are those that its listener adds. Raises KeyError for a new page."""
    summary, answers = _PAGES[path]
    ours = [
        {status: answer.with_headers(extra_headers) for status, answer in each.items()}
        for each in (answers, _UNEXPECTED)
    ]
    all_of_them = [*ours, CONNECTION]
    if method == "HEAD":
        all_of_them = [{status: answer.bodiless() for status, answer in each.items()} for each in all_of_them]
    return {"summary": summary, "responses": answers_by_status(*all_of_them)}


def _state(*words: str, **more: Schema) -> Schema:
    status: Schema = {"type": "string", "enum": [*words]}
    return {"type": "object", "required": ["status", *more], "properties": {"status": status, **more}}


def _json(meaning: str, schema: Schema) -> Answer:
    return Answer(f"- {meaning}", {bodies.JSON: schema}, EVERY)


_PAGES: Mapping[str, tuple[str, Answers]] = {
    "/healthz": ("Does the process answer?", {200: _json("It does.", _state("ok"))}),
    "/readyz": (
        "Would a postback be stored now?",
        {
            200: _json("It would: in the database, or (`spooling`) in the journal.", _state("ready", "spooling")),
            503: _json("It would not.", _state("not ready", reason={"type": "string"})),
        },
    ),
    "/metrics": (
        "The metrics, in the format that `Accept` asks for",
        {200: Answer("- Prometheus' text, or OpenMetrics.", dict.fromkeys((TEXT, _OPENMETRICS), _TEXT), EVERY)},
    ),
}


def _taking(summary: str, why: str) -> Schema:
    return {"summary": summary, "description": why, "security": _SECURITY}


def _rows(name: str, description: str, *examples: object) -> Schema:
    rows: Schema = {"type": "array", "minItems": 1, "maxItems": batch.MAX_ROWS, "items": component(name)}
    return {**rows, "description": description, **({"examples": [*examples]} if examples else {})}


_ONE_NOT_EXPANDED = [  # so the answer is 207; for all or none 409, because the second row comes too early
    {"c": "6f1c2b", "value": "1.50", "conversion_status": "pending"},
    {"c": "6f1c2b", "value": "1.50", "conversion_status": "refunded"},
    {"c": "{click_id}", "value": "1.50"},
]
_NOT_EXPANDED = [{"c": "{click_id}", "value": "1.50"}]  # every row is rejected: 422, or 400 for all or none
