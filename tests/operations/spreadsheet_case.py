"""Owns what a spreadsheet is in the tables of tests: its bytes, and what must be stored and told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.core.presets import EZMOB
from service.core.sender import Sender
from service.operations.files.spreadsheet.reading import Options

Stored = tuple[str, int, str | None] | tuple[str, int, str | None, str]  # click id, millionths, currency, moment


@dataclass(frozen=True)
class Spreadsheet:
    """A file as a program writes it: `text` in an encoding.

    `stored` is each conversion that is in it, `rejected` the outcome and a part of the detail of each other row, `told`
    the line that says how it was read. `refused` is why the whole file is not taken. `compared` is what comes of
    comparing it with what was stored of it, if not every stored row matches and every other one cannot be read.
    """

    title: str
    text: str
    told: str = ""
    stored: tuple[Stored, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    refused: str = ""
    encoding: str = "utf-8"
    options: Options = field(default_factory=Options)
    sender: Sender = EZMOB
    moments: str | None = None
    compared: Mapping[str, int] | None = None

    @property
    def content(self) -> bytes:
        """Return its bytes."""
        return self.text.encode(self.encoding, "surrogateescape")

    @property
    def counts(self) -> dict[str, int]:
        """Return what comes of comparing it with what was stored of it."""
        if self.compared is not None:
            return dict(self.compared)
        found = {"matched": len(self.stored), "unreadable": len(self.rejected)}
        return {kind: count for kind, count in found.items() if count}


def lines(*records: str, end: str = "\r\n") -> str:
    """Return a text of lines, each with its end."""
    return "".join(record + end for record in records)
