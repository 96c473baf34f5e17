"""What a file lacks of the size that its own header promises: libsndfile and FFmpeg read what is there in silence."""

import mmap
import re
import struct
from collections.abc import Callable, Iterator
from io import FileIO
from typing import NamedTuple

from datamodules.audio.rare_extents import RARE

_UNKNOWN = (range(1), range((1 << 31) - 4096, (1 << 31) + 1), range((1 << 32) - 4096, 1 << 32))
"""Sizes that programs leave in the header of a WAV file that they write into a pipe."""

_LARGEST_PAGE = 27 + 255 + 255 * 255  # of Ogg


def missing_bytes(file: FileIO, size: int) -> int:
    """Bytes of sound that an open file lacks, 0 where it is whole or where its header does not tell.

    Args:
        file: At its beginning, where it is left.
        size: Of the file, in bytes.
    """
    head = file.read(20)
    end = next((promise(file, size) for magic, promise in _PROMISES.items() if head.startswith(magic)), None)
    file.seek(0)
    return 0 if end is None else max(end - size, 0)


def is_open_size(size: int) -> bool:
    """Whether the samples of a WAV file are as many as follow, by the size that its header gives them."""
    return any(size in sizes for sizes in _UNKNOWN)


class Chunk(NamedTuple):
    """A chunk of a RIFF file: its name, where its content begins, and its size, which may be unknown."""

    name: bytes
    begin: int
    size: int | None


def chunks(file: FileIO, size: int) -> Iterator[Chunk]:
    """Chunks of an open WAV file, RF64 and BW64 too, up to the one of the samples."""
    position, large = 12, None
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
        if name == b"ds64":  # sizes that 32 bits cannot hold; of the samples behind that of the file
            large = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name == b"data":
            if large is not None and length == 0xFFFFFFFF:
                length = large
            elif is_open_size(length):
                length = None
        yield Chunk(name, position + 8, length)
        if name == b"data" or length is None:
            return
        position += 8 + length + length % 2


def _riff(file: FileIO, size: int) -> int | None:
    file.seek(4)
    promised, kind = struct.unpack("<I4s", file.read(8).ljust(8, b"\0"))
    if kind != b"WAVE":  # such as AVI
        return promised + 8 if promised and promised + 8 > size + 1 else None
    samples = next((chunk for chunk in chunks(file, size) if chunk.name == b"data"), None)
    if samples is None:  # the header itself is cut
        return promised + 8 if promised < 0xFFFFFFF0 else None
    return None if samples.size is None else samples.begin + samples.size


def _form(file: FileIO, size: int) -> int:
    """AIFF and 8SVX; some programs forget the last byte, which pads."""
    file.seek(4)
    promised = int.from_bytes(file.read(4), "big") + 8
    return promised if promised > size + 1 else size


def _au(file: FileIO, _: int) -> int | None:
    file.seek(4)
    begin, length = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
    return None if length == 0xFFFFFFFF else begin + length


def _wave64(file: FileIO, _: int) -> int:
    file.seek(16)
    return int.from_bytes(file.read(8), "little")


def _nist(file: FileIO, _: int) -> int | None:
    """SPHERE, whose header is text; the size of compressed samples it does not tell."""
    file.seek(0)
    head = file.read(1024)
    fields = dict(re.findall(rb"(\w+) -\w+ (\S+)", head))
    if b"," in fields.get(b"sample_coding", b""):
        return None
    names = (b"sample_count", b"sample_n_bytes", b"channel_count")
    try:
        count, width, channels = (int(fields.get(name, b"1")) for name in names)
        return int(head[8:16]) + count * width * channels if b"sample_count" in fields else None
    except ValueError:
        return None


def _matroska(file: FileIO, _: int) -> int | None:
    """The end of the segment, which a recorder leaves open."""
    file.seek(4)
    head = file.read(256)
    length, begin = _ebml_size(head, 0)
    segment = begin + (length or 0)
    if length is None or head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return None
    length, begin = _ebml_size(head, segment + 4)
    return None if length is None else 4 + begin + length


def _ebml_size(content: bytes, at: int) -> tuple[int | None, int]:
    """A number whose leading zeros count its bytes, None where all its bits are set, and where it ends."""
    first = content[at] if at < len(content) else 0
    width = 9 - first.bit_length()
    value = int.from_bytes(content[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (None if width > 8 or value == (1 << 7 * width) - 1 else value), at + width


def _ogg(file: FileIO, size: int) -> int | None:
    """The end of the last page."""
    begin = max(size - _LARGEST_PAGE, 0)
    file.seek(begin)
    tail = file.read(_LARGEST_PAGE)
    page = tail.rfind(b"OggS")
    if page < 0:
        return None
    segments = tail[page + 26] if page + 26 < len(tail) else 1
    return begin + page + 27 + segments + sum(tail[page + 27 : page + 27 + segments])


def is_joined_ogg(file: FileIO) -> bool:
    """Whether streams begin in an Ogg file behind its first one; libsndfile hears that alone."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"OggS\0\2", 4) >= 0


def samples_of_last_page(file: FileIO, size: int) -> int | None:
    """Samples that end on the last page of an open Ogg file; None where the page before it is not found."""
    file.seek(max(size - 2 * _LARGEST_PAGE, 0))
    tail = file.read(2 * _LARGEST_PAGE)
    last = tail.rfind(b"OggS")
    before = tail.rfind(b"OggS", 0, max(last, 0))
    if before < 0:
        return None
    first, second = (struct.unpack_from("<q", tail, page + 6)[0] for page in (before, last))
    return second - first if first > 0 else None


_PROMISES: dict[bytes, Callable[[FileIO, int], int | None]] = {
    b"RIFF": _riff,
    b"RF64": _riff,
    b"BW64": _riff,
    b"FORM": _form,
    b".snd": _au,
    b"riff": _wave64,
    b"NIST": _nist,
    b"\x1aE\xdf\xa3": _matroska,
    b"OggS": _ogg,
} | RARE
