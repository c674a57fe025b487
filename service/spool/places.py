"""Owns where the journals of a SPOOL_DIR are: which worker's, in which turn, and by which number they share a file."""

import re
from collections.abc import Iterator
from pathlib import Path

FILE_NAME = "spool.db"
MOST_PLACES = 130  # of worker 0, which is alone, and of workers 1 to 64: two each
_TURNS = ("", "-next")
_DIRECTORY = re.compile(r"worker-(0|[1-9]\d*)(-next)?")


def journal_paths(spool_directory: Path, worker: int) -> tuple[Path, ...]:
    """Return the journals that one worker may take: each process has one of its own, because a file has one writer.

    The second is for who comes while the first is still open: in a rolling restart the old process finishes later.
    """
    return tuple(spool_directory / f"worker-{worker}{turn}" / FILE_NAME for turn in _TURNS)


def journals(spool_directory: Path) -> Iterator[tuple[int, Path]]:
    """Yield each journal that is there, with its worker's number."""
    for path in sorted(spool_directory.glob(f"*/{FILE_NAME}")):
        if named := _DIRECTORY.fullmatch(path.parent.name):
            yield int(named[1]), path


def place_of(path: Path) -> int | None:
    """Return a journal's number among all of its SPOOL_DIR, None for a worker that no settings allow."""
    named = _DIRECTORY.fullmatch(path.parent.name)
    place = int(named[1]) * len(_TURNS) + bool(named[2]) if named else MOST_PLACES
    return place if place < MOST_PLACES else None


def path_at(spool_directory: Path, place: int) -> Path:
    """Return the journal of this number."""
    worker, turn = divmod(place, len(_TURNS))
    return journal_paths(spool_directory, worker)[turn]
