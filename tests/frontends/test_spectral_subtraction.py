"""Spectral subtraction: what it leaves alone, what it removes, how it estimates noise."""

import math

import pytest
import torch

from lightning_modules.frontends import SpectralSubtraction
from lightning_modules.metrics.functional.audio import snr_gain


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def test_without_noise_nothing_changes():
    clean = noise(2, 1, 5000)
    subtraction = SpectralSubtraction().double()
    torch.testing.assert_close(subtraction(clean, torch.zeros_like(clean)), clean)
    assert not subtraction(torch.zeros_like(clean)).any()


def test_blind_estimate_of_white_noise():
    """Powers of Gaussian noise are exponential: known and estimated noise leave as much of it."""
    white = noise(1, 1, 160000)
    subtraction = SpectralSubtraction(factor=1.0, floor=0.01).double()
    left = [each.square().mean().item() for each in (subtraction(white), subtraction(white, white))]
    assert left[0] == pytest.approx(left[1], rel=0.05)
    # E[max(P - 1, 0)] of an exponential P; overlapping frames average their parts
    assert 0.7 * math.exp(-1) < left[1] < math.exp(-1)


def test_a_sound_with_pauses_gains():
    time = torch.arange(32000, dtype=torch.float64) / 16000
    clean = torch.sin(2 * math.pi * 440 * time) * (time % 0.5 < 0.2)
    clean = clean.expand(2, 1, -1)
    noisy = clean + 0.2 * noise(2, 1, 32000)
    subtraction = SpectralSubtraction().double()
    assert (snr_gain(noisy, subtraction(noisy), clean) > 6).all()
    assert (snr_gain(noisy, subtraction(noisy, noisy - clean), clean) > 10).all()


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="quantile 1"):
        SpectralSubtraction(quantile=1)
