"""Owns a database whose every text bites where it is shown as it is, and what tells that none of it was."""

import csv
import re
import unicodedata
from io import StringIO
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import JSON, Boolean, Column, Integer, LargeBinary, String, create_engine, insert

from service.core.harmless import as_it_was
from service.storage.schema.registry import CONVERSION, TABLES
from service.storage.schema.tables import RejectedPostback
from tests.support import builders
from tests.support.migrated import put_migrated

DRIVES = "\x1b]0;PWNED\x07\x1b[31m\x9b32m\x85\u2028\u202e\u200b\u2066\ufe0f\u3164\x7f\r\nFORGED level=critical\t"
BITES = f"=cmd|' /C calc'!A0{DRIVES};=1+1\n=2\uff1d3"
PARAMETER = f"{BITES}parameter"
HALF = "\ud800"  # of a surrogate pair: only JSON can hold one
KEY_ID = "0123456789ab"
# What the service itself writes into a column, and reads as a word of its own.
_WORDS = {
    "outcome": "unauthenticated",
    "replay_outcome": "invalid_value",
    "door": "postback",
    "conversion_status": "pending",
    "preset": "ezmob",
    "numbers": "point",
    "duplicates": "first",
    "table_name": "conversion",
    "secret_sha256": "00" * 32,
    "api_key.id": KEY_ID,
}
_JSON: dict[str, object] = {
    "params": {BITES: BITES, PARAMETER: "1.50"},
    "rules": None,
    "fields": {PARAMETER: "value"},
    "statuses": {BITES: "approved"},
    "required": ["click_id"],
    "never_keep": [PARAMETER],
    "networks": ["192.0.2.0/24"],
    "report_only": ["signature"],
    "currencies": [BITES],
    "placeholders": [BITES],
    "doors": ["postback", "batch"],
}
_READ_OTHERWISE = {  # by today's rules
    **dict.fromkeys(("goal", "transaction_id", "value"), ""),
    **dict.fromkeys(("click_id", "request_id"), "came"),
    "value_micros": 0,
    "currency": None,
}
_ANSWERED = ("database_identity", "schema_floor")  # they have their row
_UNSEEN = "\u3164\ufe0f"  # letters by their category, and nothing is seen of them
_AMOUNT = re.compile(r"-?[0-9]+([.,][0-9]+)?")


def text(column: str, table: str = "") -> str:
    """Return what stands in a column: the same wherever it has that name, so that rows find each other."""
    return f"{BITES}{column}{table}"


REQUEST_ID = text("request_id", RejectedPostback.__tablename__)


def plant(path: Path, *, everywhere: bool) -> None:
    """Put a database with one row in each table, whose texts all bite; `everywhere`: also where words of ours stand."""
    put_migrated(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as database:
        for stored in TABLES:
            row = {one.name: _planted(one, stored.name, everywhere=everywhere) for one in stored.table.columns}
            if stored.name not in _ANSWERED:
                database.execute(insert(stored.table).values(row))
            if stored is CONVERSION:
                database.execute(insert(stored.table).values(row | _READ_OTHERWISE))
    engine.dispose()


def _planted(column: Column[object], table: str, *, everywhere: bool) -> object:
    planted: object = None if column.nullable else builders.RECEIVED_AT
    match column.type:
        case JSON():
            planted = [HALF, BITES] if everywhere else _JSON[column.name]
        case LargeBinary():
            planted = _raw()
        case Boolean():
            planted = False
        case Integer():
            planted = 1
        case String():
            words = {} if everywhere else _WORDS
            planted = words.get(column.name) or words.get(f"{table}.{column.name}") or _text(column.name, table)
    return planted


def _text(column: str, table: str) -> str:
    if column == "rejected_request_id":
        return REQUEST_ID
    if (table, column) == ("sender", "name"):
        return text("sender")
    return text(column, table) if column == "request_id" else text(column)


def _raw() -> bytes:
    """Return raw input of a postback that is accepted today, in its query and in its body."""
    query = f"c=rejected&value=2&{quote(text('click_id'))}={quote(BITES)}"
    form = "application/x-www-form-urlencoded"
    body = f"{BITES}=".encode() + b"\xff\xed\xa0\x80"
    return builders.raw(query, method="POST", content_type=form, body=body).as_sent()


def drives_terminal(shown: str) -> list[str]:
    """Return what a terminal would obey or hide, and lines that a value has begun."""
    forged = re.findall(r"(?m)^FORGED.*", shown)
    return forged + [letter for letter in shown if letter != "\n" and not _is_seen(letter)]


def _is_seen(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return letter == " " or not (kind[0] in "CZ" or letter in _UNSEEN)


def formulas(page: str) -> list[str]:
    """Return the cells that a spreadsheet calculates, whether it splits at commas, semicolons or tabs."""
    cells = [cell for mark in ",;\t" for row in csv.reader(StringIO(page, newline=""), delimiter=mark) for cell in row]
    return [cell for cell in cells if re.match(r"[\s\"\x00-\x1f]*[=+\-@\uff1d]", cell) and not _AMOUNT.fullmatch(cell)]


def cells(page: str) -> set[str]:
    """Return the texts of a CSV as they were stored."""
    return {as_it_was(cell) for row in csv.reader(StringIO(page, newline="")) for cell in row}


def strings(answer: object) -> set[str]:
    """Return all texts of an answer in JSON, names of members as well."""
    if isinstance(answer, dict):
        return set(answer).union(*map(strings, answer.values()))
    if isinstance(answer, list):
        return set().union(*map(strings, answer))
    return {answer} if isinstance(answer, str) else set()
