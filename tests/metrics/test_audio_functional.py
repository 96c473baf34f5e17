"""Audio distances against float64 definitions, the recommendation's own filters, and on silence."""

import math

import numpy as np
import pytest
import torch
from scipy import signal

from lightning_modules.metrics.functional import audio
from lightning_modules.metrics.functional.loudness import k_filters

RATE = 48000
# ITU-R BS.1770-4, tables 1 and 2, at 48 kHz.
SHELF = (
    [1.53512485958697, -2.69169618940638, 1.19839281085285],
    [1.0, -1.69065929318241, 0.73248077421585],
)
HIGH_PASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    target = torch.randn(3, 2, 5000, generator=generator, dtype=torch.float64) * 0.1
    return target + 0.03 * torch.randn(3, 2, 5000, generator=generator, dtype=torch.float64), target


def test_powers_by_definition(pair):
    estimate, target = (each.numpy() for each in pair)
    error = [((e - t) ** 2).sum() for e, t in zip(estimate, target, strict=True)]
    energy = [(t**2).sum() for t in target]
    assert audio.esr(*pair).item() == pytest.approx(sum(error) / sum(energy), rel=1e-12)
    ratio = np.divide(error, energy)
    np.testing.assert_allclose(audio.esr(*pair, over="clip"), ratio, rtol=1e-12)
    np.testing.assert_allclose(audio.snr(*pair), -10 * np.log10(ratio), rtol=1e-12)
    np.testing.assert_allclose(audio.mae(*pair), np.abs(estimate - target).mean((1, 2)), rtol=1e-12)
    assert audio.esr(torch.zeros_like(pair[1]), pair[1]).item() == pytest.approx(1)


def test_pooled_is_not_a_mean_of_ratios():
    target = torch.tensor([[[1.0, 0.0]], [[0.1, 0.0]]])
    estimate = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    assert audio.esr(estimate, target).item() == pytest.approx(0.01 / 1.01)
    assert audio.esr(estimate, target, over="clip").tolist() == pytest.approx([0, 1])


def test_gain_of_halved_noise(pair):
    noisy, clean = pair
    halved = clean + (noisy - clean) / 2
    torch.testing.assert_close(
        audio.snr_gain(noisy, halved, clean), torch.full((3,), 20 * math.log10(2), dtype=torch.float64)
    )


def test_si_sdr_by_projection(pair):
    estimate, target = (each.flatten(1) for each in pair)
    along = (estimate * target).sum(1, keepdim=True) / target.square().sum(1, keepdim=True) * target
    wanted = 10 * (along.square().sum(1) / (estimate - along).square().sum(1)).log10()
    torch.testing.assert_close(audio.si_sdr(*pair), wanted)
    torch.testing.assert_close(audio.si_sdr(7 * pair[0], pair[1]), wanted)


def test_spectral_distance_by_scipy(pair):
    estimate, target = (each[:, :1] for each in pair)
    wanted = []
    for n_fft, hop, length in ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200)):
        before = (n_fft - length) // 2
        window = np.pad(signal.get_window("hann", length), (before, n_fft - length - before))

        def magnitude(clip, window=window, n_fft=n_fft, hop=hop):
            padded = np.pad(clip.numpy()[0], n_fft // 2, mode="reflect")
            frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
            return np.abs(np.fft.rfft(frames * window))

        pairs = [(magnitude(e), magnitude(t)) for e, t in zip(estimate, target, strict=True)]
        wanted.append(
            [np.linalg.norm(t - e) / np.linalg.norm(t) + np.abs(np.log(t / e)).mean() for e, t in pairs]
        )
    np.testing.assert_allclose(audio.multi_resolution_stft(estimate, target), np.mean(wanted, 0), rtol=1e-6)


def test_k_filters_are_those_of_the_recommendation():
    for found, wanted in zip(k_filters(RATE), (SHELF, HIGH_PASS), strict=True):
        np.testing.assert_allclose(found[0], wanted[0], atol=1e-9 if wanted is SHELF else 0.005)
        np.testing.assert_allclose(found[1], wanted[1], atol=1e-9)


def straightforward_loudness(clip: np.ndarray) -> float:
    """Filters, blocks and gates (channel, time) one after the other, at 48 kHz."""
    filtered = np.asarray(signal.lfilter(*HIGH_PASS, signal.lfilter(*SHELF, clip)))
    starts = range(0, clip.shape[1] - 19200 + 1, 4800)
    blocks = [(filtered[:, start : start + 19200] ** 2).mean(1).sum() for start in starts]

    def level(power):
        return -0.691 + 10 * math.log10(power) if power else -math.inf

    loud = [block for block in blocks if level(block) > -70]
    gate = level(np.mean(loud)) - 10
    return level(np.mean([block for block in loud if level(block) > gate]))


def test_loudness_with_a_pause_at_the_recommended_rate():
    generator = np.random.default_rng(1)
    clips = generator.standard_normal((2, 2, 3 * RATE)) * 0.1
    clips[0, :, RATE : 2 * RATE] *= 1e-2  # below the relative gate
    clips[1, :, : RATE // 2] = 0
    found = audio.loudness_lufs(torch.from_numpy(clips), RATE)
    np.testing.assert_allclose(found, [straightforward_loudness(clip) for clip in clips], atol=1e-6)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_loudness_of_the_reference_tone(rate):
    """A 997 Hz sine of full scale in one channel has -3.01 LUFS (BS.1770-4, annex 1)."""
    tone = torch.sin(2 * math.pi * 997 * torch.arange(3 * rate) / rate)[None, None]
    assert audio.loudness_lufs(tone, rate).item() == pytest.approx(-3.01, abs=0.05)
    assert audio.lufs_error(tone / 10, tone, rate).item() == pytest.approx(20, abs=1e-3)
    assert audio.loudness_lufs(tone[..., : rate // 10], rate).item() == pytest.approx(-3.01, abs=0.5)


def test_gain_reduction_counts_active_frames_alone():
    dry = torch.full((1, 1, 64 * 4 + 7), 0.5)
    dry[..., 128:192] = 1e-3  # below -50 dB
    target = dry * torch.tensor([1.0, 0.5, 0.5, 0.25]).repeat_interleave(64).repeat(2)[: dry.shape[-1]]
    estimate = dry.clone()
    error, frames = audio.gain_reduction_error(dry, estimate, target)
    assert frames.tolist() == [2]
    assert error.item() == pytest.approx((20 * math.log10(2) + 20 * math.log10(4)) / 2, rel=1e-5)
    assert audio.gain_reduction_error(dry, target, target).error.item() == 0
    assert audio.gain_reduction_error(dry, estimate, dry).frames.item() == 0


@pytest.mark.parametrize("silent", [(True, True), (True, False), (False, True)])
def test_silence_is_finite(silent, pair):
    estimate, target = (
        each.float() * (not quiet) for each, quiet in zip((pair[0], pair[1]), silent, strict=True)
    )
    estimate.requires_grad_()
    measured = [
        audio.esr(estimate, target, over="clip"),
        audio.mae(estimate, target),
        audio.snr(estimate, target),
        audio.si_sdr(estimate, target),
        audio.multi_resolution_stft(estimate, target),
        audio.loudness_lufs(estimate, 16000),
        audio.gain_reduction_error(target, estimate, target).error,
    ]
    for value in measured:
        assert value.isfinite().all()
    torch.stack([value.sum() for value in measured]).sum().backward()
    assert estimate.grad.isfinite().all()
    if silent == (True, True):
        assert audio.esr(estimate, target).item() == 0
        assert audio.snr(estimate, target).tolist() == [0, 0, 0]
        assert audio.loudness_lufs(estimate, 16000).tolist() == pytest.approx([-70] * 3)


def test_half_precision_is_measured_in_float32():
    target = torch.full((1, 1, 6000), 200.0, dtype=torch.float16)  # its square overflows
    assert audio.esr(target / 2, target).item() == pytest.approx(0.25)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="give two of one shape"):
        audio.esr(torch.ones(2, 1, 8), torch.ones(2, 1, 9))
    with pytest.raises(ValueError, match="1 or 2 channels"):
        audio.loudness_lufs(torch.ones(2, 5, 8000), 16000)
