"""Scores of windows that share their first layers are those of windows alone, and packages keep them."""

import pytest
import torch
from torch import nn

from lightning_modules.frontends import MelDecibel
from lightning_modules.networks import RFRResNet
from lightning_modules.networks.shared_windows import SharedWindows
from lightning_modules.package.eager import Eager
from lightning_modules.package.scorers.windows import WindowScorer


@pytest.mark.parametrize("seconds", [(3.0, 3.0), (3.0, 2.6)])
@torch.inference_mode()
def test_scores_are_those_of_windows_alone(seconds, monkeypatch):
    torch.manual_seed(0)
    network = RFRResNet(channels=8)
    for weight in network.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1)
    scorer = WindowScorer(network, MelDecibel(n_fft=512, hop_length=128, n_mels=36), window=100).eval()
    length = (torch.tensor(seconds) * 16000).long()
    clips = torch.randn(2, 1, int(length.max()))
    calls = []
    maps = SharedWindows.maps
    monkeypatch.setattr(SharedWindows, "maps", lambda *args: calls.append(1) or maps(*args))
    found = [scorer(clips, length), Eager(scorer)(clips, length)]
    assert calls, "so many windows share"
    monkeypatch.setattr(SharedWindows, "pays", lambda *_: False)
    alone = scorer(clips, length)
    assert alone.std() > 0
    for each in found:
        torch.testing.assert_close(each, alone, rtol=1e-5, atol=1e-5)
