"""The causal WaveNet against sample-by-sample arithmetic, and what it must not hear."""

from typing import Any

import pytest
import torch

from lightning_modules.networks import WaveNet


def reference(net: Any, waveform: torch.Tensor, knobs: torch.Tensor | None) -> torch.Tensor:
    """One output sample at a time, by the equations of the paper, (time,) -> (time - receptive_field + 1,)."""
    features = net.widen.weight[:, 0, :1] * waveform + net.widen.bias[:, None]
    skips = []
    for layer in net.layers:
        weight, bias = layer.convolution.weight, layer.convolution.bias
        dilation, taps = layer.convolution.dilation[0], weight.shape[-1]
        context = dilation * (taps - 1)
        columns = []
        for now in range(context, features.shape[1]):
            heard = torch.stack([features[:, now - context + tap * dilation] for tap in range(taps)], dim=1)
            total = torch.einsum("oct,ct->o", weight, heard) + bias
            if knobs is not None:
                total = total + layer.condition.weight @ knobs
            half = len(total) // 2
            columns.append(total[:half].tanh() * total[half:].sigmoid())
        given = torch.stack(columns, dim=1)
        skips.append(given)
        if layer.residual is not None:
            mixed = layer.residual.weight[..., 0] @ given + layer.residual.bias[:, None]
            features = mixed + features[:, context:]
    size = skips[-1].shape[1]
    together = torch.cat([given[:, -size:] for given in skips])
    return (net.mix.weight[0, :, 0] @ together) + net.mix.bias


@pytest.mark.parametrize("num_knobs", [0, 2])
def test_equals_the_equations(num_knobs):
    torch.manual_seed(num_knobs)
    net = WaveNet(num_knobs, channels=3, stacks=2, layers=3).double()
    waveform = torch.randn(2, 1, net.receptive_field + 5, dtype=torch.float64)
    knobs = torch.rand(2, num_knobs, dtype=torch.float64) - 0.5 if num_knobs else None
    found = net(waveform, knobs)
    assert found.shape == (2, 1, 6)
    for row in range(2):
        expected = reference(net, waveform[row, 0], None if knobs is None else knobs[row])
        torch.testing.assert_close(found[row, 0], expected, rtol=0, atol=1e-12)


def test_receptive_field_and_causality():
    net = WaveNet(channels=2, stacks=2, layers=3)
    assert net.receptive_field == 2 * 2 * (1 + 2 + 4) + 1
    waveform = torch.randn(1, 1, 2 * net.receptive_field, requires_grad=True)
    output = net(waveform)
    (gradient,) = torch.autograd.grad(output[0, 0, 4], waveform)
    heard = gradient[0, 0].nonzero().flatten()
    assert heard.min() == 4
    assert heard.max() == 4 + net.receptive_field - 1


def test_every_parameter_is_trained():
    net = WaveNet(1, channels=2, stacks=1, layers=2)
    net(torch.randn(2, 1, 20), torch.rand(2, 1)).square().sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())


def test_parameters_of_the_default():
    layer = 8 * 16 * 3 + 16 + 8 * 8 + 8
    expected = 16 + 18 * layer - (8 * 8 + 8) + 18 * 8 + 1
    assert sum(weight.numel() for weight in WaveNet().parameters()) == expected
