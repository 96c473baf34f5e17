"""Statistics of mel bands: of what lies within a clip alone, whatever stands beside it in a batch."""

import numpy as np
import pytest
import torch

from lightning_modules.baselines.statistics import LogMelStatistics, moments


def test_moments_are_those_of_the_frames_that_count():
    levels = torch.randn(2, 3, 7, dtype=torch.float64)
    counts = torch.tensor([[True] * 4 + [False] * 3, [False] + [True] * 6])
    found = moments(levels, counts)
    for row in range(2):
        kept = levels[row][:, counts[row]].numpy()
        np.testing.assert_allclose(found[row], np.r_[kept.mean(1), kept.std(1)], rtol=1e-12)


def test_windows_are_those_of_a_plain_transform():
    torch.manual_seed(0)
    sound = torch.randn(1, 1, 16000) * 0.1
    statistics = LogMelStatistics(16000)
    hops = torch.arange(0, 16001, 160)
    within = [hop for hop in hops.tolist() if hop >= 256 and hop + 256 <= 16000]
    frames = torch.stack([sound[0, 0, hop - 256 : hop + 256].double() for hop in within])
    power = torch.fft.rfft(frames * torch.hann_window(512, dtype=torch.float64)).abs().square()
    levels = (power @ statistics.log_mel.filters.double().T + statistics.log_mel.offset).log()
    wanted = torch.cat([levels.mean(0), levels.std(0, correction=0)])
    found = statistics(sound, torch.tensor([16000]))[0]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [3, 400, 512, 5000, 8000])
def test_a_clip_is_described_alike_alone_and_beside_a_longer_one(length):
    torch.manual_seed(1)
    short, long = torch.randn(1, 2, length), torch.randn(1, 2, 16000)
    statistics = LogMelStatistics(16000)
    padded = torch.nn.functional.pad(short, (0, 16000 - length))
    together = statistics(torch.cat([padded, long]), torch.tensor([length, 16000]))
    torch.testing.assert_close(together[:1], statistics(short, torch.tensor([length])), rtol=1e-6, atol=1e-6)
    assert together.isfinite().all()
