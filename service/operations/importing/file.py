"""Owns a file to import: its rows as raw postbacks, what they are called, and by whose rules they are judged.

What a row is called follows from what the file holds and from the row's number.
"""

import copy
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from itertools import islice, repeat
from pathlib import Path
from typing import Self, get_args
from urllib.parse import quote

from service.auth.authenticator import Caller
from service.core.batch import redacted, row_postbacks
from service.core.bodies import CSV, JSON
from service.core.chunk import CHUNK_BYTES, next_chunk
from service.core.postback import RawPostback
from service.core.presets import EZMOB
from service.core.sender import NumberFormat, Sender
from service.intake_parsing import Rows
from service.operations.files.row_file import Advance, RowFile, UnreadableFile
from service.operations.files.spreadsheet.reading import Options
from service.operations.importing.dating import Dating
from service.operations.importing.sheet import ImportSheet
from service.storage.ledger import MAX_BATCH
from service.storage.schema.tables import ImportedFile


class ImportFile:
    """A file to import. To make one is to read it once, for its digest. Raises UnreadableFile.

    `request_id` is what its rows are called, before their `-1`, `-2` and so on: by the sender's format of numbers as it
    is now, or was when the import was begun, which is one of `request_ids`. `size` is its bytes, unpacked.
    `moment_column` names the column that says when each postback was received; without one it is now. `options` are
    what a person says of a spreadsheet. `group_rows` is how many rows are stored together.
    """

    def __init__(  # noqa: PLR0913 - the options
        self,
        file: RowFile,
        moment_column: str | None = None,
        advance: Advance = lambda _: None,
        sender: Sender = EZMOB,
        *,
        options: Options = Options(),  # noqa: B008 - it cannot be changed
        group_rows: int = MAX_BATCH,
    ) -> None:
        self.form = file.form
        self._file = file
        self._column = moment_column
        self._group_rows = group_rows
        self._state = file.state()
        self._sheet = ImportSheet(file, sender, moment_column, options) if file.form == "csv" else None
        formats: tuple[NumberFormat, ...] = get_args(NumberFormat)
        how = (self._moment_column or "") + (self._sheet.peculiarity if self._sheet else "")
        hows = [f"import {file.form} {sender.name} {numbers} {how}\n" for numbers in formats]
        self.request_ids, self.size = file.digests(hows, advance)
        self.request_id, self.caller = self.request_ids[formats.index(sender.numbers)], Caller(sender)

    @property
    def amend(self) -> Dating | None:
        """What gives each row its moment, where a column does."""
        column = self._moment_column
        order = self._sheet.reading.dates if self._sheet else None
        return None if column is None else Dating(column, self.caller.sender, order)

    @property
    def read_as(self) -> str | None:
        """How a spreadsheet is read, for a person; it says how many rows were left out when all were read."""
        return self._sheet.words if self._sheet else None

    @property
    def has_values(self) -> bool:
        """Whether a column is read as the value; each row of NDJSON has names of its own."""
        return self._sheet is None or self._sheet.has_values

    def as_begun(self, before: ImportedFile) -> Self:
        """Return it as it was begun before: read and judged as then, whatever the sender's rules are now."""
        begun = copy.copy(self)
        begun.request_id = before.request_id
        begun.caller = Caller(Sender.by(before.rules, self.caller.sender.never_keep))
        begun._sheet = self._sheet and self._sheet.as_begun(begun.caller.sender, before.rules)  # noqa: SLF001 - its own
        return begun

    def to_begin(self, now: datetime) -> ImportedFile:
        """Return what the book says of it once it is begun."""
        sender = self.caller.sender
        reading = self._sheet and self._sheet.reading.rules()
        rules = {**sender.rules(), "moment_column": self._moment_column, "reading": reading}
        name = self._file.path.name
        return ImportedFile(request_id=self.request_id, name=name, sender=sender.name, rules=rules, begun_at=now)

    def assert_header(self) -> None:
        """Raise UnreadableFile for a file of which no row could be accepted."""
        fields = self.caller.sender.fields
        if self._column is not None and self._column in fields:
            raise UnreadableFile(f"{self._column} is the postback's {fields[self._column]}, and no time")
        if self._sheet:
            self._sheet.assert_header()

    def groups(
        self, first: int = 0, advance: Advance = lambda _: None, most_bytes: int = CHUNK_BYTES
    ) -> Generator[Rows]:
        """Yield the rows after the first so many, as many at once as are stored together. Raises UnreadableFile.

        These are fewer than `group_rows` where they have `most_bytes`.
        """
        raw = _raw(self._file, self.request_id)
        with self._rows(advance) as rows:
            rest = islice(rows, first, None)
            while some := next_chunk(rest, self._group_rows, len, most_bytes)[0]:
                yield Rows(row_postbacks(raw, b"", redacted(some), first), repeat(self.caller))
                first += len(some)
        if self._file.state() != self._state:
            raise UnreadableFile(f"{self._file.path} was changed while it was being read: give it again")

    def _rows(self, advance: Advance) -> AbstractContextManager[Iterator[bytes]]:
        return self._sheet.rows(advance) if self._sheet else self._file.rows(advance)

    @property
    def _moment_column(self) -> str | None:
        return self._sheet.moment_column if self._sheet else self._column

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self._file.path

    def first(self, count: int) -> Sequence[RawPostback]:
        """Return the first so many rows, at most a group. Raises UnreadableFile."""
        with closing(self.groups()) as groups:
            return next((rows.raws[:count] for rows in groups), ())

    def one(self, number: int) -> RawPostback | None:
        """Return the row with this number, if there is one. Raises UnreadableFile."""
        with closing(self.groups(number - 1)) as groups:
            return next((rows.raws[0] for rows in groups), None)


def _raw(file: RowFile, request_id: str) -> RawPostback:
    """Return what all rows of a file have in common; the path says in which file a rejected row stood."""
    return RawPostback(
        door="import",
        method="IMPORT",
        path=f"/{quote(file.path.name)}",
        query=b"",
        content_type=CSV if file.form == "csv" else JSON,
        content_encoding="",
        body=b"",
        complete=True,
        host=b"",
        forwarded=False,
        client_ip="",
        received_at=datetime.now(UTC),
        request_id=request_id,
        trace_id=request_id,
    )
