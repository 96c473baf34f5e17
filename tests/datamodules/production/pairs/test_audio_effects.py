"""Effects against straightforward computations, sample by sample."""

import math

import numpy as np
import pytest

from datamodules.production.pairs.audio_effects import (
    EFFECTS,
    amplify,
    compress,
    distort,
    echo,
    low_pass,
    shift,
)

RATE = 8000


def noise(clips=2, size=600, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (clips, size))


def compressed(clip, threshold, ratio, attack, release):
    """Tarr's loop with its own words: level, wanted gain, smoothing."""
    smooth, output = 0.0, [clip[0]]
    for sample in clip[1:]:
        level = max(20 * math.log10(abs(sample) + 1e-8), -96)
        wanted = threshold + (level - threshold) / ratio - level if level > threshold else 0.0
        pole = math.exp(-math.log(9) / (RATE * (attack if wanted < smooth else release)))
        smooth = (1 - pole) * wanted + pole * smooth
        output.append(sample * 10 ** (smooth / 20))
    return np.array(output)


def test_compressor_is_its_recursion_with_settings_of_each_clip():
    clips, knobs = noise(), np.array([[-20.0, 4.0, 0.001, 0.04], [-5.0, 1.5, 0.03, 0.002]])
    expected = [compressed(clip, *settings) for clip, settings in zip(clips, knobs, strict=True)]
    assert np.abs(compress(clips, knobs, RATE) - expected).max() < 1e-12


def test_a_ratio_of_one_and_silence_pass():
    clips = noise()
    assert np.allclose(compress(clips, np.array([[-30.0, 1.0, 0.001, 0.001]] * 2), RATE), clips)
    assert np.array_equal(compress(0 * clips, np.array([[-30.0, 5.0, 0.001, 0.001]] * 2), RATE), 0 * clips)


def test_a_steady_level_is_reduced_by_the_ratio():
    clips = np.full((1, RATE), 10 ** (-6 / 20))
    steady = compress(clips, np.array([[-18.0, 4.0, 0.01, 0.01]]), RATE)[0, -1]
    assert 20 * math.log10(steady) == pytest.approx(-18 + 12 / 4, abs=1e-4)


def test_echoes_repeat_at_their_delay_and_between_samples_by_interpolation():
    clip = np.zeros((1, 20))
    clip[0, 0] = 1
    assert np.flatnonzero(echo(clip, np.array([[7.0, 0.5, 2.0]]), RATE)[0]).tolist() == [0, 7, 14]
    between = echo(clip, np.array([[3.25, 0.5, 1.0]]), RATE)[0]
    assert between[3:5].tolist() == [0.5 * 0.75, 0.5 * 0.25]


def echoed(clip, delay, ratio, echoes):
    """Every sample asks what was heard before it."""

    def at(place):
        before = math.floor(place)
        samples = [clip[n] if n >= 0 else 0.0 for n in (before, before + 1)]
        return samples[0] + (place - before) * (samples[1] - samples[0])

    repeats = range(1, round(echoes) + 1)
    return [clip[n] + sum(ratio**k * at(n - k * delay) for k in repeats) for n in range(len(clip))]


def test_echo_is_its_sum_with_settings_of_each_clip():
    clips, knobs = noise(3), np.array([[100.0, 0.5, 1.0], [17.3, 0.9, 2.4], [299.75, 0.1, 1.6]])
    expected = [echoed(clip, *settings) for clip, settings in zip(clips, knobs, strict=True)]
    assert np.abs(echo(clips, knobs, RATE) - expected).max() < 1e-12


def filtered(clip, cutoff):
    """Third-order Butterworth by the bilinear transform: s^3 + 2 s^2 + 2 s + 1 with s = k (1 - 1/z) / (1 + 1/z)."""
    k = 1 / math.tan(math.pi * cutoff / RATE)
    first, second = [1 + k, 1 - k], [k * k + k + 1, 2 - 2 * k * k, k * k - k + 1]
    x, y, z = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]  # input, after the section of order 1, after that of order 2
    for sample in clip:
        x.append(sample)
        y.append((x[-1] + x[-2] - first[1] * y[-1]) / first[0])
        z.append((y[-1] + 2 * y[-2] + y[-3] - second[1] * z[-1] - second[2] * z[-2]) / second[0])
    return z[2:]


def test_low_pass_is_the_bilinear_transform_of_butterworths():
    clips, knobs = noise(3), np.array([[10.0], [432.1], [2000.0]])
    expected = [filtered(clip, *settings) for clip, settings in zip(clips, knobs, strict=True)]
    assert np.abs(low_pass(clips, knobs, RATE) - expected).max() < 1e-9


def test_distortion_is_its_formula_with_settings_of_each_clip():
    clips, knobs = noise(2), np.array([[0.0, -3.0], [24.0, 0.0]])
    expected = [
        [10 ** (level / 20) * math.tanh(10 ** (drive / 20) * sample) for sample in clip]
        for clip, (drive, level) in zip(clips, knobs, strict=True)
    ]
    assert np.abs(distort(clips, knobs, RATE) - expected).max() < 1e-12


def test_distortion_clips_at_its_level():
    output = distort(np.array([[-1.0, 0.0, 1.0]]), np.array([[30.0, -6.0]]), RATE)
    assert output == pytest.approx(np.array([[-1, 0, 1]]) * 10 ** (-6 / 20))


def test_shifts_keep_what_stays_in_the_clip():
    clips = noise(8)
    moved = shift(clips, np.full((8, 1), 0.05), RATE, np.random.default_rng(0))
    for before, after in zip(clips, moved, strict=True):
        lags = [np.correlate(np.roll(before, by)[100:-100], after[100:-100])[0] for by in range(-40, 41)]
        by = int(np.argmax(lags)) - 40
        kept = slice(max(by, 0), len(before) + min(by, 0))
        assert np.array_equal(after[kept], before[max(-by, 0) : len(before) - max(by, 0)])
    assert len({tuple(row) for row in moved}) == 8


def test_the_amplifier_is_causal_and_treats_half_waves_differently():
    clips = noise()
    changed = clips.copy()
    changed[:, 300:] = 0
    before, after = amplify(clips, np.zeros((2, 0)), RATE), amplify(changed, np.zeros((2, 0)), RATE)
    assert np.abs(before[:, :300] - after[:, :300]).max() < 1e-9
    assert not np.allclose(amplify(-clips, np.zeros((2, 0)), RATE), -before, atol=1e-3)


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_every_effect_keeps_the_shape_at_all_corners_of_its_knobs(name):
    effect = EFFECTS[name]
    limits = np.array(list(effect.knobs.values())).reshape(-1, 2)
    corners = np.array(np.meshgrid(*limits)).reshape(len(limits), -1).T if len(limits) else np.zeros((1, 0))
    clips = noise(len(corners))
    output = effect.apply(clips, corners, RATE, np.random.default_rng(0))
    assert output.shape == clips.shape
    assert np.isfinite(output).all()
