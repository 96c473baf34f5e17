"""SpecGAN: published sizes, an independent rebuild, moments, and the way from spectrograms to waveforms."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, correlate2d

from lightning_modules.networks import SpecGAN
from lightning_modules.networks.specgan import ScaledSpectrogram


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def hits(num, num_samples=16384, *, seed=0):
    """Decaying tones in noise (num, 1, num_samples), loudest at sample 0."""
    random = torch.Generator().manual_seed(seed)
    time = torch.arange(num_samples) / 16000
    pitch = 80 + 400 * torch.rand(num, 1, generator=random)
    tone = torch.cos(2 * torch.pi * pitch * time) * torch.exp(-time / 0.1)
    noise = torch.randn(num, num_samples, generator=random) * torch.exp(-time / 0.05)
    return (0.5 * tone + 0.1 * noise)[:, None]


def fitted(waveforms):
    spectrogram = ScaledSpectrogram(waveforms.shape[2], num_iterations=16)
    spectrogram.fit(waveforms.split(4))
    return spectrogram


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        network = SpecGAN()
    assert count(network.generator) == 19_065_345
    assert count(network.discriminator) == 17_427_969


@pytest.mark.parametrize("num_samples", [4096, 16384, 20480])
def test_shapes(num_samples):
    network = SpecGAN(num_samples, dim=2, griffin_lim=1)
    z = torch.rand(3, 100) * 2 - 1
    seen = network.generator(z)
    assert seen.shape == (3, 1, 128, num_samples // 128)
    assert network.discriminator(seen).shape == (3,)
    assert network(z).shape == (3, 1, num_samples)
    assert network.analyse(network(z)).shape == seen.shape


def test_both_networks_agree_with_a_rebuild():
    """Kernels of 5 x 5 at every second place; TensorFlow's ``same`` pads an even size by 1 before and 2 behind."""
    torch.manual_seed(0)
    network = SpecGAN(8192, dim=1, latent_dim=5).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    arrays = {name: value.detach().numpy() for name, value in network.named_parameters()}
    z = torch.rand(1, 5, dtype=torch.float64) * 2 - 1
    x = arrays["generator.project.weight"] @ z[0].numpy() + arrays["generator.project.bias"]
    x = x.reshape(4, 2, 16).transpose(2, 0, 1)  # TensorFlow's channels come last
    for layer in range(5):
        weight, bias = (arrays[f"generator.layers.{layer}.{name}"] for name in ("weight", "bias"))
        apart = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2]))
        apart[:, ::2, ::2] = np.maximum(x, 0)
        full = [
            np.sum([convolve2d(p, k) for p, k in zip(apart, kernel, strict=True)], axis=0)
            for kernel in weight.swapaxes(0, 1)
        ]
        x = np.stack([y[1:-3, 1:-3] + b for y, b in zip(full, bias, strict=True)])
    x = np.tanh(x)
    seen = network.generator(z)
    assert np.allclose(seen[0].detach().numpy(), x, atol=1e-10)
    for layer in range(5):
        weight, bias = (arrays[f"discriminator.layers.{layer}.{name}"] for name in ("weight", "bias"))
        padded = np.pad(x, ((0, 0), (1, 2), (1, 2)))
        valid = [
            np.sum([correlate2d(p, k, "valid") for p, k in zip(padded, kernel, strict=True)], axis=0)
            for kernel in weight
        ]
        x = np.stack([y[::2, ::2] + b for y, b in zip(valid, bias, strict=True)])
        x = np.where(x > 0, x, 0.2 * x)
    score = arrays["discriminator.score.weight"] @ x.transpose(1, 2, 0).reshape(-1)
    assert np.allclose(
        network.discriminator(seen).item(), score + arrays["discriminator.score.bias"], atol=1e-10
    )


def test_log_magnitude_of_a_cosine_is_that_of_its_window():
    spectrogram = ScaledSpectrogram(4096, num_iterations=16)
    time = torch.arange(4096) / 256
    values = spectrogram.log_magnitude(0.5 * torch.cos(2 * torch.pi * 32 * time)[None, None])
    assert values.shape == (1, 1, 128, 32)
    assert torch.allclose(values[0, 0, 32, 1:], torch.tensor(0.25 * 128).log(), atol=1e-4)
    assert values[0, 0, 40, 1:].max() < np.log(1e-3)
    silence = spectrogram.log_magnitude(torch.zeros(1, 1, 4096))
    assert torch.allclose(silence, torch.tensor(1e-6).log())


def test_moments_are_those_of_all_frames():
    waveforms = hits(10)
    spectrogram = ScaledSpectrogram(16384, num_iterations=16)
    assert not spectrogram.is_fitted
    spectrogram.fit(waveforms.split(4))
    assert spectrogram.is_fitted
    values = spectrogram.log_magnitude(waveforms).double().numpy().transpose(2, 0, 1, 3).reshape(128, -1)
    assert np.allclose(spectrogram.mean[:, 0], values.mean(axis=1), atol=1e-5)
    assert np.allclose(spectrogram.std[:, 0], values.std(axis=1), atol=1e-5)


def test_three_deviations_become_one_and_no_more():
    spectrogram = fitted(hits(8))
    scaled = spectrogram(hits(8))
    inside = scaled.abs().amax(dim=(1, 2, 3)) < 1
    assert inside.any()
    values = spectrogram.log_magnitude(hits(8))
    expected = (values - spectrogram.mean) / spectrogram.std / 3
    assert torch.allclose(scaled[inside], expected[inside], atol=1e-6)
    assert spectrogram(1e6 * hits(8)).max() == 1
    assert spectrogram(torch.zeros(1, 1, 16384)).min() >= -1


def test_a_bin_that_never_changes_stays_finite():
    spectrogram = fitted(torch.zeros(4, 1, 4096))
    assert torch.equal(spectrogram(torch.zeros(1, 1, 4096)), torch.zeros(1, 1, 128, 32))
    assert spectrogram.inverse(torch.ones(1, 1, 128, 32)).abs().max() < 1e-4


def test_sounds_come_back_with_their_spectra_and_their_attack():
    waveforms = hits(8)
    spectrogram = fitted(waveforms)
    back = spectrogram.inverse(spectrogram(waveforms))
    assert back.shape == waveforms.shape
    ours, theirs = (spectrogram.log_magnitude(x).exp() for x in (back, waveforms))
    assert (ours - theirs).norm() / theirs.norm() < 0.2
    attack = back[..., :128].square().sum() / waveforms[..., :128].square().sum()
    assert 0.8 < attack < 1.25
    assert torch.equal(back, spectrogram.inverse(spectrogram(waveforms)))


def test_more_iterations_come_nearer():
    waveforms = hits(4)
    errors = []
    for num_iterations in (1, 16):
        spectrogram = ScaledSpectrogram(16384, num_iterations=num_iterations)
        spectrogram.fit([waveforms])
        magnitudes = [
            spectrogram.log_magnitude(x).exp()
            for x in (spectrogram.inverse(spectrogram(waveforms)), waveforms)
        ]
        errors.append((magnitudes[0] - magnitudes[1]).norm())
    assert errors[1] < 0.6 * errors[0]


def test_half_precision_keeps_spectra_whole():
    spectrogram = fitted(hits(4))
    seen = spectrogram(hits(4))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(spectrogram(hits(4)), seen)
        assert torch.equal(spectrogram.inverse(seen), spectrogram.inverse(seen.float()))
        assert spectrogram.inverse(seen.bfloat16()).dtype == torch.float32


def test_moments_travel_with_the_weights():
    torch.manual_seed(0)
    network, other = (SpecGAN(4096, dim=2, griffin_lim=2) for _ in range(2))
    network.spectrogram.fit([hits(4, 4096)])
    other.load_state_dict(network.state_dict())
    assert other.spectrogram.is_fitted
    z = torch.rand(2, 100) * 2 - 1
    assert torch.equal(network(z), other(z))


@pytest.mark.parametrize("num_samples", [0, 2048, 16000])
def test_other_lengths_are_refused(num_samples):
    with pytest.raises(ValueError, match=f"num_samples is {num_samples}"):
        SpecGAN(num_samples, dim=2)
