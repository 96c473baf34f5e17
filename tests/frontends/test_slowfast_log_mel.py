import numpy as np
import pytest
import torch

from lightning_modules.frontends import SlowFastLogMel


def expected(clip: np.ndarray, rate: int, win_length: int, hop_length: int) -> np.ndarray:
    """Silent edges, Hann window in the middle of the transform, magnitude, HTK triangles of height 1; float64."""
    padded = np.pad(clip, 1024)
    window = np.zeros(2048)
    first = (2048 - win_length) // 2
    window[first : first + win_length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    frames = [padded[begin : begin + 2048] * window for begin in range(0, len(clip) + 1, hop_length)]
    magnitude = np.abs(np.fft.rfft(frames, axis=1)).T
    mel = np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), 130)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hz = np.arange(1025) * rate / 2048
    rising = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    return np.log(np.maximum(0, np.minimum(rising, falling)) @ magnitude + 1e-6)


@pytest.mark.parametrize(
    ("rate", "settings"), [(16000, (320, 160)), (24000, (240, 120))], ids=["VGGSound", "EPIC-KITCHENS"]
)
def test_magnitude_in_mel_bands_against_a_direct_transform(rate, settings):
    win_length, hop_length = settings
    clip = 0.1 * np.random.default_rng(0).standard_normal(5000)
    frontend = SlowFastLogMel(rate, win_length=win_length, hop_length=hop_length).eval()
    features = frontend(torch.from_numpy(clip).float()[None, None])
    np.testing.assert_allclose(features[0].numpy(), expected(clip, rate, win_length, hop_length), atol=1e-3)


@pytest.mark.parametrize(
    ("rate", "settings", "seconds", "frames"),
    [(16000, (320, 160), 5.119, 512), (24000, (240, 120), 1.999, 400)],
)
def test_published_crops_have_the_published_frames(rate, settings, seconds, frames):
    frontend = SlowFastLogMel(rate, win_length=settings[0], hop_length=settings[1])
    assert frontend(torch.zeros(1, 1, round(seconds * rate))).shape == (1, 128, frames)


@pytest.mark.parametrize("padding", [0.0, 0.7])
def test_short_clips_repeat_their_last_frame_however_they_were_padded(padding):
    clips = 0.1 * torch.randn(2, 1, 4000)
    frontend = SlowFastLogMel().eval()
    whole, alone = frontend(clips[:1]), frontend(clips[1:, :, :1500])
    clips[1, :, 1500:] = padding
    features = frontend(clips, torch.tensor([4000, 1500]))
    torch.testing.assert_close(features[:1], whole)
    assert alone.shape[2] == 10
    torch.testing.assert_close(features[1:, :, :10], alone)
    torch.testing.assert_close(features[1:, :, 10:], alone[..., -1:].expand(-1, -1, 16))


def test_training_masks_by_the_mean():
    torch.manual_seed(0)
    frontend, clips = SlowFastLogMel(), 0.1 * torch.randn(4, 1, 8000)
    masked, plain = frontend(clips), frontend.eval()(clips)
    changed = (masked - plain).abs() > 1e-4
    assert 0 < changed.float().mean() < 0.9
    mean = plain.mean(dim=(1, 2), keepdim=True).expand_as(plain)
    torch.testing.assert_close(masked[changed], mean[changed])
    unmasked = SlowFastLogMel(band_width=0, span_width=0)(clips)
    torch.testing.assert_close(unmasked, plain)


def test_half_precision_regions_stay_in_float32():
    frontend, waveform = SlowFastLogMel().eval(), 0.1 * torch.randn(2, 1, 2000)
    with torch.autocast("cpu", torch.bfloat16):
        features = frontend(waveform, torch.tensor([2000, 900]))
    assert features.dtype == torch.float32
    assert torch.equal(features, frontend(waveform, torch.tensor([2000, 900])))


def test_unfit_clips_are_refused():
    with pytest.raises(ValueError, match="clip of 300 samples: expected at least one window of 320"):
        SlowFastLogMel()(torch.zeros(2, 1, 300))
    with pytest.raises(ValueError, match=r"\(2, 600\): expected \(batch, 1, time\)"):
        SlowFastLogMel()(torch.zeros(2, 600))
    assert not SlowFastLogMel().state_dict()
