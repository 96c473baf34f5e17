import pytest
import torch
from torch import nn

from lightning_modules.networks import Autoencoder


@pytest.mark.parametrize(
    ("network", "trainable", "with_statistics"),
    [
        (Autoencoder(), 234_392, 235_944),
        (Autoencoder.dcase2020(), 267_928, 269_992),
        (Autoencoder(200, (40, 40, 40)), 19_760, 20_000),
    ],
)
def test_parameters_are_the_published_ones(network, trainable, with_statistics):
    assert sum(parameter.numel() for parameter in network.parameters()) == trainable
    statistics = [buffer for name, buffer in network.named_buffers() if "running" in name]
    assert trainable + sum(buffer.numel() for buffer in statistics) == with_statistics


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_layers_written_out(training):
    network = Autoencoder(6, (4, 2, 5)).double().train(training)
    windows = torch.randn(3, 7, 6, dtype=torch.double)
    x = windows.reshape(21, 6)
    linear = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    for layer in linear[:-1]:
        x = x @ layer.weight.T + layer.bias
        mean, var = (x.mean(0), x.var(0, correction=0)) if training else (0, 1)
        x = ((x - mean) / (var + 1e-5) ** 0.5).clamp(min=0)
    expected = (x @ linear[-1].weight.T + linear[-1].bias).reshape(3, 7, 6)
    torch.testing.assert_close(network(windows), expected)


@pytest.mark.parametrize(
    ("network", "gain", "bias"), [(Autoencoder(), 2**0.5, 0.01), (Autoencoder.dcase2020(), 1, 0)]
)
def test_initialization(network, gain, bias):
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            bound = gain * (6 / (layer.in_features + layer.out_features)) ** 0.5
            assert 0.98 * bound < layer.weight.abs().max() <= bound
            assert (layer.bias == bias).all()


def test_official_batch_norm_is_that_of_keras():
    norms = [layer for layer in Autoencoder.dcase2020().layers if isinstance(layer, nn.BatchNorm1d)]
    assert len(norms) == 9
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_every_parameter_gets_a_gradient_in_half_precision():
    network = Autoencoder(20, (8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        reconstruction = network(torch.randn(16, 20))
    reconstruction.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match=r"windows \(3, 5, 639\): this Autoencoder expects \(..., 640\)"):
        Autoencoder()(torch.randn(3, 5, 639))
    with pytest.raises(ValueError, match=r"hidden_dims \(\): expected at least one hidden layer"):
        Autoencoder(10, ())
