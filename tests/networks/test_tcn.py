"""TCN: published sizes, one block against an independent computation, causality, alignment, gain output."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lightning_modules.networks.tcn import TCN


def network(*arguments, **settings) -> Any:
    torch.manual_seed(0)
    tcn = TCN(*arguments, **settings).double().eval()
    for module in tcn.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)  # pyright: ignore[reportOptionalMemberAccess]
    return tcn


@pytest.mark.parametrize(
    ("settings", "parameters", "receptive_field"),
    [
        ({}, 25_905, 4_445),
        ({"kernel_size": 13}, 50_737, 13_333),
        ({"blocks": 5}, 33_201, 44_445),
        ({"blocks": 10, "kernel_size": 15, "growth": 2, "causal": False}, 162_161, 14_323),
    ],
)
def test_published_sizes(settings, parameters, receptive_field):
    tcn = TCN(2, **settings)
    assert sum(p.numel() for p in tcn.parameters()) == parameters
    assert tcn.receptive_field == receptive_field


def test_one_block_is_what_the_paper_says():
    tcn = network(3, blocks=1, kernel_size=3, channels=4)
    waveform, knobs = torch.randn(2, 1, 20).double(), torch.rand(2, 3).double() - 0.5
    (block,) = tcn.blocks
    condition = knobs
    for layer in (0, 2, 4):
        linear = tcn.condition[layer]  # pyright: ignore[reportIndexIssue]
        condition = (condition @ linear.weight.T + linear.bias).clamp_min(0)
    scale, shift = (condition @ block.film.weight.T + block.film.bias).chunk(2, dim=1)
    filtered = torch.stack(
        [block.convolution.weight[:, 0] @ waveform[n, 0, t : t + 3] for n in range(2) for t in range(18)]
    ).reshape(2, 18, 4)
    normal = (filtered - block.norm.running_mean) / (block.norm.running_var + 1e-5).sqrt()
    hidden = F.prelu((normal * scale[:, None] + shift[:, None]).mT, block.activation.weight)
    hidden = hidden + block.residual.weight[:, 0] * waveform[:, :, 2:]
    expected = torch.tanh((tcn.mix.weight[0] * hidden).sum(dim=1, keepdim=True) + tcn.mix.bias)
    assert torch.allclose(tcn(waveform, knobs), expected, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_an_output_hears_its_receptive_field_and_nothing_else(causal):
    tcn = network(blocks=3, kernel_size=3, growth=3, channels=4, causal=causal)
    waveform = torch.randn(1, 1, 60).double().requires_grad_()
    output = tcn(waveform)
    assert output.shape[-1] == 60 - tcn.receptive_field + 1
    (gradient,) = torch.autograd.grad(output[0, 0, 5], waveform)
    (heard,) = gradient[0, 0].nonzero(as_tuple=True)
    assert (heard.min(), heard.max()) == (5, 5 + tcn.receptive_field - 1)
    # the sample that passes through the residuals is the one that the output belongs to
    impulse = torch.zeros(1, 1, 60).double()
    impulse[0, 0, 30] = 1
    for block in tcn.blocks:
        block.convolution.weight.data.zero_()
        block.norm.bias.data.zero_()
        block.norm.running_mean.zero_()
    change = (tcn(impulse) - tcn(0 * impulse))[0, 0].nonzero()
    assert change.tolist() == [[30 - (tcn.receptive_field - 1 - tcn.look_ahead)]]


def test_a_gain_begins_as_the_identity_and_multiplies_the_input():
    tcn = network(1, blocks=2, kernel_size=3, growth=2, channels=4, output="gain")
    waveform, knobs = torch.randn(1, 1, 40).double(), torch.zeros(1, 1).double()
    assert torch.equal(tcn(waveform, knobs), waveform[..., tcn.receptive_field - 1 :])
    tcn.mix.bias.data.fill_(-0.5)
    assert torch.allclose(tcn(waveform, knobs), waveform[..., tcn.receptive_field - 1 :] * 0.6065306597)


def test_knobs_matter_and_differ_within_a_batch():
    tcn = network(2, blocks=2, channels=4)
    waveform = torch.randn(1, 1, 60).double().repeat(2, 1, 1)
    output = tcn(waveform, torch.tensor([[-0.5, 0.0], [0.5, 0.0]]).double())
    assert not torch.allclose(output[0], output[1])


def test_an_unknown_output_is_refused():
    with pytest.raises(ValueError, match="output must be tanh, linear or gain, found 'dry'"):
        TCN(output="dry")  # pyright: ignore[reportArgumentType]
