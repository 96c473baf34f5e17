import pytest
import torch

from lightning_modules.frontends.spec_augment import SpecAugment


@pytest.mark.parametrize("shape", [(64, 80, 200), (64, 3, 80, 200)])
def test_one_band_and_one_span_a_sample_become_zero(shape):
    torch.manual_seed(0)
    masked = SpecAugment()(torch.ones(shape))
    assert masked.shape == shape
    if len(shape) == 4:
        assert (masked == masked[:, :1]).all()
        masked = masked[:, 0]
    zero = masked == 0
    rows, frames = zero.all(2), zero.all(1)
    torch.testing.assert_close(zero, rows.unsqueeze(2) | frames.unsqueeze(1))
    for lines, width in ((rows, 27), (frames, 100)):
        count = lines.sum(1)
        assert count.max() <= width
        assert count.float().mean().sub(width / 2).abs() < width / 4
        assert len(count.unique()) > 10  # every sample draws its own
        assert (lines.int().diff(dim=1).abs().sum(1) <= 2).all()  # contiguous


def test_counts_and_widths():
    torch.manual_seed(0)
    assert (SpecAugment(0, span_width=0)(torch.ones(2, 10, 20)) == 1).all()
    bands = SpecAugment(3, span_width=0, num_bands=4)(torch.ones(64, 80, 5))[..., 0] == 0
    assert 3 < bands.sum(1).max() <= 12


def test_masks_wider_than_the_features_fit():
    assert SpecAugment(27, span_width=100)(torch.ones(8, 10, 30)).isfinite().all()


def test_nothing_happens_outside_training():
    features = torch.randn(2, 80, 50)
    assert SpecAugment().eval()(features) is features


def test_follows_the_seed_and_keeps_the_type():
    features, augment = torch.randn(2, 80, 50).bfloat16(), SpecAugment()
    torch.manual_seed(1)
    first = augment(features)
    torch.manual_seed(1)
    assert torch.equal(augment(features), first)
    assert first.dtype == torch.bfloat16
