"""Four sounds in simulated rooms, and how far recordings are from their early part."""

import numpy as np
import torch
from scipy.signal import chirp, fftconvolve, lfilter

RATE = 16000
_EARLY = int(0.032 * RATE)


def drone(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Harmonics of a wandering blade frequency and noise that it modulates."""
    wander = np.sin(2 * np.pi * 0.31 * time_s + rng.uniform(0, 6.28))
    phase = 2 * np.pi * np.cumsum(90 * (1 + 0.03 * wander)) / RATE
    tones = sum(np.cos(order * phase + rng.uniform(0, 6.28)) / order for order in range(1, 30))
    return tones + rng.standard_normal(len(time_s)) * (1 + np.cos(phase))


def valve(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Clicks of 5 ms at irregular times over faint noise."""
    clicks = (rng.random(len(time_s)) < 3 / RATE) * rng.standard_normal(len(time_s))
    decay = rng.standard_normal(800) * np.exp(-np.arange(800) / 80)
    return fftconvolve(clicks, decay)[: len(time_s)] + 1e-3 * rng.standard_normal(len(time_s))


def sweep(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """From 0.3 to 7 kHz every 3 s."""
    return chirp((time_s + rng.uniform(0, 3)) % 3, 300, 3, 7000)


def speech(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Voiced syllables of gliding pitch through three formants, fricatives, pauses."""
    sound, at = 1e-3 * rng.standard_normal(len(time_s)), 0
    while at < len(sound):
        length = int(rng.uniform(0.08, 0.3) * RATE)
        if rng.random() < 0.75:
            pitch = rng.uniform(90, 220)
            cycles = np.cumsum(np.linspace(pitch, pitch * rng.uniform(0.8, 1.25), length)) / RATE
            syllable = np.diff(np.floor(cycles), prepend=0) + 0.01 * rng.standard_normal(length)
            for low, high, width in ((300, 800, 80), (900, 2300, 110), (2400, 3200, 160)):
                radius, turn = np.exp(-np.pi * width / RATE), 2 * np.pi * rng.uniform(low, high) / RATE
                syllable = np.asarray(
                    lfilter([1 - radius], [1, -2 * radius * np.cos(turn), radius**2], syllable)
                )
            syllable /= syllable.std()
        else:
            syllable = 0.3 * np.asarray(lfilter([1, -0.9], [1], rng.standard_normal(length)))
        place = slice(at, min(at + length, len(sound)))
        sound[place] += (np.sqrt(np.hanning(length)) * syllable)[: place.stop - at]
        at += length + (rng.random() < 0.3) * int(rng.uniform(0.1, 0.5) * RATE)
    return sound


def responses(reverberation_time_s: float, *, channels: int = 8, seed: int = 0) -> np.ndarray:
    """(channel, time), from 2.1 m to a circle of 3.4 cm radius in 6 x 5 x 3 m, or from 1.3 m in a smaller room.

    0 s is the direct sound alone.
    """
    import pyroomacoustics

    rng = np.random.default_rng(seed)
    is_small = 0 < reverberation_time_s < 0.12  # Sabine's shortest time of the large one
    size_m, distance_m = (np.array([3.6, 3, 2.5]), 1.3) if is_small else (np.array([6.0, 5, 3]), 2.1)
    if reverberation_time_s == 0:
        room = pyroomacoustics.ShoeBox(size_m, fs=RATE, max_order=0)
    else:
        absorption, order = pyroomacoustics.inverse_sabine(reverberation_time_s, size_m)
        material = pyroomacoustics.Material(absorption)
        room = pyroomacoustics.ShoeBox(size_m, fs=RATE, materials=material, max_order=order)
    centre = size_m * [0.4833, 0.48, 0.4] + rng.uniform(-0.2, 0.2, 3)
    angle = np.arange(channels) * 2 * np.pi / channels
    room.add_microphone_array(centre[:, None] + 0.034 * np.stack([np.cos(angle), np.sin(angle), 0 * angle]))
    position = np.full(3, -1.0)
    while not ((position > 0.2) & (position < size_m - 0.2)).all():
        azimuth, tilt = rng.uniform(-np.pi, np.pi), rng.uniform(-0.2, 0.2)
        direction = [np.cos(azimuth) * np.cos(tilt), np.sin(azimuth) * np.cos(tilt), np.sin(tilt)]
        position = centre + distance_m * np.array(direction)
    room.add_source(position)
    room.compute_rir()
    assert room.rir is not None
    found = [response for (response,) in room.rir]
    longest = max(map(len, found))
    return np.stack([np.pad(response, (0, longest - len(response))) for response in found])


def record(source: np.ndarray, responses: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """What microphones hear, and its early part, until 32 ms after the direct sound: (channel, time) each."""
    first = abs(responses).argmax(axis=1, keepdims=True)
    early = np.where(np.arange(responses.shape[1]) < first + _EARLY, responses, 0)
    heard = [fftconvolve(source[None], each, axes=1)[:, : len(source)] for each in (responses, early)]
    return torch.from_numpy(heard[0]), torch.from_numpy(heard[1])


def si_sdr(estimate: torch.Tensor, target: torch.Tensor) -> float:
    """Scale-invariant ratio of signal to distortion in dB, mean over channels."""
    scaled = (estimate * target).sum(-1, keepdim=True) / target.square().sum(-1, keepdim=True) * target
    return float((10 * (scaled.square().sum(-1) / (estimate - scaled).square().sum(-1)).log10()).mean())


def change(found: torch.Tensor, clip: torch.Tensor) -> float:
    """Energy of the difference over the clip's in dB."""
    return float(10 * ((found - clip).square().sum() / clip.square().sum()).clamp_min(1e-20).log10())
