"""Owns terminals that a test makes and closes, with a program on each."""

import os
import pty
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

_ON_TERMINAL = Path(__file__).with_name("on_terminal.py")


@contextmanager
def terminal() -> Iterator[tuple[list[str], Callable[[], None]]]:
    """Make a terminal; give the wrapper that puts a command on it, and what closes it."""
    ours, theirs = pty.openpty()
    close = partial(os.close, ours)
    try:
        yield [sys.executable, str(_ON_TERMINAL), os.ttyname(theirs)], close
    finally:
        os.close(theirs)
