"""Where sound ends by the headers of AVR, CAF, MAT, MPC2000, VOC, WVE and XI files; see `extents`.

PAF, PVF and IRCAM files say nowhere how long they are, and instruments (XI) that libsndfile writes do not: what is
missing at their end nobody can tell.
"""

import struct
from collections.abc import Callable
from io import FileIO
from typing import Any


def _unpack(file: FileIO, begin: int, layout: str) -> tuple[Any, ...]:
    """Numbers that lie somewhere in a file, zeros where it has ended before."""
    file.seek(begin)
    size = struct.calcsize(layout)
    return struct.unpack(layout, file.read(size).ljust(size, b"\0"))


def _avr(file: FileIO, _: int) -> int:
    stereo, bits = _unpack(file, 12, ">HH")
    (frames,) = _unpack(file, 26, ">I")
    return 128 + frames * (2 if stereo else 1) * (bits // 8)


def _mpc2000(file: FileIO, _: int) -> int:
    (stereo,) = _unpack(file, 21, "B")
    (frames,) = _unpack(file, 30, "<I")
    return 42 + frames * (2 if stereo else 1) * 2


def _wve(file: FileIO, _: int) -> int:
    return 32 + _unpack(file, 18, ">I")[0]


def _xi(file: FileIO, _: int) -> int | None:
    count, size = _unpack(file, 296, "<HI")
    return 298 + 40 * count + size if count == 1 and size else None


def _caf(file: FileIO, size: int) -> int | None:
    """The end of the chunk of samples, whose size a program may leave open."""
    position = 8
    while position + 12 <= size:
        name, length = _unpack(file, position, ">4sq")
        if length < 0:
            return None
        position += 12 + length
        if name == b"data":
            break
    return position


def _voc(file: FileIO, size: int) -> int:
    """The end of the last block; the one that says so itself may be missing."""
    (position,) = _unpack(file, 20, "<H")
    while position < size:
        kind, low, high = _unpack(file, position, "<BHB")
        if kind == 0:
            return position + 1
        position += 4 + (low | high << 16)
    return position


def _mat4(file: FileIO, size: int) -> int:
    """The end of the last matrix."""
    position, order = 0, "<" if _unpack(file, 0, "<I")[0] < 1000 else ">"
    while position < size:
        kind, rows, columns, _, name = _unpack(file, position, f"{order}5I")
        width = (8, 4, 4, 2, 2, 1)[min(kind // 10 % 10, 5)]
        position += 20 + name + rows * columns * width
    return position


def _mat5(file: FileIO, size: int) -> int:
    """The end of the last element; libsndfile gives the matrix around it eight bytes too many."""
    order = "<" if _unpack(file, 126, "2s")[0] == b"IM" else ">"
    position = end = 128
    while position < size:
        kind, length = _unpack(file, position, f"{order}2I")
        if kind >> 16:  # four bytes at most lie beside their own size
            position = end = position + 8
        elif kind == _MATRIX:
            position += 8
        else:
            end = position + 8 + length
            position = end + -length % 8
    return end


_MATRIX = 14  # of MAT 5: elements follow

RARE: dict[bytes, Callable[[FileIO, int], int | None]] = {
    b"2BIT": _avr,
    b"caff": _caf,
    b"Creative Voice": _voc,
    b"ALawSoundFile": _wve,
    b"Extended Instrument:": _xi,
    b"\x01\x04": _mpc2000,
    b"MATLAB 5": _mat5,
    b"\0\0\0\0\1\0\0\0\1\0\0\0": _mat4,
    b"\0\0\x03\xe8\0\0\0\1\0\0\0\1": _mat4,
}
"""First bytes of a file -> where its sound ends, in bytes, of an open file of some size."""
