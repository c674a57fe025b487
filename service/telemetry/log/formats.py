"""Owns how a log line looks: JSON for machines, or text for a terminal."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from service.core.harmless import DELETE, visible, visible_json

LogFormat = Literal["json", "console"]
Renderer = Callable[[WrappedLogger, str, EventDict], bytes]


def renderer(log_format: LogFormat) -> Renderer:
    """Return what makes a line of an event."""
    return _render_json if log_format == "json" else _console_renderer()


def _render_json(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> bytes:
    try:
        line = orjson.dumps(event_dict, repr, orjson.OPT_UTC_Z)
        return line if line.isascii() and DELETE not in line else visible_json(line)  # a call less for most
    except TypeError:  # half a surrogate pair, an integer over 64 bits: the standard library is slower and takes both
        return visible_json(json.dumps(event_dict, default=_plain).encode())


def json_alike(line: EventDict, own: Sequence[str], texts: Iterable[Sequence[str]]) -> list[bytes]:
    """Return JSON lines that differ from this one in the texts of their `own` fields, which are in its order.

    What they have in common is rendered once. The texts are UTF-8 without NUL.
    """
    marks = {name: f"\0{name}" for name in own}  # no text has a NUL
    form = _render_json(None, "", {**line, **marks}).replace(b"%", b"%%")
    for mark in marks.values():
        form = form.replace(orjson.dumps(mark), b"%b")
    return [visible_json(form % tuple(map(orjson.dumps, some))) for some in texts]


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else repr(value)


def _console_renderer() -> Renderer:
    colors = sys.stdout.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
    render = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)

    def render_bytes(logger: WrappedLogger, method: str, event_dict: EventDict) -> bytes:
        shown = {name: _visible(name, value) for name, value in event_dict.items()}
        shown["timestamp"] = event_dict["timestamp"].strftime("%H:%M:%S.%f")[:-3]
        return str(render(logger, method, shown)).encode("utf-8", "backslashreplace")

    return render_bytes


def _visible(name: str, value: object) -> object:
    """Return a value that neither drives the terminal nor begins a line. A traceback has lines, and is indented.

    The renderer quotes what could look like another field.
    """
    text = value if isinstance(value, str) else repr(value)
    if name == "exception":
        return "\n".join(f"  {visible(line)}" for line in text.split("\n"))
    shown = visible(text)
    return value if shown == text else shown
