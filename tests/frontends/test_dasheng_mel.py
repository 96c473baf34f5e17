import pytest
import torch
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

from lightning_modules.frontends import DashengMel


def published(clip):
    """Of one clip (time,) by torchaudio's own transforms."""
    mel = MelSpectrogram(16000, n_fft=512, win_length=512, hop_length=160, f_min=0, f_max=8000, n_mels=64)
    return AmplitudeToDB(top_db=120)(mel(clip[None]))[0]


def test_equals_the_transforms_of_torchaudio_for_every_clip():
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(2, 1, 160_000)
    waveform[1] *= 1e-7  # 140 dB below the first, whose range would cut it
    features = DashengMel()(waveform)
    assert features.shape == (2, 64, 1001)
    for clip, found in zip(waveform[:, 0], features, strict=True):
        torch.testing.assert_close(found, published(clip), atol=1e-4, rtol=1e-5)
    assert DashengMel().num_frames(torch.tensor([160_000])).tolist() == [1001]


def test_several_channels_are_refused():
    with pytest.raises(ValueError, match=r"expected \(batch, 1, time\)"):
        DashengMel()(torch.zeros(1, 2, 16_000))
