import numpy as np
import pytest
import torch
from scipy.signal import oaconvolve

from lightning_modules.frontends.fir import convolve


@pytest.mark.parametrize("time", [1, 57, 2048, 5000])
@pytest.mark.parametrize("taps", [1, 2, 33, 201])
def test_equals_full_convolution_with_the_delay_removed(time, taps):
    waveform, filters = torch.randn(3, time).double(), torch.randn(3, taps).double()
    full = oaconvolve(waveform.numpy(), filters.numpy(), axes=-1)
    start = (taps - 1) // 2
    np.testing.assert_allclose(convolve(waveform, filters).numpy(), full[:, start : start + time], atol=1e-12)


def test_filters_broadcast_over_channels():
    waveform, filters = torch.randn(2, 3, 400), torch.randn(2, 9)
    together = convolve(waveform, filters.unsqueeze(1))
    for channel in range(3):
        torch.testing.assert_close(together[:, channel], convolve(waveform[:, channel], filters))


def test_half_precision_is_filtered_in_float32():
    waveform, filters = torch.randn(2, 300).bfloat16(), torch.randn(2, 9)
    result = convolve(waveform, filters)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, convolve(waveform.float(), filters))


def test_gradients():
    waveform = torch.randn(2, 40, dtype=torch.double, requires_grad=True)
    filters = torch.randn(2, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(convolve, (waveform, filters))
