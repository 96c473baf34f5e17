import pytest
import torch
from torchaudio.compliance import kaldi

from lightning_modules.frontends import Fbank


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_mel_bins": 128, "window_type": "hanning"},
        {"snip_edges": False, "window_type": "hamming", "low_freq": 50.0, "high_freq": -400.0},
        {"snip_edges": False, "frame_length": 10.0, "frame_shift": 15.0, "window_type": "rectangular"},
    ],
)
def test_equals_kaldi_of_every_clip(options, offset):
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(3, 8123) + offset
    options = {"num_mel_bins": 80, **options}
    expected = torch.stack([kaldi.fbank(clip[None], **options).T for clip in waveform])
    torch.testing.assert_close(Fbank(**options)(waveform), expected, atol=1e-5, rtol=0)


def test_other_sample_rates_and_leading_shapes():
    waveform = 0.1 * torch.randn(2, 1, 4000)
    expected = kaldi.fbank(waveform[1], sample_frequency=8000, num_mel_bins=40).T
    features = Fbank(8000, num_mel_bins=40)(waveform)
    assert features.shape == (2, 1, *expected.shape)
    torch.testing.assert_close(features[1, 0], expected, atol=1e-5, rtol=0)


def test_dither_only_in_training():
    frontend, waveform = Fbank(dither=0.01), torch.randn(4000)
    assert not torch.equal(frontend.train()(waveform), frontend(waveform))
    assert torch.equal(frontend.eval()(waveform), frontend(waveform))


def test_silence_is_finite_and_gradients_flow():
    waveform = torch.zeros(1, 4000, requires_grad=True)
    Fbank()(waveform + 0.1 * torch.randn(1, 4000)).sum().backward()
    assert Fbank()(torch.zeros(4000)).isfinite().all()
    assert waveform.grad is not None
    assert waveform.grad.abs().sum() > 0


def test_user_errors_are_one_line():
    with pytest.raises(ValueError, match=r"clip of 399 samples: expected at least one window of 400"):
        Fbank()(torch.zeros(399))
    with pytest.raises(ValueError, match=r"window_type 'kaiser': expected one of hanning, hamming"):
        Fbank(window_type="kaiser")


def test_constants_stay_out_of_checkpoints():
    assert not Fbank().state_dict()
