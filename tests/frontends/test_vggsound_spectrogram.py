import numpy as np
import pytest
import torch
from scipy import signal

from lightning_modules.frontends import VGGSoundSpectrogram


def expected(clip: np.ndarray) -> np.ndarray:
    """What the published loader says, in float64."""
    _, _, density = signal.spectrogram(np.clip(clip, -1, 1), 16000, nperseg=512, noverlap=353)
    log_density = np.log(density + 1e-7)
    return (log_density - log_density.mean()) / (log_density.std() + 1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-5), (torch.float, 1e-3)])
def test_every_clip_is_what_scipy_computes(dtype, tolerance):
    rng = np.random.default_rng(0)
    clips = 0.4 * rng.standard_normal((3, 16000)) * np.array([[1], [1e-3], [3]]) + 0.1
    features = VGGSoundSpectrogram().to(dtype)(torch.from_numpy(clips).to(dtype)[:, None])
    assert features.shape == (3, 257, 98)
    for ours, clip in zip(features, clips, strict=True):
        np.testing.assert_allclose(ours.numpy(), expected(clip), atol=tolerance)


@pytest.mark.parametrize("padding", [0.0, 0.7])
def test_short_clips_are_repeated_however_they_were_padded(padding):
    clips = 0.1 * torch.randn(2, 1, 4000, dtype=torch.double)
    padded = clips.clone()
    padded[1, :, 1500:] = padding
    features = VGGSoundSpectrogram().double()(padded, torch.tensor([4000, 1500]))
    repeated = np.tile(clips[1, 0, :1500].numpy(), 10)[:4000]
    np.testing.assert_allclose(features[0].numpy(), expected(clips[0, 0].numpy()), atol=1e-5)
    np.testing.assert_allclose(features[1].numpy(), expected(repeated), atol=1e-5)


def test_ten_seconds_and_silence():
    features = VGGSoundSpectrogram()(torch.zeros(1, 1, 160000))
    assert features.shape == (1, 257, 1004)
    assert features.isfinite().all()


def test_half_precision_regions_stay_in_float32():
    frontend, waveform = VGGSoundSpectrogram(), 0.1 * torch.randn(2, 1, 2000)
    with torch.autocast("cpu", torch.bfloat16):
        features = frontend(waveform)
    assert features.dtype == torch.float32
    assert torch.equal(features, frontend(waveform))


def test_unfit_clips_are_refused():
    with pytest.raises(ValueError, match="clip of 500 samples: expected at least one window of 512"):
        VGGSoundSpectrogram()(torch.zeros(2, 1, 500))
    with pytest.raises(ValueError, match=r"\(2, 2, 600\): expected \(batch, 1, time\); set data.mono: true"):
        VGGSoundSpectrogram()(torch.zeros(2, 2, 600))
    assert not VGGSoundSpectrogram().state_dict()
