"""A program on a terminal of its own: `python on_terminal.py PATH [shell|make] COMMAND …` makes PATH its terminal.

With `shell` it stays in front of the command, as a shell does: told by SIGTERM to end, it hangs up on its job and ends.
With `make` it waits for its child whatever it is told, as GNU make does.
"""

import fcntl
import os
import signal
import sys
import termios
import time
from pathlib import Path


def act_as_shell(command: list[str]) -> None:
    """Run a command in a process group of its own; end as `bash` with `huponexit` does."""
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point

    def end(*_: object) -> None:
        os.kill(job, signal.SIGHUP)
        time.sleep(0.05)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        signal.pause()


def act_as_make(command: list[str]) -> None:
    """Run a command as make does: in its own process group, and wait for its end also after SIGHUP."""
    signal.signal(signal.SIGHUP, lambda *_: None)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.environ["MAKELEVEL"] = "1"
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


terminal = os.open(Path(sys.argv[1]), os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
if sys.argv[2] == "shell":
    act_as_shell(sys.argv[3:])
elif sys.argv[2] == "make":
    act_as_make(sys.argv[3:])
else:
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - same
