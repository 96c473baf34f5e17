"""What a classifier network returns."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Embedding and logits of a batch; the pair is all that model-agnostic training needs.

    Attributes:
        embedding: (batch, dim), before any dropout of the classification layer.
        logits: (batch, classes); one column means the log odds of class 1.
    """

    embedding: Tensor
    logits: Tensor
