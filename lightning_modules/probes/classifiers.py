"""Probes of embeddings: a linear one, whose penalty is chosen on validation, and nearest training clips by cosine."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.baselines.classifiers import Classifier, logistic_regression
from lightning_modules.baselines.labels import labelled, targets
from lightning_modules.baselines.statistics import Described

NEIGHBOURS = 5
INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # scikit-learn's C
_AT_ONCE = 2**25  # similarities, of float64 256 MB
_LEAST = -30.0  # log probability that a choice can lose by one clip


class Chosen(NamedTuple):
    """A linear probe.

    Attributes:
        scores: float64 (clip, class) of all heads side by side, of each of the tested splits.
        inverse_penalty: That the validation chose.
    """

    scores: list[Tensor]
    inverse_penalty: float


def nearest_clips(
    train: Tensor, target: Tensor, test: Tensor, num_classes: int, *, neighbours: int = NEIGHBOURS
) -> Tensor:
    """Mean cosine similarity of the nearest training clips of every class, of all where it has fewer.

    Minus infinity for classes without training clips.
    """
    known, tested = F.normalize(train, dim=1), F.normalize(test, dim=1)
    scores = torch.full((len(test), num_classes), -torch.inf, dtype=torch.float64)
    for number in target.unique().tolist():
        own = known[target == number]
        parts = [
            (part @ own.T).topk(min(neighbours, len(own)), dim=1).values.mean(dim=1)
            for part in tested.split(max(1, _AT_ONCE // len(own)))
        ]
        scores[:, number] = torch.cat(parts)
    return scores


def classified(
    classifier: Classifier, train: Described, tested: Sequence[Described], num_classes: Sequence[int]
) -> list[Tensor]:
    """Scores of every split by a classifier, float64 (clip, class), heads side by side; those of a head are logits."""
    together = torch.cat([each.statistics for each in tested])
    parts = []
    for target, classes in zip(targets(train).unbind(dim=1), num_classes, strict=True):
        known, labels = labelled(train, target)
        parts.append(classifier(known.statistics, labels, together, classes))
    return list(torch.cat(parts, dim=1).split([len(each.rows) for each in tested]))


def linear(
    train: Described, tested: Sequence[Described], num_classes: Sequence[int], *, validation: int | None
) -> Chosen:
    """Logistic regression of standardised embeddings.

    Args:
        train: Fits it.
        tested: Splits to score.
        num_classes: Of each head.
        validation: Which of ``tested`` chooses the penalty, by its log loss over all heads; None takes 1.
    """
    values = INVERSE_PENALTIES if validation is not None else (1.0,)
    found = []
    for value in values:
        classifier = partial(logistic_regression, inverse_penalty=value)
        found.append(Chosen(classified(classifier, train, tested, num_classes), value))
    if validation is None:
        return found[0]
    return min(found, key=lambda each: _log_loss(each.scores[validation], tested[validation], num_classes))


def _log_loss(scores: Tensor, clips: Described, num_classes: Sequence[int]) -> float:
    losses = []
    for part, target in zip(scores.split(list(num_classes), 1), targets(clips).unbind(dim=1), strict=True):
        known = target >= 0
        log_p = part.log_softmax(dim=1)[known].gather(1, target[known][:, None])
        losses.append(-log_p.clamp_min(_LEAST).mean())
    return float(torch.stack(losses).nanmean())


def distance(train: Tensor, test: Tensor, *, neighbours: int = NEIGHBOURS) -> Tensor:
    """Mean cosine distance from the nearest of normal clips: float64 (clip,)."""
    of_one_class = torch.zeros(len(train), dtype=torch.int64)
    return 1 - nearest_clips(train, of_one_class, test, 1, neighbours=neighbours)[:, 0]
