import math

import pytest
import torch

from lightning_modules.frontends import LFCC


def _cepstrum(waveform, *, frame, n_fft, num_bins, high_hz):
    """Energy and 20 coefficients of one frame in float64, straight from the definitions."""
    emphasised = waveform.clone()
    emphasised[1:] -= 0.97 * waveform[:-1]
    padded = torch.nn.functional.pad(emphasised, (n_fft // 2, n_fft // 2))
    start = frame * 160 + (n_fft - 320) // 2
    time = torch.arange(320, dtype=torch.float64)
    segment = padded[start : start + 320] * (0.54 - 0.46 * torch.cos(2 * math.pi * time / 320))
    power = torch.fft.rfft(segment, n_fft).abs().square()[:num_bins]
    band = high_hz / 21
    log_bands = []
    for i in range(1, 21):
        hz = torch.arange(num_bins, dtype=torch.float64) * high_hz / (num_bins - 1)
        triangle = (1 - (hz / band - i).abs()).clamp(min=0)
        log_bands.append(math.log10(float(triangle @ power) + 2**-23))
    cepstrum = [math.log10(float(power.sum()) / n_fft + 2**-23)]
    for k in range(1, 20):
        terms = [log_bands[n] * math.cos(math.pi * k * (2 * n + 1) / 40) for n in range(20)]
        cepstrum.append(math.sqrt(2 / 20) * sum(terms))
    return torch.tensor(cepstrum, dtype=torch.float64)


@pytest.mark.parametrize(
    ("options", "n_fft", "num_bins", "high_hz"),
    [({}, 512, 257, 8000), ({"n_fft": 1024, "max_frequency": 4000}, 1024, 256, 4000)],
)
def test_cepstra_against_the_definitions(options, n_fft, num_bins, high_hz):
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(2, 3000, dtype=torch.float64)
    features = LFCC(**options)(waveform.float())
    assert features.shape == (2, 60, 19)
    for frame in (0, 7, 18):
        expected = _cepstrum(waveform[1], frame=frame, n_fft=n_fft, num_bins=num_bins, high_hz=high_hz)
        torch.testing.assert_close(features[1, :20, frame].double(), expected, atol=2e-4, rtol=0)


def test_deltas_are_neighbour_differences():
    static, delta, delta_delta = LFCC()(torch.randn(4000)).chunk(3)
    torch.testing.assert_close(delta[:, 5], static[:, 6] - static[:, 4])
    torch.testing.assert_close(delta_delta[:, 0], delta[:, 1] - delta[:, 0])


def test_half_precision_regions_stay_in_float32():
    frontend, waveform = LFCC(), torch.randn(2, 1, 4000)
    with torch.autocast("cpu", torch.bfloat16):
        features = frontend(waveform)
    assert features.shape == (2, 1, 60, 26)
    assert torch.equal(features, frontend(waveform))


def test_silence_is_finite():
    assert LFCC()(torch.zeros(2, 4000)).isfinite().all()


def test_short_clip_is_refused():
    with pytest.raises(ValueError, match=r"clip of 100 samples: expected at least one window of 320"):
        LFCC()(torch.zeros(2, 100))


def test_constants_stay_out_of_checkpoints():
    assert not LFCC().state_dict()
