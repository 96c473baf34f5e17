import math

import pytest
import torch

from lightning_modules.frontends import LogMel


def test_power_in_mel_bands_against_a_direct_transform():
    """Frame by frame in float64: mirrored edges, periodic Hann window, DFT, HTK triangles, logarithm."""
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(2000, dtype=torch.float64)
    n_fft, hop, n_mels = 256, 100, 20
    mirrored = torch.cat([waveform[1:129].flip(0), waveform, waveform[-129:-1].flip(0)])
    time = torch.arange(n_fft, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * time / n_fft)
    edges = [700 * (10 ** (2840.0230467 * i / (n_mels + 1) / 2595) - 1) for i in range(n_mels + 2)]
    expected = torch.zeros(n_mels, 21, dtype=torch.float64)
    for frame in range(21):
        segment = mirrored[frame * hop : frame * hop + n_fft] * window
        for bin_ in range(129):
            phase = 2 * math.pi * bin_ / n_fft * time
            power = (segment @ phase.cos()) ** 2 + (segment @ phase.sin()) ** 2
            hz = bin_ * 16000 / n_fft
            for mel in range(n_mels):
                low, mid, high = edges[mel : mel + 3]
                expected[mel, frame] += power * max(
                    0.0, min((hz - low) / (mid - low), (high - hz) / (high - mid))
                )
    log_mel = LogMel(n_fft=n_fft, win_length=n_fft, hop_length=hop, n_mels=n_mels)(waveform.float())
    torch.testing.assert_close(log_mel.double(), (expected + 2**-23).log(), atol=1e-3, rtol=0)


def test_shapes_of_the_papers_input():
    assert LogMel(num_deltas=2)(torch.zeros(2, 1, 96000)).shape == (2, 1, 240, 751)


def test_deltas_are_neighbour_differences():
    features = LogMel(num_deltas=2)(torch.randn(4000))
    static, delta, delta_delta = features.chunk(3)
    torch.testing.assert_close(delta[:, 5], static[:, 6] - static[:, 4])
    torch.testing.assert_close(delta[:, 0], static[:, 1] - static[:, 0])
    torch.testing.assert_close(delta[:, -1], static[:, -1] - static[:, -2])
    torch.testing.assert_close(delta_delta[:, 7], delta[:, 8] - delta[:, 6])


def test_half_precision_regions_stay_in_float32():
    frontend, waveform = LogMel(), torch.randn(2, 4000)
    with torch.autocast("cpu", torch.bfloat16):
        features = frontend(waveform)
    assert features.dtype == torch.float32
    assert torch.equal(features, frontend(waveform))


def test_silence_is_finite_and_gradients_flow():
    waveform = torch.zeros(1, 4000, requires_grad=True)
    features = LogMel(num_deltas=1)(waveform + 1e-3 * torch.randn(1, 4000))
    features.sum().backward()
    assert LogMel()(torch.zeros(4000)).isfinite().all()
    assert waveform.grad is not None
    assert waveform.grad.abs().sum() > 0


def test_short_clip_is_refused():
    with pytest.raises(ValueError, match=r"clip of 500 samples: expected at least one window of 512"):
        LogMel()(torch.zeros(3, 500))


def test_constants_stay_out_of_checkpoints():
    assert not LogMel().state_dict()
