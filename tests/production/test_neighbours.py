"""What is made of a recording does not depend on the others of its batch."""

import pytest
import torch

from datamodules.production.pairs.pairs import PairBatch
from lightning_modules.networks import TCN, LSTMDenoiser, SignalTrain, WaveNetDenoiser
from lightning_modules.networks.shift_predictor import ShiftPredictor
from lightning_modules.production import Denoiser, LearnedEffect, TimeAligner

KNOBS = 2
MODELS = {
    "signal_train": lambda: LearnedEffect(SignalTrain(KNOBS, scale=0.25, size=128, hop=48)),
    "tcn": lambda: LearnedEffect(TCN(KNOBS, blocks=3, growth=3, channels=4, causal=True, output="linear")),
    "wavenet": lambda: Denoiser(
        WaveNetDenoiser(channels=4, stacks=2, layers=3, head_channels=(6, 5), condition_dim=0),
        window=500,
        level=0.06,
    ),
    "lstm": lambda: Denoiser(LSTMDenoiser(frame_length=16, hidden_dim=8), window=256),
    "aligner": lambda: TimeAligner(ShiftPredictor()),
}


@pytest.mark.parametrize("name", MODELS)
def test_figures_of_a_pair_are_its_own(name):
    torch.manual_seed(0)
    model = MODELS[name]().double().eval()
    model.sample_rate = model.sample_rate or 8000
    size = model.network.window if name == "aligner" else 4001
    level = torch.tensor([1.0, 0.01, 0.3], dtype=torch.float64)[:, None, None]  # loud, soft
    waveform, target = (level * torch.randn(3, 1, size, dtype=torch.float64) for _ in range(2))
    knobs = torch.rand(3, KNOBS, dtype=torch.float64) - 0.5
    attributes = {"bpm": ["0"] * 3, "lines_s": ["0.1"] * 3}
    batch = PairBatch(waveform, target, knobs, torch.arange(3), ["a", "b", "c"], attributes)
    together = model.score(batch)
    for row in range(3):
        part = slice(row, row + 1)
        alone = PairBatch(
            waveform[part],
            target[part],
            knobs[part],
            torch.tensor([row]),
            batch.key[part],
            {name: values[part] for name, values in attributes.items()},
        )
        torch.testing.assert_close(model.score(alone)[0], together[row], rtol=1e-6, atol=1e-6, equal_nan=True)
