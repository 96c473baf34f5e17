"""Dereverberation beside nara_wpe, in a room simulated by pyroomacoustics.

Needs packages that are no part of this project: nara_wpe 0.0.11 and pyroomacoustics 0.10.1.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.signal import chirp, fftconvolve

from lightning_modules.frontends import WPE, BlindDereverberation

nara_wpe = pytest.importorskip("nara_wpe.wpe", reason="nara_wpe is not installed")

RATE = 16000
EARLY = int(0.032 * RATE)


def nara(spectrum: torch.Tensor, *, taps: int = 8, delay: int = 3, iterations: int = 3) -> torch.Tensor:
    """The published WPE of (batch, channel, bin, frame), in complex128."""
    bins = spectrum.transpose(1, 2).to(torch.complex128).numpy()
    found = nara_wpe.wpe_v8(bins, taps=taps, delay=delay, iterations=iterations)
    return torch.from_numpy(found).transpose(1, 2)


@pytest.mark.parametrize(("channels", "taps", "delay"), [(1, 10, 2), (2, 8, 3), (5, 4, 1)])
@pytest.mark.parametrize(("dtype", "error"), [(torch.complex128, 1e-9), (torch.complex64, 3e-3)])
def test_wpe_on_random_spectra(channels, taps, delay, dtype, error):
    """In complex64 the published one is itself off by 1e-2: the quietest frames weigh most."""
    torch.manual_seed(0)
    spectrum = torch.randn(2, channels, 9, 400, dtype=dtype) * torch.rand(2, 1, 9, 400)
    expected = nara(spectrum, taps=taps, delay=delay)
    found = WPE(taps, delay=delay).dereverberate(spectrum)
    assert (found - expected).norm() < error * expected.norm()


def rotor(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Harmonics of a wandering blade frequency and noise that it modulates."""
    phase = 2 * np.pi * np.cumsum(90 * (1 + 0.03 * np.sin(2 * np.pi * 0.31 * time_s))) / RATE
    tones = sum(np.cos(order * phase + rng.uniform(0, 6.28)) / order for order in range(1, 30))
    return tones + rng.standard_normal(len(time_s)) * (1 + np.cos(phase))


def valve(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """Clicks of 5 ms at irregular times over faint noise."""
    clicks = (rng.random(len(time_s)) < 3 / RATE) * rng.standard_normal(len(time_s))
    decay = rng.standard_normal(800) * np.exp(-np.arange(800) / 80)
    return fftconvolve(clicks, decay)[: len(time_s)] + 1e-3 * rng.standard_normal(len(time_s))


def sweep(rng: np.random.Generator, time_s: np.ndarray) -> np.ndarray:
    """From 0.3 to 7 kHz every 3 s."""
    return chirp(time_s % 3, 300, 3, 7000)


@pytest.fixture(scope="module")
def responses() -> np.ndarray:
    """From 2.1 m to a circle of 8 microphones of 3.4 cm radius, 6 x 5 x 3 m, 0.4 s: (channel, time)."""
    pra = pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is not installed")
    absorption, order = pra.inverse_sabine(0.4, [6, 5, 3])
    room = pra.ShoeBox([6, 5, 3], fs=RATE, materials=pra.Material(absorption), max_order=order)
    centre, angle = np.array([2.5, 2.2, 1.2]), np.arange(8) * np.pi / 4
    room.add_microphone_array(centre[:, None] + 0.034 * np.stack([np.cos(angle), np.sin(angle), 0 * angle]))
    direction = np.array([0.75, 0.63, 0.2])
    room.add_source(centre + 2.1 * direction / np.linalg.norm(direction))
    room.compute_rir()
    length = max(len(response) for (response,) in room.rir)
    return np.stack([np.pad(response, (0, length - len(response))) for (response,) in room.rir])


def record(source: np.ndarray, responses: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Early and late part (channel, time): the responses up to 32 ms after the direct sound, and the rest."""
    first = abs(responses).argmax(axis=1, keepdims=True)
    early = np.where(np.arange(responses.shape[1]) < first + EARLY, responses, 0)
    parts = [fftconvolve(source[None], part, axes=1)[:, : len(source)] for part in (early, responses - early)]
    return torch.from_numpy(parts[0]), torch.from_numpy(parts[1])


def si_sdr(estimate: torch.Tensor, early: torch.Tensor) -> float:
    """Scale-invariant ratio of signal to distortion in dB, mean over channels."""
    target = (estimate * early).sum(-1, keepdim=True) / early.square().sum(-1, keepdim=True) * early
    return float((10 * (target.square().sum(-1) / (estimate - target).square().sum(-1)).log10()).mean())


def early_to_late(estimate: torch.Tensor, early: torch.Tensor, late: torch.Tensor) -> float:
    """20 log10 of a / b in the least squares of a early + b late, mean over channels."""
    shares = torch.linalg.lstsq(torch.stack([early, late], dim=-1), estimate.unsqueeze(-1)).solution
    return float((20 * (shares[:, 0] / shares[:, 1]).abs().log10()).mean())


@pytest.mark.slow
@pytest.mark.parametrize("source", [rotor, valve, sweep])
def test_room(source: Callable, responses: np.ndarray):
    """Gain over the microphones, and none below nara_wpe, without sensor noise: bins hardly of full rank."""
    early, late = record(source(np.random.default_rng(0), np.arange(10 * RATE) / RATE), responses)
    wet = (early + late)[None]
    wpe, blind = WPE(), BlindDereverberation()
    stft = WPE().double().stft
    results = {
        "microphones": wet,
        "nara_wpe": stft.inverse(nara(stft(wet)), wet.shape[-1]),
        "WPE": wpe(wet).double(),
        "WPE, float64": wpe.double()(wet),
        "BlindDereverberation": blind(wet).double(),
    }
    distortion = {name: si_sdr(found[0], early) for name, found in results.items()}
    ratio = {name: early_to_late(found[0], early, late) for name, found in results.items()}
    for name in results:
        print(
            f"{source.__name__:6} {name:21} SI-SDR {distortion[name]:6.2f} dB, early to late {ratio[name]:6.2f} dB"
        )
    assert distortion["BlindDereverberation"] > distortion["microphones"] + 3
    assert distortion["BlindDereverberation"] > distortion["nara_wpe"] - 0.3
    assert ratio["BlindDereverberation"] > 6
    assert distortion["WPE, float64"] > distortion["nara_wpe"] - 0.3


@pytest.mark.slow
def test_room_with_sensor_noise(responses: np.ndarray):
    """Noise 60 dB below makes the bins regular, and WPE the same in every implementation."""
    rng = np.random.default_rng(0)
    early, late = record(valve(rng, np.arange(10 * RATE) / RATE), responses)
    wet = early + late
    wet = (wet + 1e-3 * wet.std() * torch.from_numpy(rng.standard_normal(wet.shape)))[None]
    wpe = WPE().double()
    spectrum = wpe.stft(wet)
    expected = nara(spectrum)
    assert (wpe.dereverberate(spectrum) - expected).abs().max() < 1e-6 * expected.abs().max()
    in_float32 = WPE()(wet)[0].double()
    reference = wpe.stft.inverse(expected, wet.shape[-1])[0]
    assert si_sdr(in_float32, early) == pytest.approx(si_sdr(reference, early), abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("taps", [8, 10])
def test_speed(taps, capsys):
    """A 10 s clip of 8 channels on all cores; the methods take turns, and medians are compared."""
    spectrum = torch.randn(1, 8, 257, 626, dtype=torch.complex64)
    bins = spectrum[0].transpose(0, 1).to(torch.complex128).numpy()
    methods = {
        "nara_wpe": lambda: nara_wpe.wpe(bins, taps=taps, delay=3, iterations=3),
        "WPE": lambda: WPE(taps).dereverberate(spectrum),
        "BlindDereverberation": lambda: BlindDereverberation(taps=taps).dereverberate(spectrum),
    }
    seconds = {name: [] for name in methods}
    for _ in range(9):
        for name, method in methods.items():
            begin = time.perf_counter()
            method()
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: float(np.median(laps)) for name, laps in seconds.items()}
    with capsys.disabled():
        for name, median in medians.items():
            print(
                f"\n{taps} taps, {name}: {median:.2f} s, nara_wpe {medians['nara_wpe'] / median:.1f} times that",
                end="",
            )
    assert medians["WPE"] < medians["nara_wpe"]
