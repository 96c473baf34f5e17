"""What the front ends that subtract normal sound from a spectrogram have in common."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.frontends.nonnegative import learn_atoms

logger = logging.getLogger(__name__)

_CPU_BLOCK = 2048  # frames: few enough for the caches, enough to amortise calls


class Extractor(nn.Module, ABC):
    """Splits amplitude spectrograms X = W H + R into normal sound W H and what is left, R >= 0.

    The atoms W, (bin, atom) with columns of norm 1, are learnt once, by `fit`, and belong to the state; an extractor
    takes those of another by ``load_state_dict``. Every frame is extracted by itself, R grows in proportion to X, and
    silence leaves silence.

    Args:
        num_bins: Frequency bins of the spectrograms.
        num_atoms: Spectra that compose normal sound, K.
    """

    W: Tensor

    def __init__(self, num_bins: int, num_atoms: int) -> None:
        super().__init__()
        self.register_buffer("W", torch.zeros(num_bins, num_atoms))

    @abstractmethod
    def _extract(self, X: Tensor, W: Tensor) -> Tensor:
        """R >= 0 of frames, (bin, frame) -> (bin, frame)."""

    @property
    def is_fitted(self) -> bool:
        """Whether the atoms have been learnt or loaded."""
        return bool(self.W.any())

    @torch.no_grad()
    def fit(
        self,
        clips: Tensor | Iterable[Tensor],
        *,
        seed: int = 0,
        max_iterations: int = 500,
        tolerance: float = 1e-3,
    ) -> None:
        """Learns the atoms from the frames of all clips together, by unsupervised Euclidean NMF.

        Holds all frames in memory, and their activations three times.

        Args:
            clips: Amplitude spectrograms of normal sound: (batch, bin, frame), or any number of (bin, frame).
            seed: Of the random start.
            max_iterations: Iterations at most.
            tolerance: Stop when ten iterations decrease the squared error by less than this share of it.

        Raises:
            ValueError: For clips that are no amplitude spectrograms, or all silent.
        """
        frames = torch.cat([self._checked(clip[None], number)[0] for number, clip in enumerate(clips)], dim=1)
        if not frames.any():
            raise ValueError(
                f"all {frames.shape[1]} frames to learn atoms from are silent: expected normal sound"
            )
        start = torch.rand(self.W.shape, generator=torch.Generator().manual_seed(seed)).to(frames)
        with torch.autocast(frames.device.type, enabled=False):
            start *= frames.mean(dim=1, keepdim=True)
            W, error = learn_atoms(frames, start, max_iterations=max_iterations, tolerance=tolerance)
        self.W.copy_(W)
        logger.info(
            "%d atoms of %d frames leave %.1f %% of the energy", W.shape[1], frames.shape[1], 100 * error
        )

    @torch.no_grad()
    def forward(self, X: Tensor) -> Tensor:
        """Extracts anomalous sound.

        Args:
            X: Amplitude spectrograms (batch, bin, frame) >= 0.

        Returns:
            R (batch, bin, frame) >= 0, float32 (float64 after ``double()``), without gradient.

        Raises:
            ValueError: For clips that are no amplitude spectrograms, and before `fit`.
        """
        if not self.is_fitted:
            raise ValueError(
                f"{type(self).__name__} has no atoms: expected fit or load_state_dict before extraction"
            )
        X = self._checked(X)
        with torch.autocast(X.device.type, enabled=False):
            frames = rearrange(X, "batch bin frame -> bin (batch frame)")
            blocks = frames.split(_CPU_BLOCK if X.device.type == "cpu" else frames.shape[1], dim=1)
            R = torch.cat([self._extract(block.contiguous(), self.W.to(X)) for block in blocks], dim=1)
            return rearrange(R, "bin (batch frame) -> batch bin frame", batch=len(X)).contiguous()

    def _checked(self, X: Tensor, first: int = 0) -> Tensor:
        """Amplitude spectrograms (batch, bin, frame) in the type to compute in; `first` numbers them in errors."""
        if X.dim() != 3 or X.shape[1] != len(self.W) or X.shape[2] == 0:
            raise ValueError(
                f"spectrograms of shape {tuple(X.shape)}: expected (batch, {len(self.W)}, frame)"
            )
        low, high = X.flatten(1).aminmax(dim=1)
        if bad := (~((low >= 0) & (high < torch.inf))).nonzero().flatten().tolist():
            raise ValueError(
                f"clip {first + bad[0]}: values from {low[bad[0]]} to {high[bad[0]]}: expected amplitudes, "
                "finite and >= 0; take the absolute value of the spectrum of finite samples"
            )
        return X.to(torch.promote_types(self.W.dtype, torch.float32))
