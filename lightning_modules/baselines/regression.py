"""Regressions of a handful of examples: linear and logistic, and the outputs of the nearest example."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from lightning_modules.baselines.classifiers import logistic_regression, standardized

Regression = Callable[[Tensor, Tensor, Tensor, Sequence[int]], Tensor]
"""(inputs of examples, their outputs, other inputs, number of classes of each output or 0) -> float64 (input, output),
values and class indices."""


def linear(inputs: Tensor, outputs: Tensor, others: Tensor, num_classes: Sequence[int]) -> Tensor:
    """Least squares with an intercept; logistic regression of classes."""
    design, tested = (
        torch.nn.functional.pad(each, (0, 1), value=1.0) for each in standardized(inputs, others)
    )
    predicted = tested @ torch.linalg.pinv(design) @ outputs
    for column, classes in enumerate(num_classes):
        if classes:
            log_p = logistic_regression(inputs, outputs[:, column].long(), others, classes)
            predicted[:, column] = log_p.argmax(dim=1).double()
    return predicted


def nearest_example(inputs: Tensor, outputs: Tensor, others: Tensor, _: Sequence[int]) -> Tensor:
    """Outputs of the example with the nearest standardised inputs."""
    known, tested = standardized(inputs, others)
    return outputs[torch.cdist(tested, known).argmin(dim=1)]


REGRESSIONS: Mapping[str, Regression] = MappingProxyType(
    {"linear or logistic": linear, "nearest neighbour": nearest_example}
)
