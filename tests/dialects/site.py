"""Owns the service that the table is sent to: all doors, and what can be seen of a postback afterwards."""

import asyncio
import csv
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from io import StringIO
from itertools import count
from pathlib import Path
from urllib.parse import parse_qsl

from service.core.judging import Manner
from service.core.presets import EZMOB
from service.core.roster import Roster
from service.core.verdict import Verdict
from service.operations.check import Listening, check
from service.operations.files.row_file import Form, RowFile
from service.operations.importing.file import ImportFile
from service.operations.own_line import storing
from service.storage.database import Database, database_at
from service.storage.ledger import Ledger
from tests.dialects.rows import CLICK, FILES, Body, Door, Row
from tests.dialects.senders import key_of, register
from tests.support.migrated import put_migrated
from tests.support.served import Served, serving

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
NDJSON, CSV = "application/x-ndjson", "text/csv; charset=utf-8"
COLUMNS = "click_id, goal, transaction_id, value, value_micros, currency, params, conversion_status, is_test"
OF_CHECK = ("click_id", "goal", "transaction_id", "value", "currency", "params")


@dataclass
class Seen:
    """What came of a postback: the word, what the sender was told, the conversion's columns, the mistakes counted."""

    outcome: str
    told: str = ""
    columns: Mapping[str, object] = field(default_factory=dict)
    mistakes: Mapping[str, int] = field(default_factory=dict)
    kept: Sequence[str] = ()


Pairs = Sequence[tuple[str, str]]
Send = Callable[[Row, Door], tuple[Seen, str]]  # what came of it, and the click id that it was given


class Site:
    """The doors of a running service; files are imported into a database beside it, as the command does."""

    def __init__(self, served: Served, folder: Path, ledger: Ledger, database: Database, roster: Roster) -> None:
        self._served = served
        self._folder = folder
        self._ledger = ledger
        self._database = database
        self._roster = roster
        self._numbers = count(1)

    async def send(self, row: Row, door: Door) -> tuple[Seen, str]:
        """Send a row through a door, after what came before it; return what came of it and its click id."""
        click_id = f"click-{next(self._numbers)}"
        for before in row.before:
            await self._one(row.sender, before, door, click_id)
        mistakes = self._served.metrics.mistakes
        earlier = Counter({mistake.value: number for mistake, number in mistakes.items()})
        seen = await self._one(row.sender, row.sent, door, click_id)
        if door not in (*FILES, "check"):
            seen.mistakes = Counter({mistake.value: number for mistake, number in mistakes.items()}) - earlier
        return seen, click_id

    async def _one(self, sender: str, sent: str | Body, door: Door, click_id: str) -> Seen:
        if isinstance(sent, Body):
            return await self._post(sender, sent.content.replace(CLICK.encode(), click_id.encode()), sent)
        query = sent.replace(CLICK, click_id)
        match door:
            case "get":
                return await self._request("GET", f"/postback?{query}", sender)
            case "pixel":
                return await self._request("GET", f"/pixel.gif?{query}", sender)
            case "import" | "sheet":
                return await self._import(sender, query, "csv" if door == "sheet" else "ndjson")
            case "check":
                return await self._check(sender, query)
            case _:
                body = as_body(door, query)
                return await self._post(sender, body.content, body)

    async def _post(self, sender: str, content: bytes, like: Body) -> Seen:
        return await self._request("POST", like.path, sender, content, like.content_type)

    async def _request(self, method: str, url: str, sender: str, content: bytes = b"", content_type: str = "") -> Seen:
        headers = {"authorization": f"Bearer {key_of(sender)}", "content-type": content_type}
        headers = {name: text for name, text in headers.items() if text}
        self._served.lines.kept.clear()
        answer = await self._served.public.request(method, url, content=content, headers=headers)
        request_id = answer.headers["x-request-id"]
        line = self._served.only_line()
        if not url.startswith("/postbacks") or "x-postback-outcome" in answer.headers:
            seen = Seen(answer.headers["x-postback-outcome"], f"{answer.text} {line.get('detail', '')}")
        else:
            (row,) = _answered_rows(answer.text, answer.headers["content-type"])
            seen = Seen(str(row["outcome"]), f"{row['hint']} {row.get('detail', '')} {line.get('detail', '')}")
            request_id += "-1"
        return self._looked_up(seen, self._served.path, request_id)

    async def _import(self, sender: str, query: str, form: Form) -> Seen:
        path = self._folder / f"{next(self._numbers)}.{form}"
        path.write_bytes(as_csv(pairs_of(query)) if form == "csv" else as_json(pairs_of(query)))
        rows = ImportFile(RowFile(path, form), sender=self._roster.senders[sender].sender)
        heard: list[Verdict] = []

        def hear(_raws: object, _understood: object, verdicts: Sequence[Verdict]) -> None:
            heard.extend(verdicts)

        async with storing(self._ledger, rows.caller, hear, Manner.NEW) as line:
            await line.receive_rows(rows.groups())
        (verdict,) = heard
        seen = Seen(verdict.outcome.value, f"{verdict.hint} {verdict.detail}")
        return self._looked_up(seen, self._folder / "imported.db", f"{rows.request_id}-1")

    async def _check(self, sender: str, query: str) -> Seen:
        listening = Listening("required", "127.0.0.1", EZMOB, self._roster)
        url = f"http://127.0.0.1:8000/postback?{query}"
        foreseen = await check(url, listening, self._database, key=key_of(sender))
        fields = dict.fromkeys(OF_CHECK) | {"goal": "", "transaction_id": "", "value": "", "params": {}}
        columns = {**fields, **{name: text for name, text in (foreseen.fields or {}).items() if name in OF_CHECK}}
        return Seen(foreseen.outcome.value, f"{foreseen.hint} {foreseen.detail}", columns)

    def _looked_up(self, seen: Seen, path: Path, request_id: str) -> Seen:
        """Add what is stored of it: the conversion that it made, or the input that was kept."""
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            made = connection.execute(f"SELECT {COLUMNS} FROM conversion WHERE request_id = ?", (request_id,))  # noqa: S608 - our own names
            for row in made:
                seen.columns = {**dict(row), "params": json.loads(row["params"])}
            kept = connection.execute("SELECT outcome FROM rejected_postback WHERE request_id = ?", (request_id,))
            seen.kept = [outcome for (outcome,) in kept]
        return seen


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Site]:
    """Serve all senders, with a database beside them for files."""
    databases = [database_at(f"sqlite:///{folder / name}") for name in ("served.db", "imported.db")]
    for name, database in zip(("served.db", "imported.db"), databases, strict=True):
        put_migrated(folder / name)
        roster = await asyncio.to_thread(register, database)
    ledger = databases[1].ledger()
    ledger.open()
    try:
        async with serving(folder / "served.db") as served:
            yield Site(served, folder, ledger, databases[0], roster)
    finally:
        ledger.close()


def as_body(door: Door, query: str) -> Body:
    """Return a query as the body that is posted to a door."""
    match door:
        case "json":
            return Body(as_json(pairs_of(query)))
        case "ndjson":
            return Body(as_json(pairs_of(query)) + b"\n", NDJSON, "/postbacks")
        case "array":
            return Body(b"[%b]" % as_json(pairs_of(query)), JSON, "/postbacks")
        case "csv":
            return Body(as_csv(pairs_of(query)), CSV, "/postbacks")
        case _:
            return Body(query.encode(), FORM)


def pairs_of(query: str) -> Pairs:
    """Return the pairs of a query as other doors send them."""
    return parse_qsl(query, keep_blank_values=True)


def as_json(pairs: Pairs) -> bytes:
    """Return pairs as one object; a dict would drop the first of two names."""
    members = (f"{json.dumps(name)}:{json.dumps(text)}" for name, text in pairs)
    return f"{{{','.join(members)}}}".encode()


def as_csv(pairs: Pairs) -> bytes:
    """Return pairs as a header and one record."""
    text = StringIO(newline="")
    csv.writer(text).writerows([*zip(*pairs, strict=True)])
    return text.getvalue().encode()


def _answered_rows(text: str, content_type: str) -> list[dict[str, object]]:
    if content_type.startswith("text/csv"):
        return [*csv.DictReader(StringIO(text))]
    return json.loads(text) if content_type == JSON else [json.loads(line) for line in text.splitlines()]
