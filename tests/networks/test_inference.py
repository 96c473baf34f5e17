"""Simplified networks: the same outputs, with norms in convolutions and weights that are shared."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightning_modules.networks import AASIST, LCNN, PanottiCNN, RFRResNet
from lightning_modules.networks.elu import selu_
from lightning_modules.networks.inference import simplified
from lightning_modules.networks.pooling import MaxPool

NETWORKS = {  # with inputs, and how many norms of maps have no convolution before them
    "aasist": (lambda: AASIST(channels=(8, 8, 8, 8, 8, 8)), (3, 1, 9000), 6),
    "lcnn": (lambda: LCNN(48, 40), (3, 48, 40), 0),
    "resnet": (lambda: RFRResNet(channels=8), (3, 40, 44), 1),
    "tagger": (lambda: PanottiCNN(4, num_mels=32, num_frames=32), (3, 1, 32, 32), 1),
}


def randomised(network: nn.Module) -> nn.Module:
    """In float64, with norms that have seen something."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-0.5, 0.5, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
    for weight in network.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1, generator=generator)
    return network.double().eval()


def norms_of_maps(network: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in network.modules())


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_outputs_are_the_same(name):
    make, shape, kept = NETWORKS[name]
    network = randomised(make())
    with torch.inference_mode(False):
        simple = simplified(network)
    x = 0.1 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for found, expected in zip(simple(x), network(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert norms_of_maps(simple) == kept


def test_original_stays_as_it_is_and_shares_weights_and_hooks():
    network: Any = randomised(LCNN(48, 40))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    simple: Any = simplified(network)
    heard = []
    assert simple.classifier.weight is network.classifier.weight
    network.register_forward_hook(lambda module, inputs, output: heard.append(module))
    simple(torch.zeros(2, 48, 40, dtype=torch.float64))
    assert heard == [simple], "who listens to the network hears what is scored in its place"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_norms_that_turn_maxima_round_stay():
    falling = nn.BatchNorm2d(4)
    falling.weight.data[2] = -1
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), falling).eval()
    simple = simplified(network)
    assert isinstance(simple[1], MaxPool)
    assert isinstance(simple[2], nn.BatchNorm2d)
    x = torch.randn(2, 1, 9, 9)
    torch.testing.assert_close(simple(x), network(x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_selu_without_gradients_is_that_of_torch(layout, monkeypatch):
    monkeypatch.setattr("lightning_modules.networks.elu.rule_of_this_cpu", lambda: "avx512-1")
    x = (4 * torch.randn(3, 5, 70, 90)).contiguous(memory_format=layout)
    x[0, 0, 0, :4] = torch.tensor([0.0, -1e-9, -100.0, 1e9])
    torch.testing.assert_close(selu_(x.clone()), F.selu(x), rtol=1e-6, atol=1e-6)
