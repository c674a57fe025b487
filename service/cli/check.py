"""Owns the command `check`: what would happen to this postback URL, and why, without storing anything."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import SplitResult, urlsplit

import orjson
import typer

from service.auth.credentials import extract_keys
from service.cli.registering import chosen_sender
from service.cli.setting_up import refuse, settings_or_refuse
from service.core.mistakes import diagnose_accepted, diagnose_rejected
from service.core.outcome import Diagnosis, Family, Outcome, Rejected
from service.core.parsing import claimed, parse
from service.core.postback import BATCH_PATH, DOORS, POSTBACK_PATHS, Door, Postback, RawPostback, sent_status
from service.core.sender import PRESETS, Sender

if TYPE_CHECKING:
    from service.settings import Settings


def check(
    url: Annotated[str, typer.Argument(help="The postback URL, whole or from the path on; quote it for the shell.")],
    *,
    preset: Annotated[
        str | None, typer.Option(help=f"How the sender writes: {', '.join(PRESETS)}.", show_default="POSTBACK_PRESET")
    ] = None,
    numbers: Annotated[
        str | None, typer.Option(help="How it writes amounts: point, comma or cents.", show_default="POSTBACK_NUMBERS")
    ] = None,
    sender: Annotated[
        str | None, typer.Option(help="Whose it is: a registered sender.", show_default="the preset's name")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what would happen to a postback URL, and why. Nothing is sent and nothing is stored.

    Exit 0: it would be accepted. 1: it would not. 2: not a URL, or bad configuration.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        refuse([f"not a URL: {error}"])
    if parts.path not in DOORS:
        refuse([f"{parts.path or 'no path'}: postbacks go to {' or '.join(DOORS)}; this would be answered 404"])
    if parts.path == BATCH_PATH:
        refuse([f"{BATCH_PATH} takes a body and no parameters; check a row of it as {POSTBACK_PATHS[0]}?…"])
    if sender and (preset or numbers):
        refuse(["--sender says how it writes: leave --preset and --numbers out"])
    settings = settings_or_refuse(preset=preset, numbers=numbers)
    writes_like = settings.sender if preset or numbers else _registered(sender, settings)
    foreseen = _foresee(_raw(parts), writes_like)
    typer.echo(_json(foreseen) if as_json else _text(foreseen))
    raise typer.Exit(0 if foreseen.outcome.family is Family.ACCEPTED else 1)


def _registered(name: str | None, settings: "Settings") -> Sender:
    """Return the registered sender; while the database cannot be asked, the one of the settings."""
    from service.core.unavailable import StorageError
    from service.storage.database import database_at
    from service.storage.senders import Rows

    try:
        rows = database_at(settings.database_url).senders().rows()
    except StorageError:
        rows = Rows()
    return chosen_sender(name, settings, rows)


@dataclass(frozen=True, slots=True)
class _Foreseen:
    door: Door
    outcome: Outcome
    detail: str
    diagnosis: Diagnosis | None
    postback: Postback | None = None

    @property
    def status(self) -> int:
        return sent_status(self.door, self.outcome)

    @property
    def hint(self) -> str:
        return self.diagnosis.advice if self.diagnosis else self.outcome.hint


def _foresee(raw: RawPostback, sender: Sender) -> _Foreseen:
    try:
        postback = parse(raw, sender)
    except Rejected as rejected:
        wrong = diagnose_rejected(rejected.outcome, claimed(raw), sender)
        return _Foreseen(raw.door, rejected.outcome, rejected.detail, wrong)
    odd = diagnose_accepted(postback, sender)
    from service.core.unavailable import ErrorKind, StorageError
    from service.storage.database import database_at

    try:
        verdict = database_at(settings_or_refuse().database_url).history().foresee(postback)
    except StorageError as error:
        if error.kind != ErrorKind.NO_DATABASE:
            refuse([str(error)])
        # Without a database nothing is stored under this key either.
        return _Foreseen(raw.door, Outcome.STORED, str(error), odd, postback)
    return _Foreseen(raw.door, verdict.outcome, verdict.detail, odd, postback)


def _raw(parts: SplitResult) -> RawPostback:
    return RawPostback(
        door=DOORS[parts.path],
        method="GET",
        path=parts.path,
        query=extract_keys(parts.query.encode("utf-8", "surrogateescape"))[0],
        content_type="",
        content_encoding="",
        body=b"",
        complete=True,
        host=parts.netloc.encode("utf-8", "surrogateescape"),
        forwarded=False,
        client_ip="",
        received_at=datetime.now(UTC),
        request_id="",
        trace_id="",
    )


def _text(foreseen: _Foreseen) -> str:
    outcome = foreseen.outcome
    lines = [f"{outcome.value} (HTTP {foreseen.status})" + (f": {foreseen.detail}" if foreseen.detail else "")]
    if outcome is not Outcome.STORED or foreseen.diagnosis:
        lines.append(f"hint: {foreseen.hint}")
    if foreseen.postback:
        lines += [f"  {name:<15} {value}" for name, value in _fields(foreseen.postback).items()]
    return "\n".join(lines)


def _json(foreseen: _Foreseen) -> str:
    outcome = foreseen.outcome
    answer = {
        "outcome": outcome.value,
        "status": foreseen.status,
        "detail": foreseen.detail,
        "hint": foreseen.hint,
        "mistake": foreseen.diagnosis and foreseen.diagnosis.mistake,
        "fields": foreseen.postback and _fields(foreseen.postback),
    }
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


def _fields(postback: Postback) -> dict[str, object]:
    named = {
        "sender": postback.sender,
        "click_id": postback.click_id,
        "value": postback.value,
        "currency": postback.currency,
        "goal": postback.goal,
        "transaction_id": postback.transaction_id,
        "is_test": postback.is_test,
        "params": dict(postback.params),
    }
    return {name: value for name, value in named.items() if value}
