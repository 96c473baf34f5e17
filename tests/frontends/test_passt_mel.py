import pytest
import torch
from torchaudio.compliance import kaldi

from lightning_modules.frontends import PaSSTMel


def frame_by_frame(clip, frame):
    """A frame (mel,) of a clip at 32 kHz, in float64."""
    emphasised = clip[1:] - 0.97 * clip[:-1]
    mirrored = torch.cat([emphasised[1:513].flip(0), emphasised, emphasised[-513:-1].flip(0)])
    place = torch.arange(800, dtype=torch.double)
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * place / 799)
    centre = 512 + 320 * frame
    spectrum = torch.fft.rfft(mirrored[centre - 400 : centre + 400] * window, 1024).abs().square()
    filters, _ = kaldi.get_mel_banks(128, 1024, 32000, 0.0, 15000.0, 100.0, -500.0, 1.0)
    return ((filters.double() @ spectrum[:512] + 1e-5).log() + 4.5) / 5


def test_against_its_formula():
    torch.manual_seed(0)
    clip = 0.1 * torch.randn(32_000)
    features = PaSSTMel().eval()(clip[None, None])
    assert features.shape == (1, 128, 100)
    for frame in (0, 1, 50, 99):
        torch.testing.assert_close(
            features[0, :, frame].double(), frame_by_frame(clip.double(), frame), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(("samples", "frames"), [(320_000, 1000), (320_001, 1001), (160_000, 500)])
def test_frames(samples, frames):
    front_end = PaSSTMel()
    assert front_end(torch.randn(1, 1, samples)).shape == (1, 128, frames)
    assert front_end.num_frames(torch.tensor([samples])).tolist() == [frames]


def test_masks_are_zero_before_the_last_step_and_in_training_alone():
    front_end, waveform = PaSSTMel(), torch.randn(8, 1, 32_000)
    assert (front_end.train()(waveform) == 0.9).any()
    assert not (front_end.eval()(waveform) == 0.9).any()


def test_unfit_clips_are_refused():
    with pytest.raises(ValueError, match=r"expected \(batch, 1, time\)"):
        PaSSTMel()(torch.zeros(1, 2, 32_000))
    with pytest.raises(ValueError, match="clip of 500 samples"):
        PaSSTMel()(torch.zeros(1, 1, 500))
