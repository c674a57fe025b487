"""Owns what a row of the table is: who sends, what, through which doors, and what must come of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Door = Literal["get", "form", "json", "ndjson", "array", "csv", "pixel", "import", "sheet", "check"]
Text = str | None
EVERY: tuple[Door, ...] = get_args(Door)
SINGLE: tuple[Door, ...] = ("get", "form", "json", "pixel", "check")  # what is one request
FILES: tuple[Door, ...] = ("import", "sheet")  # lines of JSON, and a spreadsheet
UNSHEETED: tuple[Door, ...] = tuple(door for door in EVERY if door != "sheet")  # cells are read more freely
WRITING: tuple[Door, ...] = tuple(door for door in EVERY if door != "check")  # where what came before is there
URL: tuple[Door, ...] = ("get", "pixel", "check")  # what is written in a URL
CLICK = "CLICK"  # in what is sent and expected: a click id that no other postback has


def cells(text: str) -> tuple[Door, ...]:
    """Return the doors that take a text as it stands: a spreadsheet leaves out the spaces around it."""
    return EVERY if text == text.strip() else UNSHEETED


@dataclass(frozen=True)
class Body:
    """A body that is posted as it stands, and its path."""

    content: bytes
    content_type: str = "application/json"
    path: str = "/postback"


@dataclass(frozen=True)
class Row:
    """One postback, after those that came `before` it, and what must come of it.

    A text is a query; other doors send the same pairs in their own form. `columns` are the conversion's, each with what
    it must hold. `words` must be in what the sender is told, and no word of `never`. `mistake` is counted; where
    it is accepted, no other is.
    """

    sender: str
    sent: str | Body
    outcome: str
    doors: tuple[Door, ...]
    columns: Mapping[str, object] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    mistake: str | None = None
    before: Sequence[str | Body] = ()

    def __str__(self) -> str:
        """Return what a test's name says of it."""
        sent = self.sent if isinstance(self.sent, str) else self.sent.content.decode("utf-8", "backslashreplace")
        return f"{self.sender}:{sent[:80]}"


def stored(  # noqa: PLR0913 - what a row says
    sender: str,
    sent: str | Body,
    *,
    doors: tuple[Door, ...] = EVERY,
    mistake: str | None = None,
    before: Sequence[str | Body] = (),
    outcome: str = "stored",
    words: tuple[str, ...] = (),
    **columns: object,
) -> Row:
    """Return a row whose postback is accepted; `columns` are what the conversion then holds."""
    return Row(sender, sent, outcome, doors, columns, words, (), mistake, before)


def told(  # noqa: PLR0913 - what a row says
    sender: str,
    sent: str | Body,
    outcome: str,
    *words: str,
    doors: tuple[Door, ...] = EVERY,
    never: tuple[str, ...] = (),
    mistake: str | None = None,
    before: Sequence[str | Body] = (),
) -> Row:
    """Return a row whose postback is rejected, kept, and explained in these words."""
    if outcome.startswith("missing_"):  # a spreadsheet without such a column is refused before its first row
        doors = tuple(door for door in doors if door != "sheet")
    return Row(sender, sent, outcome, doors, {}, words, never, mistake, before)
