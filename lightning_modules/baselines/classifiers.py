"""Classifiers of statistics: logistic regression, and the nearest training clip of every class."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

_DISTANCES_AT_ONCE = 2**25  # of float64, 256 MB
_MAX_STEPS = 2000  # of L-BFGS; a few hundred are the rule

Classifier = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""(training statistics, class of each, statistics, number of classes) -> float64 (clip, class), whose softmax are
probabilities; minus infinity for classes without training clips."""


def standardized(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Statistics (clip, statistic), scaled to mean 0 and variance 1 on the training clips; constant ones become 0."""
    mean, deviation = train.mean(dim=0), train.std(dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.inf)
    return [(each - mean) / scale for each in (train, *others)]


def logistic_regression(
    train: Tensor, target: Tensor, test: Tensor, num_classes: int, *, inverse_penalty: float = 1.0
) -> Tensor:
    """Logarithms of the probabilities that a multinomial logistic regression with an L2 penalty gives.

    Args:
        train: Statistics of training clips, which are standardised.
        target: Their classes.
        test: Statistics of others.
        num_classes: Of the data.
        inverse_penalty: Weight of the training clips beside the penalty, scikit-learn's C.

    Raises:
        ValueError: All training clips are of one class.
    """
    from sklearn.linear_model import LogisticRegression

    if target.unique().numel() < 2:
        raise ValueError("the training clips are all of one class: nothing to tell apart")
    train, test = standardized(train, test)
    fitted = LogisticRegression(C=inverse_penalty, max_iter=_MAX_STEPS).fit(train.numpy(), target.numpy())
    scores = torch.full((len(test), num_classes), -torch.inf, dtype=torch.float64)
    scores[:, torch.from_numpy(fitted.classes_)] = torch.from_numpy(fitted.predict_log_proba(test.numpy()))
    return scores


def nearest_neighbour(train: Tensor, target: Tensor, test: Tensor, num_classes: int) -> Tensor:
    """Minus the distance of the nearest training clip of every class, between standardised statistics."""
    train, test = standardized(train, test)
    parts = [
        torch.full((len(part), num_classes), torch.inf, dtype=torch.float64).scatter_reduce_(
            1, target.expand(len(part), -1), torch.cdist(part, train), "amin"
        )
        for part in test.split(max(1, _DISTANCES_AT_ONCE // len(train)))
    ]
    return -torch.cat(parts)


CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType(
    {"logistic regression": logistic_regression, "nearest neighbour": nearest_neighbour}
)
