"""A WAV file that is still coming in, as through a pipe."""

import struct
from typing import BinaryIO

from datamodules.audio.extents import is_open_size

_PCM, _EXTENSIBLE = 1, 0xFFFE


class WavStream:
    """Integer samples of a WAV file, in the order in which they come.

    Args:
        stream: At the file's beginning, read up to the first sample.

    Attributes:
        sample_rate: In Hz.
        num_channels: At least 1.
        bits: Of a sample.

    Raises:
        ValueError: It is no WAV file of integer samples.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        head = stream.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            raise ValueError("does not begin as one")
        self.sample_rate = self.num_channels = self.bits = 0
        while len(head := stream.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data" and self.bits:
                self._left = None if is_open_size(size) else size
                return
            content = stream.read(size + size % 2)
            if name == b"fmt " and len(content) >= 16:
                self._take(content)
        raise ValueError("ends before its samples")

    def _take(self, content: bytes) -> None:
        kind, self.num_channels, self.sample_rate, _, _, self.bits = struct.unpack_from("<HHIIHH", content)
        if kind == _EXTENSIBLE and len(content) >= 26:  # the format proper stands further behind
            kind = struct.unpack_from("<H", content, 24)[0]
        if kind != _PCM or not (self.num_channels and self.sample_rate and self.bits):
            raise ValueError(f"format {kind} where integer samples are expected")

    def read(self, frames: int) -> bytes:
        """Samples of that many instants, channels interleaved; fewer where they end."""
        size = frames * self.num_channels * self.bits // 8
        if self._left is None:  # written into a pipe: up to its end
            return self._stream.read(size)
        content = self._stream.read(min(size, self._left))
        self._left -= len(content)
        return content
