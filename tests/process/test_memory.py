"""What was large and is freed goes back to the operating system, although something small was made after it."""

import subprocess
import sys

import pytest

# Buffers as connections over TLS have them, after one that was larger was freed: glibc would keep them from then on.
PROGRAM = """
import ctypes
from service.process.memory import give_large_buffers_back
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def filled(size):
    at = libc.malloc(size)
    ctypes.memset(at, 1, size)
    return at

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

{tune}
libc.free(filled(8 * 2**20))
before = resident()
buffers = [(filled(256 * 1024), filled(4096)) for _ in range(100)]
for large, _ in buffers:
    libc.free(large)
print((resident() - before) // 2**20)
"""


def kept(tune: str) -> int:
    """Return how many of 25 MiB stay."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM.format(tune=tune)], capture_output=True, check=True, text=True)
    return int(ran.stdout)


@pytest.mark.processes
def test_large_buffers_go_back_and_would_not_without_it() -> None:
    assert kept("give_large_buffers_back()") <= 2
    assert kept("") >= 20
