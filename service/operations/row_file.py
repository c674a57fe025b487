"""Owns reading a file of rows, CSV or NDJSON, packed or not, of any size and in bounded memory."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

from service.core.batch import csv_records, ndjson_rows, stream_lines
from service.core.decompression import UNREADABLE, open_unpacked

Form = Literal["csv", "ndjson"]
Advance = Callable[[int], object]  # told how many more bytes were read, unpacked

_CHUNK_BYTES = 256 * 1024


class UnreadableFile(Exception):  # noqa: N818 - the state of the file
    """The file cannot be read to its end as what it is said to be; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of rows, plain or packed (`.gz`, `.zst`), and the form that they have. All raise UnreadableFile."""

    path: Path
    form: Form

    @contextmanager
    def rows(self, advance: Advance = lambda _: None) -> Iterator[Iterator[bytes]]:
        """Open the file to read its rows: of CSV the header, then each record; or lines. None of them is blank."""
        with self._told(), open_unpacked(self.path) as stream:
            lines = stream_lines(_Watched(stream, advance))
            lines = chain([next(lines, b"").removeprefix(BOM_UTF8)], lines)
            yield csv_records(lines, broken=lambda _: None) if self.form == "csv" else ndjson_rows(lines)

    def header(self) -> bytes:
        """Return the first record of CSV, nothing of another form."""
        if self.form != "csv":
            return b""
        with self.rows() as rows:
            return next(rows, b"")

    def digests(self, salts: Sequence[str], advance: Advance) -> tuple[list[str], int]:
        """Return what the content is known by, 32 hex digits for each salt, and how many bytes it has, unpacked."""
        digests, size = [hashlib.sha256(salt.encode()) for salt in salts], 0
        with self._told(), open_unpacked(self.path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                for digest in digests:
                    digest.update(chunk)
                size += len(chunk)
                advance(len(chunk))
        return [digest.hexdigest()[:32] for digest in digests], size

    def state(self) -> tuple[int, int, int]:
        """Return what does not stay the same when somebody changes the file."""
        with self._told():
            told = self.path.stat()
        return told.st_ino, told.st_size, told.st_mtime_ns

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise UnreadableFile(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}") from error


class _Watched:
    """A stream that tells how far it was read."""

    def __init__(self, stream: BinaryIO, advance: Advance) -> None:
        self._stream = stream
        self._advance = advance

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self._advance(len(chunk))
        return chunk
