"""Denoising networks: published sizes, contexts, alignment, conditions."""

import pytest
import torch

from lightning_modules.networks import LSTMDenoiser, WaveNetDenoiser
from lightning_modules.networks.wavenet_denoiser import GatedLayer

SMALL = {"channels": 4, "stacks": 2, "layers": 3, "head_channels": (6, 5)}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_published_sizes():
    wavenet = WaveNetDenoiser()
    assert count(wavenet) == 6_342_657
    assert (
        wavenet.receptive_field == 6139 + 2 + 4
    )  # the dilated layers, the convolution before, the two after
    assert count(LSTMDenoiser()) == 404_544


def test_wavenet_output_depends_on_its_receptive_field_alone():
    network = WaveNetDenoiser(**SMALL, condition_dim=0).double()
    field, ahead = network.receptive_field, network.look_ahead
    assert (field, ahead) == (2 * 17 + 1, 17)
    many = 20 * torch.randn(256, 1, field + 20, dtype=torch.float64)  # in one alone a ReLU may close a path
    waveform = many.requires_grad_()
    denoised = network(waveform)
    assert denoised.shape == (256, 1, 21)
    (slope,) = torch.autograd.grad(denoised[:, 0, 7].sum(), waveform)
    touched = slope[:, 0].abs().amax(0).nonzero().flatten()
    assert (touched.min(), touched.max()) == (7, 7 + field - 1)
    centre = 7 + field - 1 - ahead  # the input sample that output sample 7 stands for
    assert touched.double().mean() == centre


def test_wavenet_by_padded_convolutions():
    """The same weights in a network that pads every layer with silence, as the published code does."""
    network = WaveNetDenoiser(**SMALL).double()
    waveform, bits = (
        torch.randn(2, 1, 80, dtype=torch.float64),
        torch.tensor([[0.5] * 5, [-0.5] * 5]).double(),
    )

    def padded(layer, signal):
        return torch.nn.functional.conv1d(
            signal, layer.weight, layer.bias, padding="same", dilation=layer.dilation
        )

    condition = bits + 0.5
    first, wide, narrow = [layer(condition)[..., None] for layer in network.conditions]
    hidden, total = padded(network.input, waveform) + first, torch.zeros(())
    for layer in network.layers:
        assert isinstance(layer, GatedLayer)
        assert layer.condition is not None
        both = padded(layer.convolution, hidden) + layer.condition(condition)[..., None]
        mixed = padded(layer.mix, both[:, :4].tanh() * both[:, 4:].sigmoid())
        hidden, total = hidden + mixed[:, :4], total + mixed[:, 4:]
    wanted = padded(network.wide, total.relu()) + wide
    wanted = padded(network.output, padded(network.narrow, wanted.relu()) + narrow)
    context = network.look_ahead
    torch.testing.assert_close(network(waveform, bits), wanted[..., context:-context])


def test_zero_bits_stand_for_anyone():
    network = WaveNetDenoiser(**SMALL)
    waveform = torch.randn(1, 1, 64)
    anyone = network(waveform)
    assert torch.equal(network(waveform, torch.zeros(1, 0)), anyone)
    torch.testing.assert_close(network(waveform, torch.full((1, 5), -0.5)), anyone)
    assert not torch.allclose(network(waveform, torch.full((1, 5), 0.5)), anyone)
    with pytest.raises(ValueError, match="3 values: expected 5"):
        network(waveform, torch.zeros(1, 3))


def test_wavenet_needs_its_receptive_field():
    with pytest.raises(ValueError, match="34 samples: an output sample depends on 35"):
        WaveNetDenoiser(**SMALL)(torch.zeros(1, 1, 34))


@pytest.mark.parametrize("time", [1, 64, 100])
def test_lstm_keeps_the_length(time):
    network = LSTMDenoiser(hidden_dim=8)
    waveform = torch.randn(3, 1, time)
    denoised = network(waveform)
    assert denoised.shape == waveform.shape
    filled = torch.nn.functional.pad(waveform, (0, -time % 64))
    assert torch.equal(network(filled)[..., :time], denoised)


def test_lstm_sees_both_ways():
    network = LSTMDenoiser(hidden_dim=8)
    waveform = torch.randn(1, 1, 256, requires_grad=True)
    (slope,) = torch.autograd.grad(network(waveform)[0, 0, 130], waveform)
    assert slope[0, 0, 0] != 0
    assert slope[0, 0, -1] != 0
