"""SignalTrain: published sizes, exact resynthesis, alignment, windows, silence."""

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.networks.signal_train import SignalTrain


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("scale", "parameters", "window", "stride"),
    [
        (1, 4_211_090, 8_192, 2_048),
        (2, 4_214_428, 16_384, 3_968),
        (4, 4_221_362, 32_768, 8_192),
        (8, 4_234_972, 65_536, 16_256),
    ],
)
def test_published_sizes(scale, parameters, window, stride):
    network = SignalTrain(4, scale=scale)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert (network.window, network.stride) == (window, stride)


@pytest.mark.parametrize("scale", [0.25, 0.3])
def test_analysis_and_synthesis_give_the_end_of_the_window(scale, double):
    network = SignalTrain(0, scale=scale, size=128, hop=48)
    window = torch.randn(2, network.window)
    real, imaginary = network.analyse(window)
    assert real.shape == (2, 65, network.frames_in)
    last = slice(-network.frames_out, None)
    output = network.synthesise(real[..., last], imaginary[..., last])
    assert (output - window[:, -network.stride :]).abs().max() < 5e-14


def test_the_efficient_synthesis_is_the_transposed_convolution(double):
    network = SignalTrain(0, scale=0.25, size=128, hop=48)
    for basis in network.synthesis:
        basis.data += 0.1 * torch.randn_like(basis)  # no longer symmetric, as after training
    real, imaginary = torch.randn(2, 2, 65, network.frames_out)
    spectra = (
        torch.cat([real, real[:, 1:-1].flip(1)], 1),
        torch.cat([imaginary, -imaginary[:, 1:-1].flip(1)], 1),
    )
    expected = sum(
        F.conv_transpose1d(spectrum, basis[:, None], stride=48)
        for spectrum, basis in zip(spectra, network.synthesis, strict=True)
    )
    assert torch.allclose(network.synthesise(real, imaginary), expected[:, 0, 128:-128], atol=1e-12)  # pyright: ignore[reportIndexIssue]


def test_the_whole_is_the_papers_formula(double):
    torch.manual_seed(0)
    network = SignalTrain(2, scale=0.25, size=128, hop=48)
    waveform, knobs = 0.3 * torch.randn(2, 1, network.window), torch.rand(2, 2) - 0.5
    real, imaginary = network.analyse(waveform[:, 0] / 2)
    spectrum = torch.complex(real, imaginary)
    last = slice(-network.frames_out, None)
    magnitude = network.magnitude(spectrum.abs(), knobs) * spectrum.abs()[..., last]
    phase = network.phase(spectrum.angle(), knobs) + spectrum.angle()[..., last]
    mapped = torch.polar(magnitude.abs(), phase) * magnitude.sign()
    dry = waveform[:, :, -network.stride :]
    expected = dry + 2 * network.synthesise(mapped.real, mapped.imag)[:, None]
    found, found_magnitude = network.with_magnitude(waveform, knobs)
    assert torch.allclose(found, expected, atol=1e-6)  # the phase of the official code is of real part + 1e-7
    assert torch.allclose(found_magnitude, magnitude)


def test_a_long_input_is_windows_that_end_where_it_ends():
    torch.manual_seed(0)
    network = SignalTrain(1, scale=0.25, size=128, hop=48)
    waveform, knobs = torch.randn(2, 1, network.window + 3 * network.stride + 7), torch.rand(2, 1) - 0.5
    output = network(waveform, knobs)
    assert output.shape == (2, 1, 4 * network.stride)
    last = network(waveform[..., -network.window :], knobs)
    assert torch.allclose(output[..., -network.stride :], last, atol=1e-6)
    first = network(waveform[..., 7 : 7 + network.window], knobs)
    assert torch.allclose(output[..., : network.stride], first, atol=1e-6)


def test_silence_stays_silent_and_its_gradients_are_finite():
    network = SignalTrain(0, scale=0.25, size=128, hop=48)
    output = network(torch.zeros(1, 1, network.window))
    assert output.abs().max() == 0
    output.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_short_inputs_and_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="100 samples are less than the network's window of 2048"):
        SignalTrain(0, scale=0.25, size=128, hop=48)(torch.zeros(1, 1, 100))
    with pytest.raises(ValueError, match="and shrink"):
        SignalTrain(0, shrink=0.5)
