"""Probes give what scikit-learn gives; the penalty is the one of the least loss on validation."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from datamodules.clips import Clip
from lightning_modules.baselines.statistics import Described
from lightning_modules.probes.classifiers import INVERSE_PENALTIES, distance, linear, nearest_clips


def described(num_clips: int, *, seed: int, spread: float = 1.0) -> Described:
    """Clips of three classes about three points."""
    torch.manual_seed(seed)
    target = torch.arange(num_clips) % 3
    points = torch.eye(3, 6, dtype=torch.float64)[target] + spread * torch.randn(
        num_clips, 6, dtype=torch.float64
    )
    return Described([Clip(str(row), "", int(label)) for row, label in enumerate(target)], points)


def expected(train: Described, test: Described, c: float) -> torch.Tensor:
    scaler = StandardScaler().fit(train.statistics.numpy())
    labels = [row.target for row in train.rows]
    fitted = LogisticRegression(C=c, max_iter=2000).fit(scaler.transform(train.statistics.numpy()), labels)
    return torch.from_numpy(fitted.predict_log_proba(scaler.transform(test.statistics.numpy())))


def test_the_penalty_is_the_one_of_the_least_loss_on_validation():
    train, validation, test = (described(30, seed=seed) for seed in (0, 1, 2))
    chosen = linear(train, [validation, test], [3], validation=0)
    labels = torch.tensor([row.target for row in validation.rows])
    losses = {
        c: float(torch.nn.functional.nll_loss(expected(train, validation, c), labels))
        for c in INVERSE_PENALTIES
    }
    best = min(losses, key=lambda c: losses[c])
    assert chosen.inverse_penalty == best
    assert best not in (INVERSE_PENALTIES[0], INVERSE_PENALTIES[-1])
    torch.testing.assert_close(chosen.scores[1], expected(train, test, best))
    alone = linear(train, [test], [3], validation=None)
    assert alone.inverse_penalty == 1.0
    torch.testing.assert_close(alone.scores[0], expected(train, test, 1.0))


@pytest.mark.parametrize("neighbours", [1, 3, 100])
def test_neighbours_are_the_most_similar_of_every_class(neighbours):
    train, test = described(12, seed=0), described(5, seed=1)
    target = torch.tensor([row.target for row in train.rows])
    similar = torch.from_numpy(cosine_similarity(test.statistics.numpy(), train.statistics.numpy()))
    found = nearest_clips(train.statistics, target, test.statistics, 4, neighbours=neighbours)
    for label in range(3):
        nearest = similar[:, target == label].sort(dim=1, descending=True).values[:, :neighbours]
        torch.testing.assert_close(found[:, label], nearest.mean(dim=1))
    assert (found[:, 3] == -math.inf).all()
    nearest = similar.sort(dim=1, descending=True).values[:, :neighbours]
    found = distance(train.statistics, test.statistics, neighbours=neighbours)
    torch.testing.assert_close(found, 1 - nearest.mean(dim=1))
