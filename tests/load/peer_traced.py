"""Owns the service with its bytecodes counted: the peer that shows which functions a postback spends its time in.

The same build and the same way of starting, some ten times slower. SIGUSR1 begins the count anew; what was counted by
function is written, as JSON, to the file of TRACED_COUNTS when the service has stopped.
"""

import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from service.process.single_process import run
from service.settings import load_settings

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_counts: Counter[CodeType] = Counter()


def _enter(frame: FrameType, _event: str, _argument: object) -> "TraceFunction":
    frame.f_trace_opcodes, frame.f_trace_lines = True, False
    return _count


def _count(frame: FrameType, event: str, _argument: object) -> "TraceFunction":
    if event == "opcode":
        _counts[frame.f_code] += 1
    return _count


def _name(code: CodeType) -> str:
    """Return a function's file, from its package on, and its name."""
    file = code.co_filename.rpartition("/site-packages/")[2].removeprefix(f"{Path.cwd()}/")
    return f"{file}:{code.co_firstlineno} {code.co_qualname}"


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: _counts.clear())
    threading.settrace(_enter)
    sys.settrace(_enter)
    exit_code = run(load_settings())
    sys.settrace(None)
    by_name: Counter[str] = Counter()
    for code, count in _counts.copy().items():
        by_name[_name(code)] += count
    Path(os.environ["TRACED_COUNTS"]).write_text(json.dumps(by_name), encoding="utf-8")
    sys.exit(exit_code)
