"""Owns what SIGHUP means: read files again, or end because the terminal was closed.

People and service managers send it for the first, as to other daemons. The kernel sends it when a terminal is closed,
and a shell sends it to its jobs when it ends: then nobody is left who could stop the service. The controlling terminal
tells the two apart: the kernel takes it away from its processes before it sends the signal. So a process that was
started on a terminal and has lost it ends. One that was started without a terminal (service manager, container, cron),
or under `nohup`, which makes it ignore the signal, never had anything to lose: it reads again.
"""

import asyncio
import os
import signal
from collections.abc import Callable

_held: list[bool] = []  # hang-ups that came while nobody listened
_LOOK_SECONDS = 1.0
_SHELL_SECONDS = 0.3  # a shell that ends tells its jobs, and closes the terminal a moment later


def hold_hang_ups() -> None:
    """Hold SIGHUP from the first moment on, unless it is ignored (`nohup`): `listen_for_hang_up` hears of it later."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: _held.append(True))


def listen_for_hang_up(read_again: Callable[[], None], end: Callable[[], None]) -> None:
    """Call `read_again` on the running loop at each SIGHUP, or `end`, once, when the terminal was closed."""
    loop = asyncio.get_running_loop()
    on_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def decide() -> None:
        if has_terminal():
            read_again()
            return
        if loop.remove_signal_handler(signal.SIGHUP):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # kernel and shell both send it: the second must not kill
            end()

    def heard() -> None:
        if on_terminal:
            loop.call_later(_SHELL_SECONDS, decide)
        else:
            read_again()

    def look() -> None:
        if has_terminal():
            loop.call_later(_LOOK_SECONDS, look)
        else:
            end()

    loop.add_signal_handler(signal.SIGHUP, heard)
    if on_terminal and _only_make_is_told():
        look()
    if _held:
        heard()


def _only_make_is_told() -> bool:
    """Tell whether `make` leads our session (`ssh -t host make run`): the kernel tells it alone, and it only waits."""
    return "MAKELEVEL" in os.environ and os.getppid() == os.getsid(0)


def has_terminal() -> bool:
    """Tell whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:  # ENXIO: none; ENOENT: a container without any
        return False
    return True
