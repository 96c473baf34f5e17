"""Decibels in Slaney mel bands: against a direct float64 computation, and each clip by itself."""

import math

import numpy as np
import pytest
import torch

from datamodules.clips import pad
from lightning_modules.frontends import MelDecibel


def slaney_filters(n_mels: int, n_fft: int, rate: int) -> np.ndarray:
    """Triangles of unit area on Slaney's scale: linear below 1 kHz, logarithmic above."""
    step = math.log(6.4) / 27

    def to_mel(hz):
        return 3 * hz / 200 if hz < 1000 else 15 + math.log(hz / 1000) / step

    def to_hz(mel):
        return 200 * mel / 3 if mel < 15 else 1000 * math.exp(step * (mel - 15))

    edges = [to_hz(to_mel(rate / 2) * i / (n_mels + 1)) for i in range(n_mels + 2)]
    filters = np.zeros((n_mels, n_fft // 2 + 1))
    for mel in range(n_mels):
        low, mid, high = edges[mel : mel + 3]
        for number in range(n_fft // 2 + 1):
            hz = number * rate / n_fft
            height = max(0.0, min((hz - low) / (mid - low), (high - hz) / (high - mid)))
            filters[mel, number] = height * 2 / (high - low)
    return filters


def expected_decibels(clip: np.ndarray, *, n_fft: int, hop: int, n_mels: int, top_db: float) -> np.ndarray:
    clip = clip / clip.std()
    mirrored = np.pad(clip, n_fft // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = [mirrored[i : i + n_fft] * window for i in range(0, len(clip) + 1, hop)]
    power = np.abs(np.fft.rfft(frames, axis=1)).T ** 2
    decibel = 10 * np.log10(np.maximum(slaney_filters(n_mels, n_fft, 16000) @ power, 1e-10))
    return np.maximum(decibel, decibel.max() - top_db)


@pytest.mark.parametrize("num_samples", [4000, 4096])
def test_against_a_direct_computation(num_samples):
    clip = np.random.default_rng(1).standard_normal(num_samples) * np.hanning(num_samples) ** 8 + 0.3
    expected = expected_decibels(clip, n_fft=1024, hop=512, n_mels=32, top_db=40)
    frontend = MelDecibel(n_mels=32, top_db=40)
    found = frontend(torch.from_numpy(clip)[None].float())
    assert found.shape == (1, 32, 1 + num_samples // 512)
    np.testing.assert_allclose(found[0].double(), expected, atol=2e-3)
    assert found.min() == pytest.approx(float(found.max()) - 40, abs=1e-4)


def test_a_clip_keeps_its_features_beside_longer_and_louder_ones():
    torch.manual_seed(0)
    frontend = MelDecibel(n_mels=40)
    clips = [torch.randn(1, n) * level for n, level in ((5000, 1.0), (9001, 100.0), (3333, 0.01))]
    batch = torch.cat([pad(clip, 9001, "mirror") for clip in clips])
    length = torch.tensor([clip.shape[1] for clip in clips])
    together = frontend(batch, length)
    for row, clip in enumerate(clips):
        alone = frontend(clip)
        own = int(frontend.num_frames(length[row]))
        assert alone.shape[-1] == own
        torch.testing.assert_close(together[row, :, :own], alone[0], atol=1e-3, rtol=0)


def test_level_does_not_matter_and_silence_is_finite():
    frontend, clip = MelDecibel(), torch.randn(2, 8000)
    torch.testing.assert_close(frontend(clip), frontend(0.01 * clip), atol=1e-3, rtol=0)
    assert frontend(torch.zeros(2, 8000)).isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        assert frontend(clip).dtype == torch.float32


def test_a_clip_of_less_than_half_a_window_is_refused():
    with pytest.raises(ValueError, match="512 samples"):
        MelDecibel()(torch.zeros(1, 512))
