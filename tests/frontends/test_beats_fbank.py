import pytest
import torch
from torchaudio.compliance import kaldi

from lightning_modules.frontends import BEATsFbank


@pytest.mark.parametrize(("samples", "frames"), [(160_000, 998), (192_000, 1198), (400, 1), (16_001, 98)])
def test_equals_kaldi_of_16_bit_integers(samples, frames):
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(2, 1, samples)
    features = BEATsFbank()(waveform)
    assert features.shape == (2, 128, frames)
    for clip, found in zip(waveform, features, strict=True):
        expected = kaldi.fbank(clip * 32768, num_mel_bins=128, sample_frequency=16000)
        torch.testing.assert_close(found, (expected.T - 15.41663) / 13.11164, atol=1e-5, rtol=0)


def test_frames_of_a_clip_are_the_same_beside_a_longer_one():
    waveform, length = 0.1 * torch.randn(2, 1, 16_000), torch.tensor([7_000, 16_000])
    front_end = BEATsFbank()
    own = front_end.num_frames(length).tolist()
    assert own == [42, 98]
    alone = front_end(waveform[:1, :, :7_000])
    torch.testing.assert_close(front_end(waveform, length)[:1, :, :42], alone, atol=1e-5, rtol=0)
    assert front_end(waveform[..., :100]).shape == (2, 128, 1)


def test_masks_have_the_mean_of_the_corpus_in_training_alone():
    front_end, waveform = BEATsFbank(band_width=40, span_width=40), 0.1 * torch.randn(8, 1, 16_000)
    assert (front_end.train()(waveform) == 0).any()
    assert not (front_end.eval()(waveform) == 0).any()


def test_several_channels_are_refused():
    with pytest.raises(ValueError, match=r"expected \(batch, 1, time\); set data.mono: true"):
        BEATsFbank()(torch.zeros(1, 2, 16_000))
