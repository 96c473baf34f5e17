import warnings

import numpy as np
import pytest
import torch

from lightning_modules.metrics.classification import classification_metrics, ranks


def average_precision(scores, is_positive):
    """Sum over recall steps of precision, one step a distinct score."""
    total, found = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        hits = (is_positive & chosen).sum()
        total += (hits - found) / is_positive.sum() * hits / chosen.sum()
        found = hits
    return total


@pytest.mark.parametrize("decimals", [1, 6])  # with many ties, and with hardly any
def test_equals_the_definitions(decimals):
    torch.manual_seed(0)
    logits = torch.randn(200, 8, dtype=torch.float64)
    target = torch.randint(0, 7, (200,))  # class 7 never occurs
    target[::17] = -1
    probabilities = (logits + 2 * torch.eye(8)[target.clamp(min=0)]).softmax(1).float()
    probabilities = probabilities.round(decimals=decimals)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classification_metrics(probabilities, target)
    known = target.numpy() >= 0
    p, t = probabilities.numpy()[known], target.numpy()[known]
    better = np.array(
        [[q >= row[c] for i, q in enumerate(row) if i != c] for row, c in zip(p, t, strict=True)]
    )
    rank = 1 + better.sum(1)
    assert ranks(probabilities, target)[target >= 0].tolist() == rank.tolist()
    assert found["top1"] == pytest.approx((rank == 1).mean(), abs=1e-12)
    assert found["top5"] == pytest.approx((rank <= 5).mean(), abs=1e-12)
    per_class = [(rank[t == c] == 1).mean() for c in range(7)]
    assert found["class_accuracy"] == pytest.approx(np.mean(per_class), abs=1e-12)
    assert found["map"] == pytest.approx(
        np.mean([average_precision(p[:, c], t == c) for c in range(7)]), abs=1e-6
    )


def test_ties_and_nan_count_against_the_true_class():
    nan = float("nan")
    probabilities = torch.tensor(
        [[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [nan, nan, nan], [0.9, nan, 0.0], [1.0, 0, 0]]
    )
    target = torch.tensor([0, 2, 1, 0, -1])
    assert ranks(probabilities, target).tolist() == [2, 1, 3, 2, 0]


def test_fewer_than_five_classes():
    found = classification_metrics(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([0, 1]))
    assert found == {"top1": 0.5, "top5": 1.0, "class_accuracy": 0.5, "map": 1.0}


def test_probabilities_that_exceed_one_by_rounding_are_no_logits():
    p = torch.tensor([[1.0000001, 0.0], [0.9, 0.1], [0.2, 0.8], [0.95, 0.05]])
    target = torch.tensor([0, 0, 1, 1])
    assert classification_metrics(p, target)["map"] == pytest.approx((5 / 6 + 5 / 6) / 2, abs=1e-6)


def test_without_known_classes_all_is_undefined():
    assert all(np.isnan(v) for v in classification_metrics(torch.rand(3, 4), torch.full((3,), -1)).values())
