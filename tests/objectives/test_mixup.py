import pytest
import torch
import torch.nn.functional as F

from lightning_modules.objectives.mixup import Mixup, one_hot


def batch(num_clips=8, time=400):
    torch.manual_seed(0)
    return torch.randn(num_clips, 1, time) + 0.5, torch.randint(0, 5, (num_clips,))


def test_probability_0_and_a_single_clip_are_left_alone():
    waveform, target = batch()
    for mixup, rows in ((Mixup(0.0), 8), (Mixup(1.0), 1)):
        mixed, soft = mixup(waveform[:rows], target[:rows], num_classes=[5])
        assert torch.equal(mixed, waveform[:rows])
        assert torch.equal(soft, F.one_hot(target[:rows], 5).float())


@pytest.mark.parametrize("whole", [True, False])
def test_clips_and_labels_are_mixed_with_one_weight(whole):
    num_clips, time = 6, 1000
    torch.manual_seed(1)
    waveform = torch.randn(num_clips, 2, time, dtype=torch.float64) + 0.5
    length = torch.tensor([1000, 700, 300, 900, 500, 1]) if not whole else torch.full((num_clips,), time)
    target = torch.arange(num_clips)  # the label tells the partner
    mixed, soft = Mixup(1.0)(waveform, target, num_classes=[num_clips], length=None if whole else length)
    torch.testing.assert_close(soft.sum(1), torch.ones(num_clips))
    for row in range(num_clips):
        own = int(length[row])
        other = soft[row].clone().index_fill_(0, torch.tensor(row), 0).argmax()
        weight = soft[row, row].double()
        assert 0 < weight < 1
        first = waveform[row, :, :own] - waveform[row, :, :own].mean(1, keepdim=True)
        cut = int(length[other])
        second = torch.zeros(2, time, dtype=torch.float64)
        second[:, :cut] = waveform[other, :, :cut] - waveform[other, :, :cut].mean(1, keepdim=True)
        expected = weight * first + (1 - weight) * second[:, :own]
        expected -= expected.mean(1, keepdim=True)
        torch.testing.assert_close(mixed[row, :, :own], expected, atol=1e-6, rtol=0)
        assert not mixed[row, :, own:].any()


def test_about_the_given_share_is_mixed_with_weights_of_the_beta_law():
    torch.manual_seed(0)
    waveform, target = torch.randn(20_000, 1, 2), torch.arange(20_000) % 50
    mixed, soft = Mixup(0.3, alpha=10.0)(waveform, target, num_classes=[50])
    is_mixed = (mixed != waveform).any(-1).squeeze(1)
    assert is_mixed.double().mean() == pytest.approx(0.3, abs=0.015)
    assert torch.equal(soft[~is_mixed], F.one_hot(target[~is_mixed], 50).float())
    two_classes = is_mixed & (soft.max(1).values < 1)
    weight = soft[torch.arange(20_000), target][two_classes]
    assert weight.mean() == pytest.approx(0.5, abs=0.01)
    assert weight.var() == pytest.approx(1 / 84, rel=0.1)  # of Beta(10, 10): 1 / (4 (2 * 10 + 1))


def test_no_clip_is_its_own_partner_and_all_others_come_equally_often():
    torch.manual_seed(0)
    times = torch.zeros(4, 4)
    for _ in range(1_000):
        _, soft = Mixup(1.0)(torch.randn(4, 1, 2), torch.arange(4), num_classes=[4])
        times += soft > 0
    assert torch.equal(times.diagonal(), torch.full((4,), 1_000.0))
    others = times[~torch.eye(4, dtype=torch.bool)]
    assert (others - 1_000 / 3).abs().max() < 75  # 5 standard deviations


def test_several_heads_stand_side_by_side():
    waveform, _ = batch(4)
    target = torch.tensor([[0, 2], [1, 0], [1, 1], [0, -1]])
    _, soft = Mixup(1.0)(waveform, target, num_classes=[2, 3])
    torch.testing.assert_close(soft[:, :2].sum(1), torch.ones(4))
    assert (soft[:, 2:].sum(1) <= 1).all()
    assert soft[3, 2:].sum() < 1  # unknown has no label to mix
    assert torch.equal(one_hot(target, [2, 3])[3], torch.tensor([1.0, 0, 0, 0, 0]))


def test_follows_the_seed():
    waveform, target = batch()
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(Mixup()(waveform, target, num_classes=[5]))
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


def test_user_errors_are_one_line():
    with pytest.raises(ValueError, match=r"probability=1.5 must be in \[0, 1\] and alpha=10.0 positive"):
        Mixup(1.5)
    with pytest.raises(ValueError, match="alpha=0 positive"):
        Mixup(alpha=0)
