"""Owns a spreadsheet to import: how it is read, now or when its import was begun, and its rows for our doors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

import orjson

from service.core.batch import MAX_HEADER_BYTES
from service.core.sender import Sender
from service.operations.files.row_file import Advance, RowFile, UnreadableFile
from service.operations.files.spreadsheet.naming import SenderNaming
from service.operations.files.spreadsheet.reading import Options, Reading, Roles
from service.operations.files.spreadsheet.sheet import Sheet
from service.operations.files.spreadsheet.sniffing import understand

_FOLLOWING = {"foreign", "returns", "edition"}  # from the file and the options, so they make no other import of it


class ImportSheet:
    """A spreadsheet that is read in one way: as it was when its import was begun, else as a person says or as it looks.

    To make one reads its beginning. One that cannot be read says so when its header is asked for. All raise
    UnreadableFile.
    """

    def __init__(
        self,
        file: RowFile,
        sender: Sender,
        moment_column: str | None,
        options: Options,
        begun: Mapping[str, Any] | None = None,
    ) -> None:
        self._file = file
        self._column = moment_column
        self._sender = sender
        self._options = options
        self._sheet: Sheet | None = None
        self._refused: UnreadableFile | None = None
        self.reading = Reading()  # as versions before read every file, and what they began is still read
        if begun is not None:
            self.reading = Reading.by(begun.get("reading"))
            return
        try:
            self.reading = understand(file, self._naming(options.columns), options, sender.numbers)
        except UnreadableFile as refused:
            self._refused = refused
            with suppress(UnreadableFile):  # it may have been begun by a version that took what nobody can tell
                self.reading = understand(file, self._naming(options.columns), options, sender.numbers, edition=1)

    def as_begun(self, sender: Sender, rules: Mapping[str, Any]) -> Self:
        """Return it as it was read when its import was begun, by the rules of then."""
        return type(self)(self._file, sender, self._column, self._options, rules)

    @property
    def peculiarity(self) -> str:
        """What it is read as, if that is not what it looks like; else empty.

        Whoever says what would have been understood anyway gives the same file.
        """
        if self._options == Options() or not self.reading.names:
            return ""
        looks = type(self)(self._file, self._sender, self._column, Options())
        said = self._said()
        same = not looks._refused and looks._said() == said  # noqa: SLF001 - its own
        return "" if same else " " + orjson.dumps(said).decode()

    def _said(self) -> dict[str, Any]:
        """Return how it is read, by what can be said in several ways: what its columns mean, and its text."""
        columns = self._naming(self.reading.columns).renaming(self.reading.names)
        text = self._file.text_digest(self.reading.encoding)
        said = {name: said for name, said in self.reading.rules().items() if name not in _FOLLOWING}
        return {**said, "encoding": text, "columns": columns}

    @property
    def moment_column(self) -> str | None:
        """What the column with the moments is called in the rows."""
        roles = self._roles
        return self._column if roles is None or roles.moment is None else roles.names[roles.moment]

    @property
    def words(self) -> str:
        """How it is read, for a person; how many rows were left out is known when all were read."""
        return self.reading.words(self._roles, self._sheet.left_out if self._sheet else 0)

    @property
    def has_values(self) -> bool:
        """Whether a column is read as the value."""
        return self._roles is None or bool(self._roles.values)

    def assert_header(self) -> None:
        """Refuse a file of which no row could be accepted, rather than keep millions of rejections."""
        if self._refused:
            raise self._refused
        roles = self._roles
        if roles is None:
            return
        if self._column is not None and roles.moment is None:
            shown = ", ".join(self.reading.names)[:400]
            raise UnreadableFile(f"no column is called {self._column}; the header is {shown!r}")
        if len(",".join(roles.names).encode()) > MAX_HEADER_BYTES:
            raise UnreadableFile(
                f"the header has more than {MAX_HEADER_BYTES} bytes, with which each rejected row is kept"
            )

    @contextmanager
    def rows(self, advance: Advance) -> Iterator[Iterator[bytes]]:
        """Open it to read its rows, each with a header before it."""
        if self._refused:
            raise self._refused
        roles = self._roles
        if roles is None:
            with self._file.rows(advance) as rows:
                head = next(rows, b"") + b"\n"
                yield (head + row for row in rows)
            return
        self._sheet = Sheet(self._file, self.reading, roles, self._sender.numbers)
        with self._sheet.rows(advance) as rows:
            yield rows

    @property
    def _roles(self) -> Roles | None:
        """The columns; None for a file that is read as versions before read it."""
        return self._naming(self.reading.columns).roles(self.reading.names) if self.reading.names else None

    def _naming(self, columns: Mapping[str, str]) -> SenderNaming:
        return SenderNaming(self._sender, self._column, columns)
