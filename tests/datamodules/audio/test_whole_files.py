"""Files that were read in part, shifted or not at all, though a decoder here knows them."""

import contextlib
import struct
import subprocess
import sys
from pathlib import Path

import av
import av.error
import numpy as np
import pytest
import soundfile
import torch

from datamodules import audio
from datamodules.audio import containers, reading
from tests.datamodules.audio.encoding import RATE, chirp, encode, noise, write

FILES = Path(__file__).parent / "files"


def _decoded(path: Path) -> np.ndarray:
    """All that FFmpeg decodes, (time,)."""
    frames = []
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            with contextlib.suppress(av.error.InvalidDataError):  # as the tag in the midst of joined files
                frames += [frame.to_ndarray() for frame in packet.decode()]
    return np.concatenate(frames, axis=1)[0]


def _is_all(path: Path, expected: np.ndarray, *, atol: float = 0.0) -> None:
    whole, rate = audio.read(path)
    np.testing.assert_allclose(whole[0].numpy(), expected, atol=atol, rtol=0)
    assert audio.info(path) == (rate, expected.size, 1)
    part, _ = audio.read(path, expected.size * 2 // 3, 1000)
    torch.testing.assert_close(
        part, whole[:, expected.size * 2 // 3 :][:, :1000], atol=max(atol, 1e-6), rtol=0
    )


@pytest.mark.parametrize("rate", [44100, 22050, 16000])
def test_mp3_without_a_tag(rate: int, tmp_path) -> None:
    path = encode(tmp_path / "a.mp3", "libmp3lame", "mp3", noise(2, rate), rate, write_xing="0")
    with soundfile.SoundFile(path) as estimated:
        assert estimated.frames != _decoded(path).size
    _is_all(path, _decoded(path))


def test_mp3_of_variable_rate_without_a_tag() -> None:
    _is_all(FILES / "tagless_vbr.mp3", _decoded(FILES / "tagless_vbr.mp3"))


def test_joined_mp3(tmp_path) -> None:
    first, second = (
        encode(tmp_path / name, "libmp3lame", "mp3", sound(1.5), RATE)
        for name, sound in (("1.mp3", noise), ("2.mp3", chirp))
    )
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    _is_all(joined, _decoded(joined))
    whole = audio.read(joined)[0]
    torch.testing.assert_close(whole[:, : 3 * RATE // 2], audio.read(first)[0], atol=1e-5, rtol=0)
    assert whole.shape[1] >= 3 * RATE


@pytest.mark.parametrize("junk", [bytes(3000), b"TAG".ljust(128, b"\0"), b"\r\n" * 700])
def test_mp3_with_something_behind_it(junk: bytes, tmp_path) -> None:
    path = encode(tmp_path / "a.mp3", "libmp3lame", "mp3", noise(1.5), RATE)
    expected = audio.read(path)[0]
    path.write_bytes(path.read_bytes() + junk)
    torch.testing.assert_close(audio.read(path)[0], expected, atol=0, rtol=0)


def assert_sought_rightly(path: Path, wrong: int, starts: range) -> None:
    """Crops equal the whole file, where libsndfile alone gives other samples behind a seek to `wrong`."""
    whole = soundfile.read(path, dtype="float32")[0]
    with soundfile.SoundFile(path) as file:
        file.seek(wrong)
        assert np.abs(file.read(1000) - whole[wrong : wrong + 1000]).max() > 0.1
    for start in starts:
        found = audio.read(path, start, 1000)[0][0]
        np.testing.assert_allclose(found, whole[start : start + 1000], atol=1e-5, rtol=0)


def test_crops_of_mp3_at_low_rates(tmp_path) -> None:
    """Behind a seek libmpg123 decodes frames without the bytes that they borrow from earlier ones."""
    path = write(tmp_path / "a.mp3", "MPEG_LAYER_III", "MP3", chirp(8))
    assert_sought_rightly(path, 50_000, range(20_000, 120_000, 9_999))


def test_crops_at_the_end_of_vorbis(tmp_path) -> None:
    """Within the last page libsndfile seeks to samples beside those that were asked for."""
    path = write(tmp_path / "a.ogg", "VORBIS", "OGG", chirp(5, 44100), 44100)
    assert_sought_rightly(path, 200_000, range(100_000, 220_000, 9_999))


@pytest.mark.parametrize(
    ("container", "codec", "rate"), [("webm", "libopus", 48000), ("matroska", "flac", RATE)]
)
def test_recorders_leave_the_duration_open(container: str, codec: str, rate: int, tmp_path) -> None:
    path = encode(tmp_path / "a", codec, container, noise(2, rate), rate, live="1")
    assert audio.info(path).num_frames == audio.read(path)[0].shape[1] == 2 * rate


def _flac_of_unknown_length(path: Path) -> Path:
    write(path, "PCM_16", "FLAC", noise(1))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    return path


def test_flac_from_a_pipe(tmp_path) -> None:
    write(tmp_path / "whole", "PCM_16", "FLAC", noise(1))
    _is_all(_flac_of_unknown_length(tmp_path / "a"), soundfile.read(tmp_path / "whole", dtype="float32")[0])


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0x7FFFF024, 0x7FFFF000),  # SoX
        (0x80000023, 0x7FFFFFFF),  # LAME
        (0xFFFFFFFF, 0xFFFFFFFF),  # FFmpeg
        (0x24, 0),  # flac
    ],
)
def test_wav_from_a_pipe(riff: int, data: int, tmp_path) -> None:
    path = write(tmp_path / "a.wav", "PCM_16", "WAV", noise(1))
    expected = soundfile.read(path, dtype="float32")[0]
    content = bytearray(path.read_bytes())
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    path.write_bytes(content)
    _is_all(path, expected)


def test_adts_of_uneven_loudness_is_as_long_as_it_is(tmp_path) -> None:
    sound = np.r_[np.zeros(8 * RATE), noise(1), np.zeros(8 * RATE)]
    path = encode(tmp_path / "a.aac", "aac", "adts", sound)
    _is_all(path, _decoded(path))


def test_wavpack_and_others_that_ffmpeg_alone_knows(tmp_path) -> None:
    """The table of formats has those that FFmpeg writes."""
    _is_all(FILES / "speex.spx", _decoded(FILES / "speex.spx"))
    path = write(tmp_path / "a.wav", "PCM_16", "RF64", noise(1))
    expected = soundfile.read(path, dtype="float32")[0]
    path.write_bytes(b"BW64" + path.read_bytes()[4:])
    _is_all(path, expected)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg(subtype: str, tmp_path) -> None:
    first, second = (
        write(tmp_path / name, subtype, "OGG", sound(1.5)) for name, sound in (("1", noise), ("2", chirp))
    )
    for follower in (first, second):
        chained = tmp_path / f"chained_{follower.name}"
        chained.write_bytes(first.read_bytes() + follower.read_bytes())
        _is_all(chained, _decoded(chained))
        whole, rate = audio.read(chained)
        assert whole.shape[1] >= 3 * rate


def test_time_stamps_are_proven_before_they_are_followed(tmp_path, monkeypatch) -> None:
    """Opus in WebM, whose time stamps are off; AC-3, whose decoder draws lots."""
    monkeypatch.setattr(reading, "_SEEK_FROM_S", 1.0)
    monkeypatch.setattr(containers, "_SPACING_S", 0.5)
    for codec, container, is_sought in (("libopus", "webm", True), ("ac3", "matroska", False)):
        path = encode(tmp_path / codec, codec, container, noise(5, 48000), 48000)
        assert bool(containers.find_marks(path)) == is_sought
        whole, rate = audio.read(path)
        torch.testing.assert_close(
            audio.read(path, 4 * rate, 8000)[0], whole[:, 4 * rate :][:, :8000], atol=1e-3, rtol=0
        )


def test_a_length_is_found_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AUDIO_PLATFORM_CACHE", str(tmp_path / "cache"))
    path = encode(tmp_path / "a.mp3", "libmp3lame", "mp3", noise(1), RATE, write_xing="0")
    expected = audio.info(path)
    moved = path.rename(tmp_path / "b.mp3")
    monkeypatch.setattr(containers, "count", lambda *_, **__: pytest.fail("decodes again"))
    assert audio.info(moved) == expected


def test_a_cache_that_cannot_be_written_is_told_and_done_without(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUDIO_PLATFORM_CACHE", str(tmp_path / "file"))
    path = encode(tmp_path / "a.mp3", "libmp3lame", "mp3", noise(1), RATE, write_xing="0")
    with pytest.warns(UserWarning, match="lengths of files are found anew each time"):
        assert audio.info(path).num_frames == _decoded(path).size


def test_playlists_stay_out(tmp_path) -> None:
    write(tmp_path / "a.wav", "PCM_16", "WAV", noise(1))
    for name, content in (
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.wav\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile a.wav\n"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(audio.AudioError, match="not decodable"):
            audio.read(tmp_path / name)


_LISTEN = """
import ctypes, sys
from datamodules import audio
for start in range(20_000, 100_000, 7_000):
    audio.read(sys.argv[1], start, 1000)
from datamodules.audio.mpg123_messages import kept_back
libc = ctypes.CDLL(None)
with kept_back():
    libc.perror(b"of another part")
    print("of Python", file=sys.stderr, flush=True)
libc.perror(b"afterwards")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="messages are kept back on Linux")
def test_nothing_of_libmpg123_reaches_standard_error_and_all_else_does(tmp_path) -> None:
    path = write(tmp_path / "a.mp3", "MPEG_LAYER_III", "MP3", chirp(8))
    told = subprocess.run(
        [sys.executable, "-c", _LISTEN, str(path)], capture_output=True, text=True, check=True
    ).stderr.splitlines()
    assert [line.partition(":")[0] for line in told] == ["of Python", "of another part", "afterwards"]
