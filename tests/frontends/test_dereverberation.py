"""WPE and blind dereverberation: against plain NumPy, on exact cases, on decaying noise as a room."""

import dataclasses

import numpy as np
import pytest
import torch

from lightning_modules.frontends import WPE, BlindDereverberation
from lightning_modules.frontends.dereverberation import descend
from lightning_modules.frontends.linear_prediction import LinearPrediction, LoadedCholesky, inverse_power
from lightning_modules.frontends.local_gaussian import LocalGaussian
from lightning_modules.frontends.precision import Dense, SharedBasis
from lightning_modules.frontends.stft import STFT


def random_spectrum(*shape: int, seed: int = 0, dtype=torch.complex128) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def plain_wpe(x: np.ndarray, *, taps: int, delay: int, iterations: int) -> np.ndarray:
    """One bin (channel, frame), every sum written out."""
    channels, frames = x.shape
    stack = np.zeros((taps * channels, frames), complex)
    for t in range(frames):
        for tap in range(taps):
            if t - delay - tap >= 0:
                stack[tap * channels : (tap + 1) * channels, t] = x[:, t - delay - tap]
    dry = x
    for _ in range(iterations):
        power = np.maximum(np.mean(abs(dry) ** 2, axis=0), 1e-10 * np.mean(abs(dry) ** 2, axis=0).max())
        correlation = sum(np.outer(stack[:, t], stack[:, t].conj()) / power[t] for t in range(frames))
        target = sum(np.outer(stack[:, t], x[:, t].conj()) / power[t] for t in range(frames))
        dry = x - np.linalg.solve(correlation, target).conj().T @ stack
    return dry


def room(num_samples: int = 32000, *, channels: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise bursts in a room of exponentially decaying noise: reverberant and early (channel, time), float64."""
    rng = np.random.default_rng(seed)
    gate = np.repeat(rng.random(num_samples // 800) < 0.4, 800)
    source = rng.standard_normal(num_samples) * (0.01 + gate)
    decay = np.exp(-6.9 * np.arange(6400) / 6400)  # 60 dB in 0.4 s
    response = 0.05 * rng.standard_normal((channels, 6400)) * decay
    response[:, 0] = 1
    early = response.copy()
    early[:, 512:] = 0  # 32 ms

    def convolve(responses):
        spectra = np.fft.rfft(source, 65536) * np.fft.rfft(responses, 65536)
        return torch.from_numpy(np.fft.irfft(spectra)[:, :num_samples])

    return convolve(response), convolve(early)


def si_sdr(estimate: torch.Tensor, target: torch.Tensor) -> float:
    scaled = (estimate * target).sum(-1, keepdim=True) / target.square().sum(-1, keepdim=True) * target
    return float((10 * (scaled.square().sum(-1) / (estimate - scaled).square().sum(-1)).log10()).mean())


@pytest.mark.parametrize("module", [WPE(2), BlindDereverberation(taps=2)])
@pytest.mark.parametrize("num_samples", [16000, 16001, 16255])
def test_stft_and_its_inverse_give_the_clip(module, num_samples):
    waveform = torch.randn(2, 3, num_samples, dtype=torch.float64)
    stft = STFT().double()
    torch.testing.assert_close(stft.inverse(stft(waveform), num_samples), waveform)
    assert module(waveform).shape == waveform.shape
    assert module(waveform).dtype == torch.float32


@pytest.mark.parametrize(("channels", "taps", "delay"), [(1, 8, 3), (2, 3, 1), (3, 2, 4)])
def test_wpe_against_plain_numpy(channels, taps, delay):
    spectrum = random_spectrum(2, channels, 3, 50)
    found = WPE(taps, delay=delay).dereverberate(spectrum)
    for clip in range(2):
        for k in range(3):
            expected = plain_wpe(spectrum[clip, :, k].numpy(), taps=taps, delay=delay, iterations=3)
            np.testing.assert_allclose(found[clip, :, k], expected, atol=1e-9)


def test_wpe_recovers_what_reverberated_autoregressively():
    """Sparse innovations, of which a recursion over all channels makes the observation."""
    dry = random_spectrum(1, 2, 1, 400) * (torch.rand(400) < 0.3)
    recursion = 0.25 * random_spectrum(3, 2, 2, seed=1)
    wet = torch.zeros_like(dry)
    for t in range(400):
        late = sum(recursion[tap] @ wet[0, :, 0, t - 3 - tap] for tap in range(3) if t - 3 - tap >= 0)
        wet[0, :, 0, t] = dry[0, :, 0, t] + late
    found = WPE(3, iterations=10).dereverberate(wet)
    assert (wet - dry).abs().max() > 1
    torch.testing.assert_close(found, dry, atol=1e-6, rtol=0)


@pytest.mark.parametrize("module", [WPE(3), BlindDereverberation(taps=3), BlindDereverberation(2, taps=3)])
def test_scale_batch_and_chunk_do_not_matter(module):
    spectrum = random_spectrum(3, 2, 7, 60)
    scale = torch.tensor([1.0, 1e-6, 1e4]).view(-1, 1, 1, 1)
    together = module.dereverberate(spectrum)
    torch.testing.assert_close(module.dereverberate(scale * spectrum), scale * together)
    torch.testing.assert_close(module.dereverberate(spectrum[1:2]), together[1:2])
    module.chunk_bins = 2
    torch.testing.assert_close(module.dereverberate(spectrum), together)


def test_gradients_flow_through_wpe():
    spectrum = random_spectrum(1, 2, 1, 16)
    module = WPE(2, delay=1, iterations=2)
    assert torch.autograd.gradcheck(module.dereverberate, spectrum.requires_grad_(), rtol=1e-3)
    silent = torch.zeros_like(spectrum).requires_grad_()
    module.dereverberate(silent).abs().sum().backward()
    assert silent.grad is not None
    assert silent.grad.isfinite().all()


@pytest.mark.parametrize("module", [WPE(4), BlindDereverberation(taps=4), BlindDereverberation(2, taps=4)])
def test_awkward_clips(module):
    """Digital silence, whole and in part, a dead microphone, and two that hear the same."""
    wet, _ = room(16000)
    clips = torch.stack([wet.roll(n, 0) for n in range(4)]).float()
    clips[0] = 0
    clips[1, :, 4000:9000] = 0
    clips[2, 1] = 0
    clips[3, 1] = clips[3, 0]
    dry = module(clips)
    assert dry.isfinite().all()
    assert (dry[0] == 0).all()
    assert dry[2, 1].abs().max() < 1e-6
    torch.testing.assert_close(dry[3, 1], dry[3, 0], atol=1e-3, rtol=0)
    assert 0.1 < dry[1:].std() / clips[1:].std() < 1.1


@pytest.mark.parametrize("module", [WPE(3), BlindDereverberation(taps=3)])
def test_autocast_changes_nothing(module):
    clip = room(16000)[0][None].float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = module(clip)
    torch.testing.assert_close(mixed, module(clip))


@pytest.mark.parametrize("module", [WPE(), BlindDereverberation()])
def test_refusals(module):
    clips = torch.randn(3, 2, 16000)
    clips[1, 0, 7] = torch.nan
    with pytest.raises(ValueError, match="clip 1 of the batch: NaN"):
        module(clips)
    with pytest.raises(ValueError, match=r"clip of 9 frames.*delay \+ taps \* channels = 19"):
        module(torch.randn(1, 2, 2048))
    with pytest.raises(ValueError, match="taps=0: expected at least 1"):
        type(module)(taps=0)
    with pytest.raises(ValueError, match="hop_length=300: expected 1 to n_fft // 2 = 256"):
        STFT(hop_length=300)


@pytest.mark.parametrize("num_sources", [1, 2])
def test_blind_dereverberation_of_one_microphone(num_sources):
    wet, early = room(24000, channels=1)
    module = BlindDereverberation(num_sources).double()
    assert (likelihoods(module, module.stft(wet[None])).diff() > 0).all()
    assert si_sdr(module(wet[None])[0], early) > si_sdr(wet, early)


def likelihoods(module: BlindDereverberation, spectrum: torch.Tensor) -> torch.Tensor:
    """Of clips (batch, channel, bin, frame), before and after every round: (batch, 1 + round), up to a constant."""
    bins = spectrum.movedim(1, 3).flatten(0, 1)  # (n, frame, channel)
    level = bins.abs().square().mean(dim=(1, 2), keepdim=True).sqrt()
    found = [
        -(precision.log_det + (signal.conj() * precision.whiten(signal)).real.sum(-1)).sum(-1)
        for signal, _, precision in module.improve(bins / level.where(level > 0, 1))
    ]
    return torch.stack(found, dim=-1).unflatten(0, spectrum.shape[0:3:2]).sum(dim=1)


@pytest.mark.parametrize("num_sources", [1, 2, 3])
@pytest.mark.parametrize("frames", [8, 14, 22])
def test_clips_shorter_than_the_late_reverberation(num_sources, frames):
    module, spectrum = BlindDereverberation(num_sources, taps=2), random_spectrum(2, 2, 3, frames)
    assert module.dereverberate(spectrum).isfinite().all()
    assert (likelihoods(module, spectrum).diff() > 0).all()


@pytest.mark.parametrize("num_sources", [1, 2])
@pytest.mark.parametrize("signal", ["noise", "room"])
def test_likelihood_never_falls(num_sources, signal):
    clip = room(24000)[0][None] if signal == "room" else torch.randn(1, 4, 24000, dtype=torch.float64)
    module = BlindDereverberation(num_sources, rounds=8, taps=3).double()
    likelihood = likelihoods(module, module.stft(clip))
    assert likelihood.shape == (1, 9)
    assert (likelihood.diff() > 0).all()


def test_each_step_of_expectation_maximisation_ascends():
    """Power, transfer, and covariance in turn, in single bins."""
    signal = random_spectrum(5, 200, 3) * torch.rand(5, 200, 1, dtype=torch.float64) ** 2
    model = LocalGaussian.initial(signal, num_sources=2, delay=2, late_taps=5)

    def likelihood(model):
        precision = model.precision()
        quadratic = (signal.conj() * precision.whiten(signal)).real.sum(-1)
        return -(precision.log_det + quadratic).sum(-1)

    for _ in range(4):
        precision = model.precision()
        updated = model.update(precision.whiten(signal), precision)
        for names in (["power"], ["power", "transfer"], ["power", "transfer", "spatial"]):
            partial = dataclasses.replace(model, **{name: getattr(updated, name) for name in names})
            assert (likelihood(partial) > likelihood(model)).all()
        model = updated


def test_precisions_against_inverses():
    """The basis that two covariances share changes nothing."""
    factors = random_spectrum(2, 2, 3, 3)
    spatial = factors @ factors.mH
    gains = torch.rand(2, 2, 6, dtype=torch.float64) + 0.1
    covariance = torch.einsum("nct,ncij->ntij", gains.to(spatial.dtype), spatial)
    inverse = torch.linalg.inv(covariance)
    signal, weights = random_spectrum(2, 6, 3, seed=1), torch.rand(2, 4, 6, dtype=torch.float64)
    for precision in (Dense(gains, spatial), SharedBasis(gains, spatial)):
        torch.testing.assert_close(precision.log_det, torch.linalg.slogdet(covariance).logabsdet)
        torch.testing.assert_close(precision.whiten(signal), (inverse @ signal[..., None])[..., 0])
        torch.testing.assert_close(
            precision.traces(spatial), torch.einsum("ncij,ntji->nct", spatial, inverse).real
        )
        expected = torch.einsum("nat,ntij->naij", weights.to(inverse.dtype), inverse)
        torch.testing.assert_close(precision.sums(weights), expected)


def test_one_direction_of_sound_makes_the_filter_step_an_iteration_of_wpe():
    """Covariances that differ in their level alone, whatever they share: one source, no late reverberation."""
    signal = random_spectrum(2, 80, 3)
    prediction = LinearPrediction(signal, delay=2, taps=4)
    factor = random_spectrum(2, 1, 3, 3, seed=1)
    weight = inverse_power(signal, 1e-10)
    correlation = LoadedCholesky(prediction.correlation(weight))
    found = descend(signal, prediction, Dense(1 / weight.unsqueeze(1), factor @ factor.mH), correlation)
    torch.testing.assert_close(found, prediction.error(iterations=1))


def test_filter_step_descends():
    signal = random_spectrum(4, 80, 3)
    prediction = LinearPrediction(signal, delay=2, taps=4)
    factors = random_spectrum(4, 2, 3, 3, seed=1)
    precision = SharedBasis(torch.rand(4, 2, 80, dtype=torch.float64), factors @ factors.mH)

    def quadratic(frames):
        return (frames.conj() * precision.whiten(frames)).real.sum(dim=(1, 2))

    correlation = LoadedCholesky(prediction.correlation(torch.rand(4, 80, dtype=torch.float64)))
    error = descend(signal, prediction, precision, correlation)
    better = descend(error, prediction, precision, correlation)
    assert (quadratic(error) < quadratic(signal)).all()
    assert (quadratic(better) < quadratic(error)).all()


def test_singular_systems_have_a_solution():
    columns = torch.randn(3, 100, 4, dtype=torch.complex64)
    columns = torch.cat([columns, 1e-4 * columns, torch.zeros(3, 100, 1)], dim=-1)
    target = columns[..., :2].sum(dim=-1, keepdim=True)
    found = LoadedCholesky(columns.mH @ columns).solve(columns.mH @ target)
    torch.testing.assert_close(columns @ found, target, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("module", "gain"), [(WPE(), 3.0), (BlindDereverberation(), 4.0), (BlindDereverberation(2), 4.0)]
)
def test_clips_are_dereverberated(module, gain):
    wet, early = room(64000)
    dry = module(wet[None].float())[0].double()
    assert si_sdr(dry, early) > si_sdr(wet, early) + gain
