"""Owns what an operator does meanwhile: files are imported, click ids are erased, rejections are replayed.

Each is killed now and then, and given again.
"""

import asyncio
import csv
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.outside.harness import clean_environment
from tests.support.outside.model import doors
from tests.support.outside.model.clients import operation
from tests.support.outside.model.history import NEVER_ENDED, Erasure, History, Operation
from tests.support.outside.model.mix import ACME, FILED, SENDERS, Mix, Postback
from tests.support.outside.model.rows import Sql, replays_of, tags_of_rejected

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.5  # before something is given again
_MOST_TIMES = 50
_WRONG_TIMES = ("0001-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2101-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
_FILLING = 1500  # rows of a file that only make it long enough to be killed halfway


class Commands:
    """The commands of one database, run in a directory of their own."""

    def __init__(self, directory: Path, database_url: str, chance: random.Random) -> None:
        self.codes: Counter[str] = Counter()
        self._directory = directory
        self._environment = {**clean_environment(), "POSTBACK_DATABASE_URL": database_url}
        self._chance = chance
        self._filed = FILED
        self._numbers = 0

    async def run(self, *arguments: str, killed_after: float | None = None) -> int:
        """Run a command to its end, or for so many seconds; return its exit code."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", *arguments),
            cwd=self._directory,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await asyncio.wait_for(process.wait(), killed_after or _PATIENCE_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
        code = await process.wait()
        self.codes[f"{arguments[0]} {code}"] += 1
        return code

    async def _until(self, *codes: int, given: Sequence[str]) -> None:
        """Give a command again until it ends so: the database may be away."""
        for _ in range(_MOST_TIMES):
            if await self.run(*given) in codes:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise TimeoutError(f"{given} never ended with {codes}")

    async def import_file(self, history: History, mix: Mix) -> None:
        """Import a file; it is killed, or given twice at once, and then given until it is done."""
        sender, form = self._chance.choice([*SENDERS, self._filed]), self._chance.choice([".ndjson", ".csv"])
        self._numbers += 1
        path = self._directory / f"file-{mix.prefix}{self._numbers}{form}"
        hot = [mix.next(sender) for _ in range(150)]
        rows = [*hot, *(mix.filling(sender) for _ in range(_FILLING))]
        self._chance.shuffle(rows)
        rows, dated = self._dated(rows)
        path.write_bytes(doors.ndjson(rows) if form == ".ndjson" else doors.as_csv(rows))
        sent = [operation(one, "import", "", group=path.name, place=place) for place, one in enumerate(rows, 1)]
        history.operations.extend(sent)
        report = path.with_name(f"{path.name}.report{form}")
        given = ("import", str(path), "--sender", sender.name, "--report", "all", *dated)
        if self._chance.random() < 0.5:
            await self.run(*given, killed_after=self._chance.uniform(0.7, 2.0))
        if self._chance.random() < 0.3:
            await asyncio.gather(self.run(*given), self.run(*given, "--report", f"{path}.second{form}"))
        if self._chance.random() < 0.3:
            report.unlink(missing_ok=True)
        await self._until(0, 1, given=given)
        if sender is self._filed:
            await self._import_again(given, report)
        _note_report(sent, report)

    def _dated(self, rows: list[Postback]) -> tuple[list[Postback], Sequence[str]]:
        """Give the rows of some files a time of their own, a few of them one that cannot be."""
        if self._chance.random() < 0.6:
            return rows, ()
        return [self._with_a_time(one) for one in rows], ("--received-at", "at")

    def _with_a_time(self, one: Postback) -> Postback:
        impossible = self._chance.random() < 0.01
        yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")  # well within retention
        moment = self._chance.choice(_WRONG_TIMES) if impossible else yesterday
        rejected = one.rejected | {"malformed_body"} if impossible else one.rejected
        return replace(one, parameters={**one.parameters, "at": moment}, rejected=rejected)

    async def _import_again(self, given: Sequence[str], report: Path) -> None:
        """Give the file again after its sender's policy changed: what it was judged by is recorded."""
        policy = self._chance.choice([other for other in ("first", "click", "sum") if other != self._filed.policy])
        await self._until(0, given=("senders", "set", self._filed.name, "--duplicates", policy))
        self._filed = self._filed._replace(policy=policy)
        await asyncio.to_thread(report.unlink)
        await self._until(0, 1, given=given)

    async def erase(self, history: History, click_id: str) -> None:
        """Erase a click id; one erasure in five is killed."""
        erasure = Erasure(click_id, time.time())
        history.erasures.append(erasure)
        killed = self._chance.uniform(0.5, 1.5) if self._chance.random() < 0.2 else None
        if await self.run("erase", click_id, "--yes", "--by", "model", killed_after=killed) == 0:
            erasure.ended, erasure.surely = time.time(), True

    async def replay(self, history: History, sql: Sql, mix: Mix) -> None:
        """Give the odd word its meaning, and replay what was rejected for it; killed once, then to its end."""
        history.understood_from = min(history.understood_from, time.time())
        await self._until(0, given=("senders", "set", ACME.name, "--status", f"{mix.word}=approved"))
        began, chosen = time.time(), await asyncio.to_thread(_waiting, sql, mix.prefix)
        tags = await asyncio.to_thread(tags_of_rejected, sql, mix.prefix)
        self._numbers += 1
        sent = _replayed(history, chosen, tags, began, f"replay-{self._numbers}")
        given = ("replay", "--outcome", "invalid_status", "--sender", ACME.name, "--yes", "--by", "model")
        if self._chance.random() < 0.5:
            await self.run(*given, killed_after=self._chance.uniform(0.7, 1.5))
        await self._until(0, given=given)
        ended, told = time.time(), await asyncio.to_thread(replays_of, sql)
        tags = await asyncio.to_thread(tags_of_rejected, sql, mix.prefix)
        sent |= _replayed(history, told.keys() - sent.keys(), tags, began, "")  # kept, or drained, only meanwhile
        for rejected in sent.keys() & told.keys():
            one = sent[rejected]
            one.request_id, one.answer = told[rejected]
            one.answered = ended if one.answer else NEVER_ENDED
        history.operations.extend(sent.values())


def _waiting(sql: Sql, prefix: str) -> list[str]:
    """Return the request ids that a replay finds, in its order."""
    where = f"outcome = 'invalid_status' AND replayed_at IS NULL AND click_id LIKE '{prefix}%'"
    found = sql(f"SELECT request_id FROM rejected_postback WHERE {where} ORDER BY received_at, id")  # noqa: S608 - ours
    return [str(request_id) for (request_id,) in found]


def _replayed(
    history: History, chosen: Iterable[str], tags: Mapping[str, str], began: float, group: str
) -> dict[str, Operation]:
    """Return the second life of each postback that was rejected for its word, by the first one's request id.

    It is known by its tag: who was cut off before the answer knows no request id. What an earlier replay gave a second
    life has its own already.
    """
    replayed = {one.tag for one in history.operations if one.door == "replay" and one.request_id}
    worded = [one for one in history.operations if one.unset or one.said.word]
    known = {one.tag: one for one in worded if one.tag not in replayed and one.door != "replay"}
    return {
        request_id: Operation(first.tag, first.key, first.said, "replay", began, group=group, place=place)
        for place, request_id in enumerate(chosen)
        if (first := known.get(tags.get(request_id, "")))
    }


def _note_report(sent: Sequence[Operation], path: Path) -> None:
    """Note what the report says of each row. An apostrophe protects spreadsheets; no word or id begins with one."""
    ended = time.time()
    with path.open(encoding="utf-8", newline="") as file:
        for told in csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file):
            one = sent[int(told["row"]) - 1]
            one.answered, one.answer, one.request_id = ended, told["outcome"], told["request_id"]
