import math

import pytest
import torch

from lightning_modules.networks.sinc import sinc_filters


def test_published_taps():
    filters = sinc_filters()
    assert filters.shape == (70, 129)
    centres = filters[[0, 35, 69], 64]
    torch.testing.assert_close(centres, torch.tensor([0.0032073839, 0.0113073690, 0.0384536497]))
    assert filters.abs().sum().item() == pytest.approx(38.7373319, rel=1e-5)
    torch.testing.assert_close(filters, filters.flip(1))


def test_filters_peak_in_their_bands():
    resolution_hz = 16000 / 129
    peak_hz = torch.fft.rfft(sinc_filters(), 16000).abs().argmax(dim=1)  # a bin a hertz
    mel = torch.linspace(0, 2595 * math.log10(1 + 8000 / 700), 71)
    edge_hz = 700 * (10 ** (mel / 2595) - 1)
    assert (peak_hz >= edge_hz[:-1] - resolution_hz).all()
    assert (peak_hz <= edge_hz[1:] + resolution_hz).all()


def test_even_length_is_refused():
    with pytest.raises(ValueError, match="filter length 128: expected an odd number of taps"):
        sinc_filters(70, 128)
