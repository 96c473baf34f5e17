"""Files that were cut off in the middle, of every kind that soundfile writes: none is shortened in silence."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules import audio
from tests.datamodules.audio.encoding import noise

LENGTHLESS = {"IRCAM", "PAF", "PVF", "XI"}  # their headers tell no length, of XI as libsndfile writes it
UNREADABLE = {"HTK", "SDS"}  # a decoder refuses all of them where they are cut
NUMBERLESS = {"OGG"}  # nothing tells how much came behind
PCM = {"FLOAT", "DOUBLE", "ULAW", "ALAW"}
HEADERLESS = {"RAW", "SD2"}  # the one is samples alone, the other keeps its header in another file
CONTAINERS = sorted(set(soundfile.available_formats()) - HEADERLESS)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("AUDIO_PLATFORM_CACHE", str(tmp_path / "cache"))


def _written(folder: Path, container: str) -> list[tuple[str, Path]]:
    """Subtypes that libsndfile writes in a container, and a file of each."""
    found = []
    for subtype in soundfile.available_subtypes(container):
        path = folder / subtype
        try:
            soundfile.write(
                path, noise(3), 8000 if container == "WVE" else 16000, subtype=subtype, format=container
            )
        except soundfile.LibsndfileError:  # which it lists and does not write
            continue
        if not subtype.startswith("DWVW"):  # whose samples soundfile cannot read back
            found.append((subtype, path))
    assert found
    return found


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_cut_file_is_refused_with_what_it_has_and_lacks(container: str, tmp_path) -> None:
    for subtype, path in _written(tmp_path, container):
        whole, rate = audio.read(path)
        size = whole.shape[1]
        assert audio.info(path) == (rate, size, 1)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 6 // 10])
        if container in LENGTHLESS:
            assert audio.info(path).num_frames == audio.read(path)[0].shape[1] < size
            continue
        with pytest.raises(audio.AudioError) as told:
            audio.read(path)
        if container in UNREADABLE:
            continue
        found = re.search(r"truncated: has (\d+) samples and lacks (\d+|an unknown number);", str(told.value))
        assert found, told.value
        has = int(found[1])
        if found[2].isdecimal():
            is_exact = subtype.startswith("PCM") or subtype in PCM or container == "FLAC"
            assert has + int(found[2]) == pytest.approx(size, abs=1 if is_exact else 0.1 * size), subtype
        else:
            assert container in NUMBERLESS
        part, part_rate = audio.read(path, allow_truncated=True)
        assert audio.info(path, allow_truncated=True) == (part_rate, has, 1) == (part_rate, *part.shape[::-1])
        assert has / part_rate > 0.2 * size / rate
        if subtype == "OPUS":  # of cut ones FFmpeg gives the codec's own rate, and another edge of the band
            part = audio.resample(part, part_rate, rate, "soxr_hq")[:, :-100]
            power = whole[:, : part.shape[1]].square().mean()
            assert (
                part - whole[:, : part.shape[1]]
            ).square().mean() < 0.1 * power  # a sample beside gives twice the power
            continue
        assert part_rate == rate
        torch.testing.assert_close(part[:, : has - 4096], whole[:, : has - 4096], atol=1e-4, rtol=0)


def test_an_instrument_that_tells_its_length(tmp_path) -> None:
    """FastTracker writes it, libsndfile does not."""
    path = tmp_path / "a.xi"
    soundfile.write(path, noise(1), 44100, subtype="DPCM_16", format="XI")
    content = bytearray(path.read_bytes())
    content[298:302] = np.uint32(len(content) - 338).tobytes()
    path.write_bytes(content)
    size = audio.info(path).num_frames
    path.write_bytes(content[:-2000])
    with pytest.raises(audio.AudioError, match=f"has {size - 1000} samples and lacks 1000"):
        audio.info(path)
