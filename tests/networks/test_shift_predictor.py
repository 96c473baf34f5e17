"""The shift by parts of a sample, and the network that finds a hit."""

import math

import pytest
import torch

from lightning_modules.networks import ShiftPredictor
from lightning_modules.networks.shift_predictor import shift


def test_whole_samples_move_exactly_and_what_leaves_does_not_come_back():
    x = torch.randn(2, 3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = shift(x, torch.tensor([4.0, -7.0], dtype=torch.float64))
    expected = torch.zeros_like(x)
    expected[0, :, 4:] = x[0, :, :-4]
    expected[1, :, :-7] = x[1, :, 7:]
    assert torch.allclose(moved, expected, atol=1e-12)


def test_parts_of_a_sample_move_a_band_limited_signal_exactly():
    time = torch.arange(400, dtype=torch.float64)

    def burst(centre):
        return torch.exp(-(((time - centre) / 12) ** 2)) * torch.cos(0.9 * (time - centre))

    moved = shift(burst(200.0)[None, None], torch.tensor([-3.37], dtype=torch.float64))
    assert torch.allclose(moved[0, 0], burst(196.63), atol=1e-9)


def test_gradient_of_a_shift_is_minus_the_slope():
    x = torch.randn(1, 1, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    by = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(shift, (x, by))


def test_it_moves_by_minus_the_onset_it_finds_whatever_the_level():
    torch.manual_seed(0)
    network = ShiftPredictor(num_channels=8, dilations=(1, 2))
    x = torch.randn(3, 1, network.window)
    onset = network.onset(x)
    assert onset.shape == (3,)
    assert (onset.abs() <= network.max_shift).all()
    assert torch.allclose(network(x), shift(x, -onset))
    assert torch.allclose(network.onset(x * 1e-3), onset, atol=1e-2)


def test_it_learns_to_find_a_click():
    torch.manual_seed(0)
    network = ShiftPredictor(num_channels=16, dilations=(1, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    decay = torch.exp(-torch.arange(400) / 80)
    for _ in range(60):
        late = torch.randint(-480, 481, (16,))
        x = 0.001 * torch.randn(16, 1, network.window)
        for row, place in enumerate((network.window // 2 + late).tolist()):
            x[row, 0, place : place + 400] += decay
        error = (network.onset(x) - late).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error < 16  # samples, 2 ms; of 240 at the start


@pytest.mark.parametrize("settings", [{"sample_rate": 11025}, {"max_shift_s": 0.3}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match="multiple of 4000 Hz"):
        ShiftPredictor(**settings)


def test_silence_has_a_finite_place():
    assert all(
        math.isfinite(value)
        for value in ShiftPredictor(num_channels=4).onset(torch.zeros(2, 1, 4096)).tolist()
    )
