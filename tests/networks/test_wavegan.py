"""WaveGAN: published sizes, an independent rebuild in NumPy, phase shuffle."""

import numpy as np
import pytest
import torch

from lightning_modules.networks import WaveGAN
from lightning_modules.networks.wavegan import shuffle_phase, strides_of


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        network = WaveGAN()
    assert count(network.generator) == 19_065_345
    assert count(network.discriminator) == 17_427_969


@pytest.mark.parametrize("num_samples", [1024, 4096, 16384, 32768, 65536])
@pytest.mark.parametrize("upsample", ["zeros", "nearest"])
def test_shapes(num_samples, upsample):
    network = WaveGAN(num_samples, dim=2, upsample=upsample, batch_norm=True, post_filter=64)
    waveform = network(torch.rand(3, 100) * 2 - 1)
    assert waveform.shape == (3, 1, num_samples)
    assert network.discriminator(waveform).shape == (3,)


def same_padding(size, stride, kernel=25):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convolve(x, weight, bias, stride):
    """(in, time) by (out, in, kernel), padded as TensorFlow's ``same``."""
    x = np.pad(x, ((0, 0), same_padding(x.shape[1], stride)))
    places = range(0, x.shape[1] - weight.shape[2] + 1, stride)
    return (
        np.stack([np.einsum("it,oit->o", x[:, t : t + weight.shape[2]], weight) for t in places], axis=1)
        + bias[:, None]
    )


def transpose(x, weight, bias, stride):
    """The adjoint of `convolve`: every sample of (in, time) adds its kernel (in, out, kernel)."""
    size = x.shape[1] * stride
    left, right = same_padding(size, stride)
    y = np.zeros((weight.shape[1], left + size + right))
    for t in range(x.shape[1]):
        y[:, t * stride : t * stride + weight.shape[2]] += np.einsum("i,iok->ok", x[:, t], weight)
    return y[:, left : left + size] + bias[:, None]


def arrays(module):
    return [parameter.detach().numpy() for parameter in (module.weight, module.bias)]


@pytest.mark.parametrize("num_samples", [1024, 2048])
def test_both_networks_agree_with_a_rebuild(num_samples):
    torch.manual_seed(0)
    network = WaveGAN(num_samples, dim=2, latent_dim=5, phase_shuffle=0).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    z = torch.rand(1, 5, dtype=torch.float64) * 2 - 1
    weight, bias = arrays(network.generator.project)
    x = (weight @ z[0].numpy() + bias).reshape(16, -1).T
    strides = strides_of(num_samples)
    for layer, stride in zip(network.generator.layers, strides, strict=True):
        x = transpose(np.maximum(x, 0), *arrays(layer.convolution), stride)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    waveform = network(z)
    assert np.allclose(waveform[0].detach().numpy(), np.tanh(x), atol=1e-10)
    x = np.tanh(x)
    for layer, stride in zip(network.discriminator.layers, strides, strict=True):
        x = convolve(x, *arrays(layer), stride)  # pyright: ignore[reportCallIssue]
        x = np.where(x > 0, x, 0.2 * x)
    weight, bias = arrays(network.discriminator.score)
    assert np.allclose(network.discriminator(waveform).item(), weight @ x.T.reshape(-1) + bias, atol=1e-10)


def test_phase_shuffle_moves_by_up_to_n_and_reflects():
    x = torch.arange(10.0).expand(2, 3, 10)
    seen = set()
    torch.manual_seed(0)
    for _ in range(60):
        y = shuffle_phase(x, 2)
        assert y.shape == x.shape
        assert (y == y[:1, :1]).all()  # one draw a batch
        seen.add(tuple(y[0, 0].tolist()))
    line = list(range(10))
    assert seen == {
        tuple(line),
        (1, *line[:-1]),
        (2, 1, *line[:-2]),
        (*line[1:], 8),
        (*line[2:], 8, 7),
    }


@pytest.mark.parametrize("num_samples", [512, 16000, 0])
def test_other_lengths_are_refused(num_samples):
    with pytest.raises(ValueError, match=f"num_samples is {num_samples}"):
        WaveGAN(num_samples, dim=2)


def test_unknown_upsampling_is_refused():
    with pytest.raises(ValueError, match="'linear'"):
        WaveGAN(1024, dim=2, upsample="linear")
