import numpy as np
import pytest
import torch

from lightning_modules.frontends.windows import place_windows, random_windows, take_windows
from lightning_modules.package.scorers.windows import aggregate


def test_all_windows_lie_within_their_clip():
    features = torch.arange(3 * 2 * 10.0).view(3, 2, 10)
    num_frames = torch.tensor([10, 4, 7])
    clip, first = place_windows(num_frames, 4, 2)
    assert list(zip(clip.tolist(), first.tolist(), strict=True)) == [
        (0, 0), (0, 2), (0, 4), (0, 6), (1, 0), (2, 0), (2, 2),
    ]  # fmt: skip
    windows = take_windows(features, clip, first, 4)
    assert windows.shape == (7, 2, 4)
    assert torch.equal(windows[3], features[0, :, 6:10])
    assert torch.equal(windows[6], features[2, :, 2:6])


def test_a_clip_of_10_s_has_58_windows_of_256_frames():
    clip, _ = place_windows(torch.tensor([313, 344]), 256, 1)
    assert clip.bincount().tolist() == [58, 89]


def test_random_windows_reach_every_place_and_no_padding():
    torch.manual_seed(0)
    num_frames = torch.tensor([6, 9]).repeat(500)
    features = torch.arange(9.0).expand(1000, 1, 9)
    windows = random_windows(features, num_frames, 5)
    assert torch.equal(windows.diff(dim=-1), torch.ones(1000, 1, 4))
    assert windows[::2, 0, 0].unique().tolist() == [0, 1]
    assert windows[1::2, 0, 0].unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("how", ["mean", "median", "max", "std"])
def test_scores_of_a_clip_do_not_depend_on_its_neighbours(how):
    scores = torch.randn(9)
    clip = torch.tensor([0] * 5 + [1] + [2] * 3)
    found = aggregate(scores, clip, 3, how)
    parts = [scores[clip == number].double().numpy() for number in range(3)]
    expected = {
        "mean": np.mean,
        "max": np.max,
        "std": np.std,
        "median": lambda x: np.sort(x)[(len(x) - 1) // 2],
    }
    np.testing.assert_allclose(found, [expected[how](part) for part in parts], rtol=1e-12)
