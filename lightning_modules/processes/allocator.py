"""The C library's allocator, told to keep what training frees."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
_KEEP_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Lets glibc reuse large blocks instead of returning them to the system after every operation.

    Training on a CPU frees and asks for the same large activations at every step; without this the system clears
    fresh pages each time (a third of an AASIST step). Does nothing where the C library is another.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES * 2 - 1)
        mallopt(_M_TOP_PAD, _KEEP_BYTES >> 4)
