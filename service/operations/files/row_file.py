"""Owns reading a file of rows, CSV or NDJSON, packed or not, of any size and in bounded memory."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from service.core.decompression import UNREADABLE, Readable, open_unpacked
from service.core.rows import csv_records, ndjson_rows, stream_lines
from service.operations.files.encoding import UTF8, AsUtf8

Form = Literal["csv", "ndjson"]
Advance = Callable[[int], object]  # told how many more bytes were read, unpacked

_CHUNK_BYTES = 256 * 1024


class UnreadableFile(Exception):  # noqa: N818 - the state of the file
    """The file cannot be read to its end as what it is said to be; the text says why, for a person."""


class Layout(NamedTuple):
    """Where the records of a CSV file are.

    So many lines are `above` its header. `returns`: its lines end in carriage returns alone, as on old Macs.
    """

    encoding: str = UTF8
    delimiter: str = ","
    above: int = 0
    returns: bool = False


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file of rows, plain or packed (`.gz`, `.zst`), and the form that they have. All raise UnreadableFile."""

    path: Path
    form: Form

    @contextmanager
    def rows(
        self,
        advance: Advance = lambda _: None,
        layout: Layout = Layout(),  # noqa: B008 - it cannot be changed
    ) -> Iterator[Iterator[bytes]]:
        """Open the file to read its rows: of CSV the header, then each record; or lines. None of them is blank.

        They are UTF-8. The lines above the header are left out.
        """
        with self._told(), open_unpacked(self.path) as stream:
            text: Readable = _Watched(stream, advance)
            text = text if layout.encoding == UTF8 else AsUtf8(text, layout.encoding)
            lines = stream_lines(_WithLineEnds(text) if layout.returns else text)
            lines = islice(chain([next(lines, b"").removeprefix(BOM_UTF8)], lines), layout.above, None)
            csv = self.form == "csv"
            yield csv_records(lines, broken=lambda _: None, delimiter=layout.delimiter) if csv else ndjson_rows(lines)

    def beginning(self, size: int) -> bytes:
        """Return the first so many bytes, unpacked."""
        with self._told(), open_unpacked(self.path) as stream:
            return stream.read(size)

    def text_digest(self, encoding: str) -> str:
        """Return what its text is known by, in whatever encoding it is written."""
        digest = hashlib.sha256()
        with self._told(), open_unpacked(self.path) as stream:
            text = AsUtf8(stream, encoding)
            chunk = text.read(_CHUNK_BYTES).removeprefix(BOM_UTF8)
            while chunk:
                digest.update(chunk)
                chunk = text.read(_CHUNK_BYTES)
        return digest.hexdigest()

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


class _WithLineEnds:
    """A stream of UTF-8 whose lines end in carriage returns, with the ends that lines have here."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        return self._stream.read(size).replace(b"\r", b"\n")
