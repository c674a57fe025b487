"""Owns a disk that hangs while a file exists: a C function in front of fdatasync, loaded from outside."""

from pathlib import Path

from tests.support.outside.tools import call, need

_SOURCE = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int descriptor) {
    const char *switch_ = getenv("HANG_WHILE_EXISTS");
    while (switch_ && access(switch_, F_OK) == 0) usleep(10000);
    return syscall(SYS_fdatasync, descriptor);
}
"""


class HangingDisk:
    """`wrapper` is what runs the service; between `hang()` and `go_on()` no fdatasync returns."""

    def __init__(self, directory: Path) -> None:
        need("gcc")
        self._switch = directory / "disk-hangs"
        source, library = directory / "hang.c", directory / "hang.so"
        source.write_text(_SOURCE, encoding="ascii")
        call("gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source))
        self.wrapper = ["env", f"LD_PRELOAD={library}", f"HANG_WHILE_EXISTS={self._switch}"]

    def hang(self) -> None:
        """Let no commit end."""
        self._switch.touch()

    def go_on(self) -> None:
        """Let the commits that hang end, and all others."""
        self._switch.unlink()
