"""Descriptors of sounds whose level and pitch are known."""

import math

import pytest
import torch

from lightning_modules.frontends import Descriptors

RATE = 16000
TIME = torch.arange(RATE) / RATE


def test_level_and_centroid_of_a_tone():
    frontend = Descriptors(RATE)
    tones = torch.stack([0.5 * torch.sin(2 * math.pi * f * TIME) for f in (500, 2000)])
    described = frontend(tones)
    assert described.shape == (2, len(frontend.names))
    # power of a sine of amplitude 1/2 is 1/8: -9.03 dB, in units of 20 dB
    assert torch.allclose(described[:, 0], torch.tensor(-9.0309 / 20), atol=1e-4)
    assert described[:, 1].tolist() == pytest.approx([0.5, 2.0], abs=0.06)


def test_only_the_level_follows_the_volume_and_clips_are_independent():
    frontend = Descriptors(RATE)
    noise = torch.randn(3, RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    loud, soft = frontend(noise), frontend(noise / 10)
    assert torch.allclose(loud[:, 0] - soft[:, 0], torch.tensor(1.0), atol=1e-4)
    assert torch.allclose(loud[:, 1:], soft[:, 1:], atol=1e-3)
    assert torch.allclose(frontend(noise[1:2]), loud[1:2], atol=1e-5)


def test_silence_is_finite_and_autocast_changes_nothing():
    frontend = Descriptors(RATE, num_cepstra=4)
    silent = frontend(torch.zeros(1, RATE))
    assert silent.isfinite().all()
    assert silent[0, 0] == -5  # -100 dB
    assert torch.allclose(silent[0, 2:], torch.zeros(4), atol=1e-3)
    noise = torch.randn(1, RATE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(frontend(noise), frontend(noise))
        inside = frontend(noise)
    assert torch.equal(inside, frontend(noise))
