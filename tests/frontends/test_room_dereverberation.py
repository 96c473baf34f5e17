"""Dereverberation that does no harm: in rooms of every reverberation time, with eight microphones and with one."""

import numpy as np
import pytest
import torch

from lightning_modules.frontends import RoomDereverberation
from tests.frontends.reverberant_sounds import (
    RATE,
    change,
    drone,
    record,
    responses,
    si_sdr,
    speech,
    sweep,
    valve,
)

SOUNDS = [drone, valve, sweep, speech]


def recorded(sound, reverberation_time_s, *, seed=0, channels=8, seconds=10):
    source = sound(np.random.default_rng(seed), np.arange(seconds * RATE) / RATE)
    return record(source, responses(reverberation_time_s, seed=seed)[:channels])


def dereverberated(clip):
    return RoomDereverberation()(clip[None].float())[0].double()


@pytest.mark.parametrize("channels", [8, 1])
def test_anechoic_sound_passes(channels):
    clip, _ = recorded(drone, 0, channels=channels)
    assert change(dereverberated(clip), clip) < -20


@pytest.mark.parametrize("channels", [8, 1])
def test_a_dry_room_is_not_made_worse(channels):
    clip, early = recorded(drone, 0.2, channels=channels)
    assert si_sdr(dereverberated(clip), early) > si_sdr(clip, early) - 0.3


def test_a_reverberant_room_is_made_better():
    clip, early = recorded(drone, 0.4)
    assert si_sdr(dereverberated(clip), early) > si_sdr(clip, early) + 3


@pytest.mark.slow
@pytest.mark.parametrize("channels", [8, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("reverberation_time_s", [0, 0.1, 0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize("sound", SOUNDS)
def test_no_room_is_made_worse(sound, reverberation_time_s, seed, channels, capsys):
    clip, early = recorded(sound, reverberation_time_s, seed=seed, channels=channels)
    found = dereverberated(clip)
    changed = change(found, clip)
    gain = si_sdr(found, early) - si_sdr(clip, early) if reverberation_time_s else 0.0
    with capsys.disabled():
        name = sound.__name__
        print(
            f"\n{name:6} RT60 {reverberation_time_s} s, {channels} microphones, seed {seed}: gain {gain:.2f} dB,"
            f" change {changed:.1f} dB",
            end="",
        )
    if reverberation_time_s == 0:
        assert changed < -20
    assert gain > -0.3
    if reverberation_time_s == 0.4 and channels == 8:
        assert gain > 3


def test_chunks_neighbours_and_level_do_not_matter():
    clip, _ = recorded(speech, 0.4, channels=2, seconds=2)
    module = RoomDereverberation(taps=3).double()
    alone = module(clip[None])
    batch = torch.stack([clip, clip.flip(-1), torch.zeros_like(clip)])
    torch.testing.assert_close(module(100 * batch)[:1] / 100, alone)
    module.chunk_bins = 5
    together = module(batch)
    torch.testing.assert_close(together[:1], alone)
    assert (together[2] == 0).all()


def test_a_negative_ridge_is_refused():
    with pytest.raises(ValueError, match="ridge -1: expected 0 or more"):
        RoomDereverberation(ridge=-1)
