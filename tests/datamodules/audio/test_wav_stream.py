"""WAV files as they come through a pipe, where nothing can be sought."""

import io
import struct

import numpy as np
import pytest
import soundfile

from datamodules.audio.wav_stream import WavStream

SAMPLES = np.arange(-500, 500, dtype=np.int16).reshape(-1, 2)


def _wav(kind: str) -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, 8000, format=kind, subtype="PCM_16")
    return bytearray(file.getvalue())


@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
@pytest.mark.parametrize("size", [None, 0, 0x7FFFF000, 0xFFFFFFFF])
def test_samples_of_plain_and_extensible_files_whether_their_length_is_known_or_not(kind, size) -> None:
    content = _wav(kind)
    behind = b"LIST\4\0\0\0INFO" if size is None else b""
    if size is not None:
        place = content.index(b"data") + 4
        content[place : place + 4] = struct.pack("<I", size)
    stream = WavStream(io.BytesIO(content + behind))
    assert (stream.sample_rate, stream.num_channels, stream.bits) == (8000, 2, 16)
    found = stream.read(300) + stream.read(300)
    np.testing.assert_array_equal(np.frombuffer(found, "<i2").reshape(-1, 2), SAMPLES)
    assert stream.read(1) == b""


@pytest.mark.parametrize("content", [b"", b"RIFX", bytes(_wav("WAV")[:40])])
def test_what_is_no_wav_file_is_refused(content) -> None:
    with pytest.raises(ValueError, match=r"does not begin as one|ends before its samples"):
        WavStream(io.BytesIO(content))
