"""Owns how commands print: JSON, and text that does a terminal no harm, whatever senders wrote."""

from typing import Annotated

import orjson
import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]


def print_json(answer: object, *, err: bool = False) -> None:
    """Print an answer as JSON; moments in UTC with a Z."""
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode(), err=err)


def printable(text: str | bytes) -> str:
    """Return a text in which nothing moves the cursor, changes a colour or the direction of writing."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def printable_lines(raw: bytes) -> list[str]:
    """Return raw input line by line; a line end of the sender's begins no line of ours."""
    return [f"  | {printable(line)}" for line in raw.replace(b"\r\n", b"\n").split(b"\n")]


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
