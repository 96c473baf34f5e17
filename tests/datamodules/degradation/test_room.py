"""Rooms ring as long as they should, and delay nothing."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from chirps import chirp, delay

from datamodules.degradation.room import NUM_ROOMS, RecordedRoom, SimulatedRoom, reverberate
from datamodules.degradation.signals import Signal, power

RATE = 16000


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """Simulated rooms are kept for this module alone."""
    folder = tmp_path_factory.getbasetemp() / "rooms"
    monkeypatch.setenv("AUDIO_PLATFORM_CACHE", str(folder))
    return folder


def schroeder_s(response: Signal) -> float:
    """Reverberation time of (time,): a line through the decay from -5 to -25 dB of the energy still to come."""
    energy = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    time = np.flatnonzero((level < -5) & (level > -25)) / RATE
    slope, _ = np.polyfit(time, level[(level < -5) & (level > -25)], 1)
    return -60 / slope


@pytest.mark.parametrize("rt60_s", [0.17, 0.3, 0.5])
def test_reverberation_times_are_within_a_fifth(rt60_s) -> None:
    found = [schroeder_s(SimulatedRoom.response(rt60_s, number, RATE)) for number in range(3)]
    np.testing.assert_allclose(found, rt60_s, rtol=0.2)
    assert len(set(found)) == 3


def test_rooms_delay_nothing_and_keep_level_and_length() -> None:
    sound = np.concatenate([chirp(RATE), np.zeros((1, RATE // 2), np.float32)], axis=1) * np.float32(0.2)
    for number in range(3):
        response = SimulatedRoom.response(0.3, number, RATE)
        assert np.flatnonzero(np.abs(response) > 0.3 * np.abs(response).max())[0] <= 1  # the direct path
        heard = reverberate(sound, response)
        assert heard.shape == sound.shape
        assert power(heard) == pytest.approx(power(sound), rel=1e-4)
        assert power(heard[:, -RATE // 2 : -RATE // 4]) > 1e-3 * power(sound)  # it rings on
    dry = reverberate(sound, np.where(np.arange(len(response)) < 20, response, np.float32(0)))
    assert abs(delay(dry, sound)) <= 1


def test_a_room_is_drawn_by_the_generator_alone_and_kept(cache) -> None:
    step, sound = SimulatedRoom((0.17, 0.17)), chirp(RATE)
    found = [step(sound, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert np.array_equal(found[0], found[1])
    assert 1 < len({each.tobytes() for each in found}) <= NUM_ROOMS
    assert any((cache / "rooms").rglob("*.npz"))


def test_a_recorded_response_begins_with_its_direct_path(tmp_path) -> None:
    response = np.zeros((48000, 2))
    response[1234, 0], response[1234 + 4800, 0], response[7, 1] = 0.5, 0.25, 1.0
    soundfile.write(tmp_path / "response.wav", response, 48000)
    sound = np.zeros((2, RATE), np.float32)
    sound[:, 4000], sound[1, 4000] = 0.5, 0.1
    heard = RecordedRoom((tmp_path / "response.wav",))(sound, RATE, np.random.default_rng(0))
    assert np.abs(heard[0]).argmax() == np.abs(heard[1]).argmax() == 4000
    assert heard[0, 4000 + 1600] / heard[0, 4000] == pytest.approx(0.5, abs=0.01)  # 0.1 s later
    assert power(heard) == pytest.approx(power(sound), rel=1e-3)


@pytest.mark.parametrize("rt60_s", [0.1, 2.0])
def test_rooms_that_cannot_be_are_one_line(rt60_s) -> None:
    with pytest.raises(ValueError, match=rf"^no room of {rt60_s:g} s: choose a time from 0\.15 to 1\.5 s$"):
        SimulatedRoom((0.3, rt60_s))


def test_a_silent_response_is_named(tmp_path) -> None:
    soundfile.write(tmp_path / "r.wav", np.zeros(100), RATE)
    with pytest.raises(ValueError, match=r"r\.wav: silent: take it out"):
        RecordedRoom((tmp_path / "r.wav",))(chirp(RATE), RATE, np.random.default_rng(0))
