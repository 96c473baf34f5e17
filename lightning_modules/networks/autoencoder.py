"""Autoencoder of spectrogram windows: what it reconstructs badly is anomalous.

Sources: Koizumi et al., "Description and discussion on DCASE2020 challenge task 2" (2020) for the official
baseline; the public code of Primus et al. (DCASE 2020) for the variant with three hidden layers on each side.
"""

from collections.abc import Sequence
from typing import Self

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Fully connected layers with batch norm and ReLU, also in the bottleneck, and a linear last one.

    Args:
        input_dim: Features of a window, as 5 frames of 128 mel bands.
        hidden_dims: Of all hidden layers, from the first of the encoder to the last of the decoder.
        batch_norm_eps: Added to the variance.
        batch_norm_momentum: Share of the batch in the running statistics.
    """

    def __init__(
        self,
        input_dim: int = 640,
        hidden_dims: Sequence[int] = (128, 128, 128, 8, 128, 128, 128),
        *,
        batch_norm_eps: float = 1e-5,
        batch_norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if input_dim < 1 or not hidden_dims or min(hidden_dims) < 1:
            raise ValueError(
                f"input_dim {input_dim}, hidden_dims {tuple(hidden_dims)}: expected at least one hidden layer "
                "and only positive sizes"
            )
        self.input_dim = input_dim
        self.layers = nn.Sequential()
        for dim, next_dim in zip([input_dim, *hidden_dims[:-1]], hidden_dims, strict=True):
            norm = nn.BatchNorm1d(next_dim, batch_norm_eps, batch_norm_momentum)
            self.layers.extend([nn.Linear(dim, next_dim), norm, nn.ReLU(inplace=True)])
        self.layers.append(nn.Linear(hidden_dims[-1], input_dim))
        self._initialize(gain=nn.init.calculate_gain("relu"), bias=0.01)

    @classmethod
    def dcase2020(cls, input_dim: int = 640) -> Self:
        """The official baseline: four hidden layers on each side, Keras' batch norm and initialization."""
        hidden_dims = (128, 128, 128, 128, 8, 128, 128, 128, 128)
        network = cls(input_dim, hidden_dims, batch_norm_eps=1e-3, batch_norm_momentum=0.01)
        network._initialize(gain=1, bias=0)
        return network

    def _initialize(self, gain: float, bias: float) -> None:
        """Draw Glorot's uniform weights and set all biases."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, gain)
                nn.init.constant_(layer.bias, bias)

    def forward(self, windows: Tensor) -> Tensor:
        """Reconstruct windows.

        Args:
            windows: (..., input_dim); all leading dimensions count as batch for the batch norm.

        Returns:
            Reconstruction of the same shape.

        Raises:
            ValueError: For windows of another size.
        """
        if windows.shape[-1] != self.input_dim:
            raise ValueError(
                f"windows {tuple(windows.shape)}: this Autoencoder expects (..., {self.input_dim}), bands x frames of a"
                f" window: set model.network.input_dim={windows.shape[-1]}"
            )
        return self.layers(windows.reshape(-1, self.input_dim)).view_as(windows)
