"""One table of formats: what `info`, `read`, a crop and `blocks` say of each is one thing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import audio
from datamodules.audio import containers, reading
from tests.datamodules.audio.encoding import RATE, chirp, encode, noise, write

# Codec and container of FFmpeg
LOSSLESS = {
    ("flac", "flac"),
    ("flac", "ogg"),
    ("flac", "mp4"),
    ("flac", "matroska"),
    ("alac", "mp4"),
    ("wavpack", "wv"),
    ("tta", "tta"),
    ("tta", "matroska"),
    ("pcm_s16le", "wav"),
    ("pcm_s24le", "wav"),
    ("pcm_s16le", "avi"),
    ("pcm_s16le", "mov"),
    ("pcm_s16le", "matroska"),
    ("pcm_s16be", "aiff"),
    ("pcm_s16be", "caf"),
    ("pcm_s16le", "nut"),
}
# -> rate in Hz
LOSSY = {
    ("aac", "mp4"): RATE,
    ("aac", "adts"): RATE,
    ("aac", "matroska"): RATE,
    ("aac", "mpegts"): RATE,
    ("aac", "flv"): 44100,
    ("aac", "avi"): RATE,
    ("libopus", "webm"): 48000,
    ("libopus", "matroska"): 48000,
    ("libopus", "ogg"): 48000,
    ("libmp3lame", "mp3"): RATE,
    ("libmp3lame", "mp4"): RATE,
    ("libmp3lame", "wav"): RATE,
    ("libmp3lame", "flv"): 22050,
    ("libmp3lame", "avi"): RATE,
    ("libmp3lame", "matroska"): RATE,
    ("mp2", "mp2"): RATE,
    ("mp2", "mpeg"): RATE,
    ("mp2", "mpegts"): RATE,
    ("ac3", "ac3"): 48000,
    ("ac3", "matroska"): 48000,
    ("eac3", "mp4"): 48000,
    ("g722", "wav"): RATE,
    ("adpcm_ima_wav", "wav"): RATE,
    ("libopencore_amrnb", "amr"): 8000,
    ("libopencore_amrnb", "3gp"): 8000,
    ("nellymoser", "flv"): 8000,
}
SOUNDFILE = (
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),
    ("WAV", "G721_32"),
    ("AU", "PCM_16"),
    ("AU", "G721_32"),
    ("AIFF", "PCM_24"),
    ("CAF", "ALAC_16"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("NIST", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
)


@pytest.fixture(autouse=True)
def sought_early(request, monkeypatch, tmp_path) -> None:
    """What is done beyond a minute is done beyond a second, but where files are as long as that."""
    monkeypatch.setenv("AUDIO_PLATFORM_CACHE", str(tmp_path / "cache"))
    if "minutes" not in request.fixturenames:
        monkeypatch.setattr(reading, "_SEEK_FROM_S", 1.0)
        monkeypatch.setattr(containers, "_SPACING_S", 0.5)


def _agree(path: Path, *, exact: bool) -> torch.Tensor:
    """What the four ways to ask a file say is one thing; returns its samples."""
    whole, rate = audio.read(path)
    size, tolerance = whole.shape[1], 0 if exact else 1e-3
    assert audio.info(path) == (rate, size, whole.shape[0])
    blocks = np.concatenate(list(audio.blocks(path, 7777)), axis=1)
    np.testing.assert_allclose(blocks, whole.numpy(), atol=tolerance, rtol=0)
    for start in (0, size // 3, size * 2 // 3 + 5, size - rate, size - 100):
        part, _ = audio.read(path, start, rate // 2)
        torch.testing.assert_close(part, whole[:, start : start + rate // 2], atol=tolerance, rtol=0)
    with pytest.raises(audio.AudioError, match=f"no samples from sample {size} on"):
        audio.read(path, size)
    return whole


@pytest.mark.parametrize(("codec", "container"), sorted(LOSSLESS))
def test_lossless_files_of_ffmpeg(codec: str, container: str, tmp_path) -> None:
    samples = noise(3)
    found = _agree(encode(tmp_path / "a", codec, container, samples), exact=True)
    np.testing.assert_allclose(found[0].numpy(), samples, atol=2**-15, rtol=0)


@pytest.mark.parametrize(("codec", "container"), sorted(LOSSY))
@pytest.mark.parametrize("sound", [chirp, noise])
def test_lossy_files_of_ffmpeg(codec: str, container: str, sound, tmp_path) -> None:
    rate = LOSSY[codec, container]
    samples = sound(3, rate)
    path = encode(tmp_path / "a", codec, container, samples, rate)
    found = _agree(path, exact=False)
    assert 0 <= found.shape[1] - samples.size < 3000  # none is lost: what a codec adds is a frame or two


@pytest.mark.parametrize(("container", "subtype"), SOUNDFILE)
@pytest.mark.parametrize("sound", [chirp, noise])
def test_files_of_soundfile(container: str, subtype: str, sound, tmp_path) -> None:
    samples = sound(3)
    path = write(tmp_path / "a", subtype, container, samples)
    is_lossy = subtype in {"VORBIS", "OPUS", "MPEG_LAYER_III"}
    found = _agree(path, exact=not is_lossy)
    assert 0 <= found.shape[1] - samples.size < 800


@pytest.fixture
def minutes() -> float:
    """Seconds of files that are longer than what is decoded from the beginning."""
    return 65.0


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "container"), sorted([*LOSSY, *LOSSLESS]))
def test_beyond_a_minute(codec: str, container: str, minutes: float, tmp_path) -> None:
    rate = LOSSY.get((codec, container), RATE)
    path = encode(tmp_path / "a", codec, container, chirp(minutes, rate), rate)
    _agree(path, exact=(codec, container) in LOSSLESS)
