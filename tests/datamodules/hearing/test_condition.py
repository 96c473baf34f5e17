"""Silence, clipping and channels that cancel each other, of recordings heard at once and in blocks."""

import numpy as np
import pytest

from datamodules.hearing import Condition

TONE = 0.5 * np.sin(np.arange(8000, dtype=np.float32) / 5)[None]


def of(samples, block=8000):
    condition = Condition()
    for begin in range(0, samples.shape[1], block):
        condition.hear(samples[:, begin : begin + block].astype(np.float32))
    return condition


def said(condition):
    return condition.fault(mono=True), condition.remarks()


def test_a_sound_has_nothing_odd():
    assert said(of(TONE)) == ("", [])
    assert said(of(np.concatenate([TONE, 0.3 * TONE]))) == ("", [])
    noise = np.random.default_rng(0).normal(0, 0.1, (8, 8000))
    assert said(of(noise)) == ("", [])  # eight microphones that have nothing in common


def test_silence_and_near_silence():
    assert said(of(0 * TONE)) == ("silent: no sample above -80 dB of full scale", [])
    assert said(of(1.9e-4 * TONE))[0].startswith("silent")
    assert said(of(2.1e-4 * TONE)) == ("", ["nearly silent"])
    assert said(of(2.8e-3 * TONE)) == (
        "",
        ["nearly silent"],
    )  # the root mean square of a sine is its peak / sqrt 2
    assert said(of(2.9e-3 * TONE)) == ("", [])


@pytest.mark.parametrize("level", [0.3, -0.3])
def test_a_direct_current_is_no_sound(level):
    assert said(of(np.full((2, 8000), level), 333)) == ("silent: a direct current, all samples are alike", [])
    step = np.full((1, 8000), level)
    step[:, 4000:] += 0.01
    assert said(of(step, 4000)) == ("", [])


@pytest.mark.parametrize("block", [8000, 333])
def test_clipped_samples_stand_in_a_row(block):
    clipped = TONE.copy()
    clipped[0, [10, 20, 21]] = 1.0  # peaks
    assert of(clipped, block).clipped == 0
    clipped[0, 100:103], clipped[0, 200:213] = -1.0, 1.2
    assert of(clipped, block).num_clipped == 16
    assert said(of(clipped, block)) == ("", ["0.2% of the samples clipped"])


def test_channels_that_cancel_each_other():
    opposite = np.concatenate([TONE, -TONE])
    assert said(of(opposite))[0].startswith("silent when its channels are averaged")
    assert of(opposite).fault(mono=False) == ""
    assert of(opposite).is_anti_phase
    assert said(of(np.concatenate([TONE, -0.9 * TONE]))) == ("", ["its channels cancel each other"])
    assert not of(np.concatenate([TONE, -0.5 * TONE])).is_anti_phase
