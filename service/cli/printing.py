"""Owns how commands print, so that no text that others wrote does a terminal any harm: lines, JSON, rows."""

import json
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from service.core.harmless import visible, visible_json

if TYPE_CHECKING:
    from service.operations.files.row_output import Stream

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]


def say(*lines: str, err: bool = False) -> None:
    """Print lines. Whatever stands in one stays on it, and can be seen. No command prints text in another way."""
    if lines:
        typer.echo("\n".join(map(visible, lines)), err=err)


def print_json(answer: object, *, err: bool = False) -> None:
    """Print an answer as JSON; moments in UTC with a Z."""
    typer.echo(visible_json(_json(answer)).decode(), err=err)


def stdout() -> "Stream":
    """Return where rows go that go into no file: exact for a program, visible at a terminal."""
    return _Terminal() if sys.stdout.isatty() else sys.stdout.buffer


_RECORD = re.compile(r'((?:[^"\r]++|"[^"]*+"?|\r(?!\n))*+)\r?\n?')  # of CSV: a line end in a cell ends none


class _Terminal:
    """A stream of text whose rows are said, each on one line."""

    def writelines(self, pieces: Iterable[bytes], /) -> None:
        for piece in pieces:
            text = piece.decode()
            say(*(_RECORD.findall(text)[:-1] if text.endswith("\r\n") else text.removesuffix("\n").split("\n")))


def raw_lines(raw: bytes) -> list[str]:
    """Return raw input line by line; a line end of the sender's begins no line of ours."""
    return [f"  | {visible(line)}" for line in raw.replace(b"\r\n", b"\n").split(b"\n")]


def _json(answer: object) -> bytes:
    try:
        return orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
    except TypeError:  # half a surrogate pair, in what was typed: the standard library is slower and takes it
        return json.dumps(answer, indent=2, default=_plain).encode()


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
