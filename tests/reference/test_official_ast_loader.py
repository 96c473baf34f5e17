"""AST's features and mixed clips against the published loader (AST_REFERENCE: a clone of YuanGongND/ast)."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from torch.distributions import Beta

from lightning_modules.frontends import ASTFbank
from lightning_modules.objectives import Mixup

SETTINGS = {"num_mel_bins": 128, "target_length": 512, "freqm": 0, "timem": 0, "mixup": 0, "noise": False}
SETTINGS |= {"dataset": "x", "mode": "evaluation", "mean": -5.081, "std": 4.4849}
WEIGHT = 0.37


@pytest.fixture
def batch():
    torch.manual_seed(0)
    length = torch.tensor([80_000, 96_000, 32_159, 400])
    waveform = 0.1 * torch.randn(4, 1, 96_000) + 0.2
    return waveform * (torch.arange(96_000) < length.view(-1, 1, 1)), length


@pytest.fixture
def loader(batch, tmp_path, monkeypatch):
    """The published data set of the batch's clips as files."""
    folder = Path(os.environ.get("AST_REFERENCE", "")) / "src"
    if "AST_REFERENCE" not in os.environ or not (folder / "dataloader.py").is_file():
        pytest.skip("no published AST code: set AST_REFERENCE to a clone of YuanGongND/ast")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(
        torchaudio, "load", lambda path: (torch.tensor(soundfile.read(path)[0][None]).float(), 16000)
    )
    files = [str(tmp_path / f"{row}.wav") for row in range(4)]
    for path, clip, samples in zip(files, *batch, strict=True):
        soundfile.write(path, clip[0, :samples].numpy(), 16000, subtype="FLOAT")
    (tmp_path / "clips.json").write_text(
        json.dumps({"data": [{"wav": path, "labels": "m"} for path in files]})
    )
    (tmp_path / "labels.csv").write_text("index,mid,display_name\n0,m,name\n")
    import dataloader  # pyright: ignore[reportMissingImports]

    yield dataloader.AudiosetDataset(str(tmp_path / "clips.json"), SETTINGS, str(tmp_path / "labels.csv"))
    del sys.modules["dataloader"]


def front_end():
    return ASTFbank(num_frames=512, mean=SETTINGS["mean"], std=SETTINGS["std"]).eval()


def test_features_equal_the_published_loaders(loader, batch):
    for row, features in enumerate(front_end()(*batch)):
        torch.testing.assert_close(features.T, loader[row][0], atol=1e-5, rtol=0)


def test_mixed_clips_equal_the_published_loaders(loader, batch, monkeypatch):
    waveform, length = batch
    monkeypatch.setattr(np.random, "beta", lambda *_: WEIGHT)
    monkeypatch.setattr(Beta, "sample", lambda self: torch.full(self.concentration1.shape, WEIGHT))
    for pair in ([0, 1], [1, 2], [3, 0]):
        mixed, soft = Mixup(1.0)(waveform[pair], torch.tensor([0, 1]), num_classes=[2], length=length[pair])
        torch.testing.assert_close(soft, torch.tensor([[WEIGHT, 1 - WEIGHT], [1 - WEIGHT, WEIGHT]]))
        for row, features in enumerate(front_end()(mixed, length[pair])):
            first, second = pair if row == 0 else pair[::-1]
            files = (loader.data[each]["wav"] for each in (first, second))
            expected = (loader._wav2fbank(*files)[0] - SETTINGS["mean"]) / (2 * SETTINGS["std"])
            torch.testing.assert_close(features.T, expected, atol=1e-3, rtol=0)
