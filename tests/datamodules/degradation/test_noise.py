"""Noise is there at the ratio that was asked for, and comes from where it should."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from datamodules.degradation.noise import Noise
from datamodules.degradation.signals import Signal, power

RATE = 16000


def speech(channels: int = 1, seconds: float = 1.0) -> Signal:
    """A soft tone that comes and goes."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = 0.05 * np.sin(2 * np.pi * 220 * time) * (np.sin(2 * np.pi * 1.3 * time) > 0)
    return np.stack([tone * (1 + channel) for channel in range(channels)]).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Noise at other rates than the clip's: a long file of two channels, and one shorter than the clip."""
    root = tmp_path_factory.mktemp("musan")
    rng = np.random.default_rng(0)
    for name, seconds, rate in (("noise/free-sound/long.wav", 3, 44100), ("music/fma/short.wav", 0.3, 8000)):
        (root / name).parent.mkdir(parents=True)
        soundfile.write(root / name, rng.uniform(-0.2, 0.2, (round(seconds * rate), 2)), rate)
    return root


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.3, 40.0])
@pytest.mark.parametrize("source", ["white", "pink", "long", "short"])
def test_the_ratio_is_the_one_asked_for(source, snr_db, folder) -> None:
    files = {path.stem: (path,) for path in folder.rglob("*.wav")}
    heard: str | tuple[Path, ...] = files.get(source) or source
    clean = speech(2)
    noisy = Noise((snr_db, snr_db), heard)(clean, RATE, np.random.default_rng(3))
    assert noisy.dtype == np.float32
    noise = noisy.astype(np.float64) - clean
    assert 10 * np.log10(power(clean) / power(noise)) == pytest.approx(snr_db, abs=0.02)
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-6)  # one noise for all channels


def test_a_range_is_drawn_from_evenly() -> None:
    clean, step = speech(seconds=0.1), Noise((-3.0, 9.0), "white")
    random = np.random.default_rng(0)
    found = [step(clean, RATE, random).astype(np.float64) - clean for _ in range(300)]
    ratios = np.array([10 * np.log10(power(clean) / power(each)) for each in found])
    assert ratios.min() == pytest.approx(-3, abs=0.3)
    assert ratios.max() == pytest.approx(9, abs=0.3)
    assert ratios.mean() == pytest.approx(3, abs=3 * 12 / np.sqrt(12 * 300))  # three standard errors


def test_pink_noise_falls_by_3_db_an_octave() -> None:
    clean = speech(seconds=20)
    noise = Noise((0.0, 0.0), "pink")(clean, RATE, np.random.default_rng(0))[0] - clean[0]
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [spectrum[20 * low : 40 * low].mean() for low in (125, 250, 500, 1000, 2000)]
    assert 10 * np.log10(octaves) @ [2, 1, 0, -1, -2] / 10 == pytest.approx(
        3.01, abs=0.2
    )  # slope by least squares


def test_what_would_be_clipped_is_made_softer_as_a_whole() -> None:
    step = Noise((0.0, 0.0), "white")
    soft = step(speech(), RATE, np.random.default_rng(0))
    loud = step(speech() * np.float32(19.9), RATE, np.random.default_rng(0))
    assert np.abs(loud).max() == pytest.approx(1)
    np.testing.assert_allclose(loud, soft / np.abs(soft).max(), atol=1e-5)


def test_a_silent_clip_stays_silent() -> None:
    silence = np.zeros((1, 100), np.float32)
    assert np.array_equal(Noise((0.0, 0.0))(silence, RATE, np.random.default_rng(0)), silence)


def test_silent_files_are_passed_over_and_silence_alone_is_named(tmp_path, folder) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    silent, (long,) = tmp_path / "silent.wav", folder.rglob("long.wav")
    for seed in range(20):
        noisy = Noise((0.0, 0.0), (silent, long))(speech(), RATE, np.random.default_rng(seed))
        assert np.isfinite(noisy).all()
    with pytest.raises(ValueError, match=r"silent\.wav: silent, as others before it: name another folder"):
        Noise((0.0, 0.0), (silent,))(speech(), RATE, np.random.default_rng(0))
