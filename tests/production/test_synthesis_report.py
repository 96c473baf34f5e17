"""Figures of generated sounds by hand, and the report that finds copies."""

import pytest
import torch
from torchaudio.functional import melscale_fbanks

from lightning_modules.metrics.generation import Description, compare, describe, likeness
from lightning_modules.production.synthesis_report import synthesis_report

RATE = 8000


def noise(num, *, seed=0, num_samples=4096):
    return torch.randn(num, 1, num_samples, generator=torch.Generator().manual_seed(seed))


def test_bands_of_white_noise_have_the_power_of_their_width():
    features, power = describe(noise(64), sample_rate=RATE)
    assert features.shape == (64, 160)
    widths = melscale_fbanks(257, 0.0, RATE / 2, 40, RATE).sum(dim=0)  # in bins
    assert torch.allclose(features.mean(dim=0).view(40, 4), 10 * widths.log10()[:, None], atol=1.5)
    assert power.shape == (64, 4)
    assert torch.allclose(power.mean(dim=0), torch.ones(4), atol=0.05)
    silence = describe(torch.zeros(1, 1, 4096), sample_rate=RATE).features
    assert torch.equal(silence, torch.full((1, 160), -40.0))


def test_distance_is_that_of_two_gaussians():
    torch.manual_seed(0)
    features = torch.randn(500, 160)
    power = torch.ones(500, 4)
    theirs = Description(features, power)
    assert compare(theirs, theirs)["frechet"] == pytest.approx(0)
    moved = compare(Description(features + 2, power), theirs)
    assert moved["frechet"] == pytest.approx(160 * 4)
    assert moved["spread"] == pytest.approx(moved["spread_real"])
    wide = compare(Description(3 * features, power), Description(features, power))
    deviation, mean = features.std(dim=0, correction=0), features.mean(dim=0)
    assert wide["frechet"] == pytest.approx(float(4 * (deviation.square() + mean.square()).sum()), rel=1e-4)
    assert wide["spread"] == pytest.approx(3 * wide["spread_real"])


def test_envelope_and_level():
    power = torch.tensor([[8.0, 4.0, 2.0, 1.0], [8.0, 0.0, 0.0, 1.0]])
    figures = compare(Description(torch.zeros(2, 160), power), Description(torch.zeros(1, 160), power[:1]))
    assert figures["envelope_ratio"] == pytest.approx(8)
    assert figures["rms"] == pytest.approx((6 / 4 * 2) ** 0.5)
    assert figures["spread"] == figures["spread_real"] == 0


def test_a_copy_is_found_however_late_loud_or_turned():
    training = noise(5)[:, 0] * torch.exp(-torch.arange(4096) / 300)
    late = torch.zeros(4096)
    late[500:] = -0.3 * training[3, :-500]
    like = likeness(torch.stack([late, noise(1, seed=9)[0, 0], torch.zeros(4096)]), training)
    assert like[0] > 0.99
    assert like[1] < 0.3
    assert like[2] == 0


def test_report_counts_copies_and_warns():
    training, sounds = noise(6)[:, 0], noise(4, seed=1)[:, 0]
    sounds[2] = 0.5 * training[1]
    report = synthesis_report(sounds, training, {"frechet": 3.0}, sample_rate=RATE)
    assert report.keys == [f"sound{n:04d}" for n in range(4)]
    assert report.metrics["frechet"] == 3
    assert report.metrics["copies"] == 1
    assert report.warnings == ["1 of 4 sounds are copies of training clips"]
    assert [like > 0.98 for like, _ in report.scores] == [False, False, True, False]  # pyright: ignore[reportGeneralTypeIssues]
    assert not synthesis_report(sounds[:2], training, {}, sample_rate=RATE).warnings
