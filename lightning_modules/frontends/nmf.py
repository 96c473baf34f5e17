"""Extraction of anomalous sound: what atoms of normal sound leave of a spectrogram."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.frontends.nonnegative import activations, learn_atoms, underapproximate

logger = logging.getLogger(__name__)

_CPU_BLOCK = 2048  # frames: few enough for the caches, enough to amortise calls
_MAX_XI = (1 + 5**0.5) / 2  # of the method of multipliers


class _Extractor(nn.Module, ABC):
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


class NMF(_Extractor):
    """Nonnegative matrix factorisation: R = max(X - W H, 0) with the activations H that fit X best.

    Kawaguchi et al. 2019, equations 1 and 2; the clipping is what logarithms of R need.

    Args:
        num_bins: Frequency bins of the spectrograms.
        num_atoms: Spectra that compose normal sound, K.
        num_iterations: Multiplicative updates of H.
    """

    def __init__(self, num_bins: int = 257, *, num_atoms: int = 20, num_iterations: int = 200) -> None:
        super().__init__(num_bins, num_atoms)
        self.num_iterations = num_iterations

    def _extract(self, X: Tensor, W: Tensor) -> Tensor:
        return torch.addmm(X, W, activations(X, W, self.num_iterations), alpha=-1).clamp_min_(0)


class NMU(_Extractor):
    """Nonnegative matrix underapproximation: takes one atom after the other from X, never more than there is.

    Kawaguchi et al. 2019, equation 3, by the iterations of `NNE` with one atom. These are stopped early: solved
    exactly, an atom is worth its least share in any bin, h = min x / w, next to nothing in a real spectrogram.

    Args:
        num_bins: Frequency bins of the spectrograms.
        num_atoms: Spectra that compose normal sound, K.
        num_iterations: Iterations for each atom (the paper has a certain number).
        gamma: Weight of the constraint X = w h + R.
        xi: Step of its multiplier.
        exact: Take h = min x / w instead.
    """

    def __init__(
        self,
        num_bins: int = 257,
        *,
        num_atoms: int = 20,
        num_iterations: int = 5,
        gamma: float = 1.0,
        xi: float = 1.0,
        exact: bool = False,
    ) -> None:
        super().__init__(num_bins, num_atoms)
        _check_steps(gamma, xi)
        self.num_iterations, self.gamma, self.xi, self.exact = num_iterations, gamma, xi, exact

    def _extract(self, X: Tensor, W: Tensor) -> Tensor:
        for w in W.split(1, dim=1):
            X = self._without(X, w)
        return X

    def _without(self, X: Tensor, w: Tensor) -> Tensor:
        """What the atom w (bin, 1) leaves of X (bin, frame)."""
        if self.exact:
            h = (X / w).masked_fill_(w == 0, torch.inf).amin(dim=0)
            return torch.addmm(X, w, h.masked_fill_(h.isinf(), 0)[None], alpha=-1).clamp_min_(0)
        h = activations(X, w, num_iterations=0)
        return underapproximate(X, w, h, gamma=self.gamma, xi=self.xi, num_iterations=self.num_iterations)


class NNE(_Extractor):
    """Nonnegative novelty extraction: the least R >= 0 with X = W H + R, all atoms at once.

    Kawaguchi et al. 2019, equation 4 and algorithm 1 with equation 5 corrected, see `underapproximate`. The
    multiplier starts at zero, not at random: silence then leaves silence, and clips extracted twice are equal. Few
    iterations and a low gamma regularise: the solution itself leaves most of a real spectrogram.

    Args:
        num_bins: Frequency bins of the spectrograms.
        num_atoms: Spectra that compose normal sound, K.
        num_iterations: Iterations at most.
        gamma: Weight of the constraint X = W H + R.
        xi: Step of its multiplier.
        num_sweeps: Rounds of coordinate descent over the atoms an iteration.
        tolerance: A frame is done once |x - W h - r|, and what ten iterations change, are at most this share of |x|.
    """

    def __init__(
        self,
        num_bins: int = 257,
        *,
        num_atoms: int = 20,
        num_iterations: int = 50,
        gamma: float = 1.0,
        xi: float = 1.0,
        num_sweeps: int = 3,
        tolerance: float = 1e-3,
    ) -> None:
        super().__init__(num_bins, num_atoms)
        _check_steps(gamma, xi)
        self.num_iterations, self.gamma, self.xi = num_iterations, gamma, xi
        self.num_sweeps, self.tolerance = num_sweeps, tolerance

    def _extract(self, X: Tensor, W: Tensor) -> Tensor:
        return underapproximate(
            X,
            W,
            activations(X, W, num_iterations=100),  # near enough to start from
            gamma=self.gamma,
            xi=self.xi,
            num_iterations=self.num_iterations,
            num_sweeps=self.num_sweeps,
            tolerance=self.tolerance,
        )


def _check_steps(gamma: float, xi: float) -> None:
    if gamma <= 0:
        raise ValueError(f"gamma {gamma}: expected a positive weight, such as 1")
    if not 0 < xi < _MAX_XI:
        raise ValueError(
            f"xi {xi}: expected a step between 0 and {_MAX_XI:.3f}, where the iterations converge"
        )
