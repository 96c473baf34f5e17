"""What libmpg123 writes to standard error beside samples that are right: libsndfile leaves that on.

After a seek into a stream of a low rate it complains of every frame whose first bytes lie before that place.
"""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

_ITS_OWN = (b"[src/libmpg123/", b"Warning: Xing stream size off")


class _Aside:
    """The C library's stream of standard error, put aside while MP3 files are decoded; Python's own is another.

    What other parts of the process write into it meanwhile is passed on, when the last decoder leaves.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._place: Any = None  # of the pointer, which glibc alone lets be written
        self._own: int | None = None
        self._memory = -1

    def enter(self) -> None:
        """Put it aside."""
        with self._lock:
            if self._memory < 0:
                self._open()
            self._inside += 1
            self._place.value = self._stream

    def leave(self) -> None:
        """Put it back, unless others still decode."""
        with self._lock:
            self._inside -= 1
            if self._inside:
                return
            self._place.value = self._own
            if size := os.fstat(self._memory).st_size:
                content = os.pread(self._memory, size, 0)
                os.ftruncate(self._memory, 0)
                others = [line for line in content.splitlines(True) if not line.startswith(_ITS_OWN)]
                with contextlib.suppress(OSError):  # a closed standard error takes nothing
                    os.write(2, b"".join(others))

    def _open(self) -> None:
        import fcntl  # which systems without glibc need not have

        libc = ctypes.CDLL(None)
        libc.fdopen.restype = ctypes.c_void_p
        self._place = ctypes.c_void_p.in_dll(libc, "stderr")
        self._own = self._place.value
        self._memory = os.memfd_create("stderr")
        fcntl.fcntl(self._memory, fcntl.F_SETFL, os.O_APPEND)
        self._stream = libc.fdopen(self._memory, b"a")
        libc.setbuf(ctypes.c_void_p(self._stream), None)

    def restore(self) -> None:
        """Begin anew in a forked process, which shares the memory with its parent."""
        if self._inside:
            self._place.value = self._own
        self.__init__()


_aside = _Aside()
_IS_GLIBC = platform.libc_ver()[0] == "glibc"
if _IS_GLIBC:
    os.register_at_fork(after_in_child=_aside.restore)


@contextmanager
def kept_back() -> Iterator[None]:
    """Keep back what libmpg123 writes in the block, and nothing else; on other systems than Linux nothing at all."""
    if not _IS_GLIBC:
        yield
        return
    _aside.enter()
    try:
        yield
    finally:
        _aside.leave()
