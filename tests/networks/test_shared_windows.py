"""Windows that overlap: their first layers, computed once, are those of each window alone."""

from typing import Any

import pytest
import torch
from test_inference import randomised

from lightning_modules.networks import RFRResNet
from lightning_modules.networks.shared_windows import SharedWindows


@pytest.mark.parametrize("size", [41, 42, 43, 44, 64])
@pytest.mark.parametrize("field", ["very_small", "normal", "a_bit_larger"])
@torch.inference_mode()
def test_windows_are_those_alone(size, field):
    network: Any = randomised(RFRResNet(channels=8, receptive_field=field))
    generator = torch.Generator().manual_seed(size)
    spectrogram = torch.randn(2, 36, 90, dtype=torch.float64, generator=generator)
    clip, first = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0, 90 - size, 7, 18, 13])
    shared = SharedWindows(network.first_layers, spectrogram, first, size)
    found = shared.outputs(clip, first).logits
    alone = network(spectrogram.unfold(-1, size, 1)[clip, :, first]).logits
    assert alone.std() > 0
    torch.testing.assert_close(found, alone, rtol=1e-10, atol=1e-10)


def test_few_or_narrow_windows_are_computed_alone():
    layers, spectrogram = RFRResNet(channels=8).first_layers, torch.zeros(1, 36, 400)
    dense, sparse = torch.arange(145), torch.arange(0, 145, 64)
    assert SharedWindows.pays(layers, spectrogram, dense, 256)
    assert not SharedWindows.pays(layers, spectrogram, sparse, 256)
    assert not SharedWindows.pays(layers, spectrogram, dense, 23)
