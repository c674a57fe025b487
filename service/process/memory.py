"""Owns that large buffers go back to the operating system: glibc keeps them, once it has seen a larger one freed."""

import ctypes

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
_LARGE_BYTES = 128 * 1024  # glibc's own first value; to set it is to keep it


def give_large_buffers_back() -> None:
    """Map every large buffer by itself, so that it is gone when it is freed. Another C library has its own ways."""
    try:
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
    except (OSError, AttributeError):
        return
