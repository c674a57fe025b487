"""Owns a disk of the test's own: an ext4 image on a loop device that can be filled, cut off, and plugged in again."""

import array
import fcntl
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.support.outside.tools import call

# ext4: stop all writing at once, without writing out the journal. What was not made durable before is gone.
_FS_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2


class Disk:
    """An ext4 file system of `megabytes`, mounted while the context lasts at `path`."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self._image = directory / "disk.img"
        self.path = directory / "disk"
        self._megabytes = megabytes

    def __enter__(self) -> Self:
        """Make the file system and mount it."""
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(self._megabytes * 1024 * 1024)
        call("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it, also after a test that ended half way, and leave no loop device behind."""
        with suppress(subprocess.CalledProcessError):  # it is not mounted when a test ended in the middle
            self.unmount()
        for line in call("losetup", "--associated", str(self._image)).splitlines():
            call("losetup", "--detach", line.partition(":")[0])

    def mount(self) -> None:
        """Plug the disk in; ext4 recovers from its journal as after a power cut."""
        call("mount", "-o", "loop", str(self._image), str(self.path))

    def unmount(self) -> None:
        """Pull the disk out; its loop device goes with it."""
        call("umount", str(self.path))

    def cut_power(self) -> None:
        """Lose whatever the file system holds in memory, as a power cut does."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, array.array("I", [_NO_LOG_FLUSH]))
        finally:
            os.close(descriptor)

    def fill(self, leave: int = 0) -> Path:
        """Use up the free space, to the last block but so many bytes, and return the file to delete for more."""
        ballast = self.path / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(ballast, ballast.stat().st_size - leave)
        return ballast
