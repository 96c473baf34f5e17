"""What the first frame of an MP3 file says of all others, and whether that is true of the file."""

import struct
from io import FileIO

_SEARCHED = 1 << 13  # bytes behind the first tag: some programs leave zeros before the first frame
_BESIDE = {(3, False): 36, (3, True): 21, (2, False): 21, (2, True): 13}
"""Bytes from the beginning of a frame to the tag in it, by its version (3 is MPEG-1) and whether it is mono."""


def tagged_samples(file: FileIO, size: int) -> tuple[int, bool]:
    """Samples per channel that the encoder's tag promises, 0 without one; whether the tag is of all of the file.

    It is not where files were joined, or one was cut or has something behind it: libmpg123 then reads the wrong number
    of samples, or warns on standard error.
    """
    begin = _behind_id3(file)
    file.seek(begin)
    head = file.read(_SEARCHED)
    for name in (b"Xing", b"Info"):
        at = head.find(name)
        if at < 0:
            continue
        for (version, mono), distance in _BESIDE.items():
            frame = at - distance
            if frame < 0 or head[frame] != 0xFF or head[frame + 1] & 0xE6 != 0xE2:
                continue
            is_first = head[frame + 1] >> 3 & 3 == 3
            if is_first != (version == 3) or (head[frame + 3] >> 6 == 3) != mono:
                continue
            return _promise(head[at:], 1152 if is_first else 576, _audio_bytes(file, begin + frame, size))
    return 0, False


def _promise(tag: bytes, frame_samples: int, audio_bytes: int) -> tuple[int, bool]:
    flags, at = struct.unpack(">4xI", tag[:8].ljust(8, b"\0"))[0], 8
    fields = []
    for bit, width in ((1, 4), (2, 4), (4, 100), (8, 4)):
        fields.append(int.from_bytes(tag[at : at + 4], "big") if flags & bit else None)
        at += width if flags & bit else 0
    num_frames, num_bytes = fields[:2]
    if num_frames is None:
        return 0, False
    trimmed = int.from_bytes(tag[at + 21 : at + 24], "big") if tag[at : at + 4].isalpha() else 0
    samples = num_frames * frame_samples - (trimmed >> 12) - (trimmed & 0xFFF)
    near = min(audio_bytes // 100, 1441)  # libmpg123 warns from a hundredth on; a frame has no more bytes
    return samples, num_bytes is not None and abs(audio_bytes - num_bytes) <= near


def _behind_id3(file: FileIO) -> int:
    position = 0
    while True:  # some files have two
        file.seek(position)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10:
            return position
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        position += 10 + size + (10 if head[5] & 0x10 else 0)


def _audio_bytes(file: FileIO, begin: int, size: int) -> int:
    """From the first frame to the tags at the end."""
    file.seek(max(size - 160, begin))
    tail = file.read(160)
    end = size - 128 if tail[-128:-125] == b"TAG" else size
    footer = tail[: len(tail) - (size - end)][-32:]
    if footer[:8] == b"APETAGEX":
        length, _, flags = struct.unpack("<III", footer[12:24])
        end -= length + (32 if flags >> 31 else 0)
    return end - begin
