"""What classifies clips by the hidden states of any encoder."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightning_modules.networks.encoders.encoder import Hidden
from lightning_modules.networks.output import Output


class BackEnd(nn.Module, ABC):
    """Maps `Hidden` to `Output`.

    Args:
        dim: Width of a hidden state.
        num_layers: Number of hidden states of a time step.

    Attributes:
        embedding_dim: Width of an embedding.
    """

    classifier: str
    """Name of the last linear layer, which gives the logits."""

    embedding_dim: int

    def __init__(self, *, dim: int, num_layers: int) -> None:
        super().__init__()
        self.dim, self.num_layers = dim, num_layers

    @abstractmethod
    def forward(self, hidden: Hidden) -> Output:
        """Classify clips by their hidden states."""

    def logits(self, embedding: Tensor) -> Tensor:
        """Logits (batch, num_classes) of embeddings, of the type of the weights: half precision would tie scores."""
        with torch.autocast(embedding.device.type, enabled=False):
            return self._classifier(embedding.to(self._classifier.weight.dtype))

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self._classifier.out_features

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by an untrained one of other classes."""
        old = self._classifier
        parent, _, name = self.classifier.rpartition(".")
        setattr(self.get_submodule(parent), name, nn.Linear(old.in_features, num_classes).to(old.weight))

    @property
    def _classifier(self) -> nn.Linear:
        layer = self.get_submodule(self.classifier)
        assert isinstance(layer, nn.Linear)
        return layer


def heard(hidden: Hidden) -> Tensor:
    """Which time steps are of a clip and not of padding: bool (batch, time)."""
    steps = torch.arange(hidden.states.shape[2], device=hidden.states.device)
    return steps < hidden.length[:, None]
