import pytest
import torch
from torchaudio.compliance import kaldi
from torchaudio.transforms import FrequencyMasking

from lightning_modules.frontends.ast_fbank import ASTFbank

MEAN, STD = -4.2677393, 4.5689974


def official(clip, *, sample_rate=16000, num_frames=1024, frame_shift=10.0):
    """AST's loader for one clip (time,) in evaluation, by its rules: (mel, frame)."""
    clip = clip - clip.mean()
    features = kaldi.fbank(
        clip[None], htk_compat=True, sample_frequency=sample_rate, use_energy=False, window_type="hanning",
        num_mel_bins=128, dither=0.0, frame_shift=frame_shift,
    )  # fmt: skip
    padded = torch.zeros(num_frames, 128)
    padded[: len(features)] = features[:num_frames]
    return (padded.T - MEAN) / (2 * STD)


def padded_batch(*lengths, offset=0.0):
    """Noise, of which what is behind each clip's length is no silence."""
    torch.manual_seed(0)
    return 0.1 * torch.randn(len(lengths), 1, max(lengths)) + offset, torch.tensor(lengths)


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_equals_the_official_loader_of_every_clip(offset):
    waveform, length = padded_batch(400, 559, 560, 31_999, 32_000, 8_123, offset=offset)
    features = ASTFbank(num_frames=150).eval()(waveform, length)
    for clip, samples, found in zip(waveform[:, 0], length, features, strict=True):
        torch.testing.assert_close(found, official(clip[:samples], num_frames=150), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("sample_rate", "frame_shift", "samples", "frames"),
    [(16000, 10.0, 160_000, 998), (43000, 9.768, 430_080, 1022), (43000, 10.0, 430_000, 998)],
)
def test_ten_seconds_at_the_rates_of_the_papers(sample_rate, frame_shift, samples, frames):
    waveform = 0.1 * torch.randn(1, 1, samples)
    features = ASTFbank(sample_rate, frame_shift=frame_shift).eval()(waveform)
    expected = official(waveform[0, 0], sample_rate=sample_rate, frame_shift=frame_shift)
    torch.testing.assert_close(features[0], expected, atol=1e-4, rtol=0)
    silence = -MEAN / (2 * STD)
    assert silence == pytest.approx(0.467, abs=1e-3)
    is_padding = (features[0] == torch.tensor(silence)).all(0)
    assert (~is_padding).sum() == frames
    assert is_padding[frames:].all()


def test_long_clips_are_cut_and_whole_ones_keep_their_frames():
    waveform, length = padded_batch(16_000, 16_000)
    front_end = ASTFbank(num_frames=None).eval()
    features = front_end(waveform)
    assert features.shape == (2, 128, 98)
    torch.testing.assert_close(front_end(waveform, length), features)
    torch.testing.assert_close(ASTFbank(num_frames=50).eval()(waveform, length), features[..., :50])


def test_repeated_frames_are_the_clips_own():
    waveform, length = padded_batch(720, 1_360)  # 3 and 7 frames
    front_end = ASTFbank(num_frames=10, pad="repeat").eval()
    features = front_end(waveform, length)
    alone = [
        official(clip[:samples], num_frames=10) for clip, samples in zip(waveform[:, 0], length, strict=True)
    ]
    torch.testing.assert_close(features[0], alone[0][:, [0, 1, 2] * 3 + [0]], atol=1e-4, rtol=0)
    torch.testing.assert_close(features[1], alone[1][:, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]], atol=1e-4, rtol=0)
    torch.testing.assert_close(front_end(waveform)[1], features[1])
    first = ASTFbank(num_frames=5, pad="repeat").eval()(waveform, length)[1]
    torch.testing.assert_close(first, features[1, :, :5])


@pytest.mark.parametrize("pad", ["zero", "repeat"])
def test_a_clip_shorter_than_a_window_ends_in_silence(pad):
    waveform, length = padded_batch(100, 4_000)
    features = ASTFbank(num_frames=8, pad=pad).eval()(waveform, length)
    alone = ASTFbank(num_frames=8, pad=pad).eval()(waveform[:1, :, :100])
    torch.testing.assert_close(features[:1], alone, atol=1e-4, rtol=0)
    assert features.isfinite().all()


def test_masks_in_training_only_and_before_the_normalisation():
    waveform = 0.1 * torch.randn(64, 1, 16_000)
    front_end = ASTFbank(num_frames=128, band_width=48, span_width=40)
    plain = front_end.eval()(waveform)
    masked = front_end.train()(waveform)
    changed = masked != plain
    torch.testing.assert_close(masked[changed], torch.full_like(masked[changed], -MEAN / (2 * STD)))
    bands = changed[..., :98].all(2).sum(1)
    assert 0 < bands.max() < 48
    assert changed.all(1).sum(1).max() < 40
    unmasked = ASTFbank(num_frames=128, band_width=0, span_width=0).train()(waveform)
    torch.testing.assert_close(unmasked, plain)


def test_widths_follow_the_law_of_torchaudio():
    torch.manual_seed(0)
    ours = ASTFbank(band_width=12, span_width=0).spec_augment(torch.ones(20_000, 128, 2))
    theirs = torch.stack([FrequencyMasking(12)(torch.ones(1, 128, 1))[0] for _ in range(5_000)])
    counts = [(values[..., 0] == 0).sum(1).bincount(minlength=13) for values in (ours, theirs)]
    first, second = (count.cumsum(0) / count.sum() for count in counts)
    assert (first - second).abs().max() < 1.95 * (1 / 20_000 + 1 / 5_000) ** 0.5  # Kolmogorov-Smirnov, 0.1 %
    assert counts[0][12] == 0


def test_features_stay_float32_under_autocast():
    waveform, length = padded_batch(8_000, 6_000)
    front_end = ASTFbank(num_frames=64).eval()
    with torch.autocast("cpu", torch.bfloat16):
        features = front_end(waveform, length)
    assert torch.equal(features, front_end(waveform, length))


def test_user_errors_are_one_line():
    with pytest.raises(ValueError, match=r"shape \(2, 2, 8000\): expected \(batch, 1, time\); set data.mono"):
        ASTFbank()(torch.zeros(2, 2, 8000))
    with pytest.raises(ValueError, match=r"pad 'mirror': expected one of zero, repeat"):
        ASTFbank(pad="mirror")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"std=0.0 and num_frames=1024 must be positive"):
        ASTFbank(std=0.0)
    assert not ASTFbank().state_dict()


def test_frames_of_the_batch_fill_the_last_patch():
    waveform, length = padded_batch(16_000, 8_000)  # 98 and 48 frames
    front_end = ASTFbank(num_frames=None, multiple=16, band_width=0, span_width=0)
    features = front_end(waveform, length)
    assert features.shape == (2, 128, 112)
    assert front_end.num_frames(length).tolist() == [112, 48]
    torch.testing.assert_close(features[0], official(waveform[0, 0], num_frames=112), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        features[1], official(waveform[1, 0, :8000], num_frames=112), atol=1e-4, rtol=0
    )
    assert ASTFbank().num_frames(length).tolist() == [1024, 1024]
