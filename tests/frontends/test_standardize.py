import torch

from lightning_modules.frontends import Standardize


def test_own_frames_of_all_clips_get_mean_0_and_variance_1():
    torch.manual_seed(0)
    clips = [torch.randn(3, frames) * 5 + torch.tensor([[1.0], [-20.0], [7.0]]) for frames in (40, 100, 63)]
    padded = torch.stack(
        [torch.nn.functional.pad(clip, (0, 100 - clip.shape[1]), value=99.0) for clip in clips]
    )
    num_frames = torch.tensor([clip.shape[1] for clip in clips])
    standardize = Standardize(3)
    assert not standardize.is_fitted
    moments = [Standardize.moments(padded[part], num_frames[part]) for part in (slice(0, 1), slice(1, 3))]
    standardize.fit(torch.cat(moments))
    assert standardize.is_fitted
    scaled = torch.cat([standardize(clip) for clip in clips], dim=1)
    torch.testing.assert_close(scaled.mean(1), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(1, correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_statistics_travel_with_the_weights():
    standardize, other = Standardize(4), Standardize(4)
    standardize.fit(Standardize.moments(torch.randn(2, 4, 50), torch.tensor([50, 30])))
    other.load_state_dict(standardize.state_dict())
    assert other.is_fitted
    assert torch.equal(other.std, standardize.std)
