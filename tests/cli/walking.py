"""Owns a walk: many commands in one process, each in a folder of its own, at a terminal or to a pipe."""

import json
import os
import pty
import shutil
import sys
import tty
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.support.commands import Ended
from tests.support.forked import call_forked, redirect, run_here

_NOWHERE = Path(os.devnull)
_PATIENCE = 120.0
_Run = Callable[[list[str], Path], tuple[int, str, str]]


def walked(
    planted: Path, orders: Mapping[str, list[str]], environment: Mapping[str, str], beside: Path, *, at_terminal: bool
) -> dict[str, Ended]:
    """Run commands, each in a copy of the planted folder; return how each ended, by its name in `orders`."""
    run = _at_terminal if at_terminal else _at_pipe
    call_forked(_walk, (planted, dict(orders), dict(environment), beside, run), _PATIENCE)
    ended: dict[str, tuple[int, str, str]] = json.loads((beside / "ended.json").read_bytes())
    return {name: Ended(*how) for name, how in ended.items()}


def _walk(planted: Path, orders: dict[str, list[str]], environment: dict[str, str], beside: Path, run: _Run) -> None:
    os.environ.clear()
    os.environ.update(environment)
    ended = {}
    for number, (name, words) in enumerate(orders.items()):
        folder = beside / str(number)
        shutil.copytree(planted, folder)
        os.chdir(folder)
        ended[name] = run(words, beside)
    (beside / "ended.json").write_text(json.dumps(ended))


def _at_pipe(words: list[str], beside: Path) -> tuple[int, str, str]:
    files = beside / "out", beside / "err"
    code = _run(words, files)
    out, err = (file.read_bytes().decode() for file in files)
    return code, out, err


def _at_terminal(words: list[str], _beside: Path) -> tuple[int, str, str]:
    """Run a command at a terminal that changes nothing of what it is given."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    name = Path(os.ttyname(theirs))
    with ThreadPoolExecutor(1) as reader:
        shown = reader.submit(lambda: b"".join(iter(partial(_read, ours), b"")))
        code = _run(words, (name, name))
        os.close(theirs)
    os.close(ours)
    return code, shown.result().decode(), ""


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: nobody writes to it any more
        return b""


def _run(words: list[str], files: tuple[Path, Path]) -> int:
    redirect(files)
    try:
        run_here(words)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # noqa: BLE001 - as Python ends, but the walk goes on
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        redirect((_NOWHERE, _NOWHERE))
    return -1
