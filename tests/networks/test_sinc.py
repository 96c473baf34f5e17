"""The filters that AASIST hears through: those of the published code, and those of earlier versions here."""

import math

import numpy as np
import pytest
import torch

from lightning_modules.networks.sinc import former_sinc_filters, sinc_filters

BANKS = pytest.mark.parametrize("make", [sinc_filters, former_sinc_filters])


@BANKS
def test_published_taps(make):
    filters = make()
    assert filters.shape == (70, 129)
    centres = filters[[0, 35, 69], 64]
    torch.testing.assert_close(centres, torch.tensor([0.0032073839, 0.0113073690, 0.0384536497]))
    assert filters.abs().sum().item() == pytest.approx(38.7373319, rel=1e-5)
    torch.testing.assert_close(filters, filters.flip(1))


@BANKS
def test_filters_peak_in_their_bands(make):
    resolution_hz = 16000 / 129
    peak_hz = torch.fft.rfft(make(), 16000).abs().argmax(dim=1)  # a bin a hertz
    mel = torch.linspace(0, 2595 * math.log10(1 + 8000 / 700), 71)
    edge_hz = 700 * (10 ** (mel / 2595) - 1)
    assert (peak_hz >= edge_hz[:-1] - resolution_hz).all()
    assert (peak_hz <= edge_hz[1:] + resolution_hz).all()


def test_angles_are_rounded_as_published():
    """The published operations of one band: torch rounds the angles to float32, NumPy the rest as it likes."""
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 71)
    edge = (700 * (10 ** (mel / 2595) - 1))[69:]
    tap = torch.arange(-64.0, 65.0)
    low, high = ((2 * hz / 16000) * np.sinc((2 * hz * tap / 16000).numpy()) for hz in edge)
    expected = torch.Tensor(np.hamming(129)) * torch.Tensor(high - low)
    assert torch.equal(sinc_filters()[69], expected)


@BANKS
def test_even_length_is_refused(make):
    with pytest.raises(ValueError, match="filter length 128: expected an odd number of taps"):
        make(70, 128)
