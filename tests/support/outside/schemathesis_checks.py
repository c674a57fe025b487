"""Owns what Schemathesis is told beside the description: how rows are written and read, and two checks of our own.

Loaded by the program itself (SCHEMATHESIS_HOOKS), in a process of its own.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, DeserializationContext, Response, SerializationContext

Rows = list[dict[str, object]]
Tried = Case[Any]  # of any operation

# What a schema cannot say: the length in bytes, what looks like a macro, what was stored before (and in JSON, how a
# number is written).
_BEYOND_SCHEMAS = {"too_large", "unexpanded_macro", "illegal_transition", "invalid_status"}
_ACCEPTED = {"stored", "duplicate", "conflict", "updated"}


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: SerializationContext, rows: object) -> bytes:
    """Write a line for each row; what is no list, as the one line."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in (rows if isinstance(rows, list) else [rows]))


@schemathesis.serializer("text/csv")
def csv_text(_context: SerializationContext, rows: object) -> bytes:
    """Write a header of all names, and a record for each row; what are no rows, as text."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return str(rows).encode("utf-8", "surrogatepass")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


@schemathesis.deserializer("application/x-ndjson")
def ndjson_rows(_context: DeserializationContext, response: Response) -> Rows:
    """Read a row from each line."""
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.deserializer("text/csv")
def csv_rows(_context: DeserializationContext, response: Response) -> Rows:
    """Read a row from each record."""
    records = csv.DictReader(io.StringIO(response.content.decode(), newline=""), strict=True)
    return [{**record, "row": int(record["row"])} for record in records]


@schemathesis.check
def answer_agrees_with_itself(_context: CheckContext, response: Response, _case: Tried) -> None:
    """Use the same words, ids and status in headers and body."""
    if response.status_code >= 400 and header(response, "content-type").startswith("text/plain"):
        return  # to a connection, whose request never became one
    request_id = header(response, "x-request-id")
    assert request_id, "no X-Request-Id"
    if "problem+json" in header(response, "content-type"):
        problem = response.json()
        assert problem["request_id"] == request_id
        assert problem["status"] == response.status_code
        assert problem.get("outcome", "") == header(response, "x-postback-outcome")
    elif header(response, "x-postback-outcomes"):
        assert response.status_code in {200, 207, 422}


@schemathesis.check
def valid_input_is_accepted(_context: CheckContext, response: Response, case: Tried) -> None:
    """Accept what the schema allows, but for what no schema can say. Nobody packed a body that is said to be packed."""
    if case.meta is None or not case.meta.generation.mode.is_positive or packed(case.headers):
        return
    words = header(response, "x-postback-outcomes") or header(response, "x-postback-outcome")
    outcomes = {word.partition("=")[0] for word in words.split()}
    in_json = {"invalid_value", "invalid_click_id", "invalid_encoding"} if "json" in (case.media_type or "") else set()
    assert outcomes <= _ACCEPTED | _BEYOND_SCHEMAS | in_json, f"valid, and {words}"


def header(response: Response, name: str) -> str:
    """Return the value of a header, or nothing."""
    values: Sequence[str] = response.headers.get(name) or [""]
    return values[0]


def packed(headers: Mapping[str, str] | None) -> bool:
    """Tell whether the request says that its body is packed."""
    return bool(headers) and (headers or {}).get("Content-Encoding", "identity") != "identity"
