"""Extraction of anomalous sound: what atoms of normal sound leave of a spectrogram."""

import torch
from torch import Tensor

from lightning_modules.frontends.extractor import Extractor
from lightning_modules.frontends.nonnegative import activations, underapproximate

_MAX_XI = (1 + 5**0.5) / 2  # of the method of multipliers


class NMF(Extractor):
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


class NMU(Extractor):
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
        _check_steps(gamma, xi, num_iterations)
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
        return underapproximate(X, w, gamma=self.gamma, xi=self.xi, num_iterations=self.num_iterations)


class NNE(Extractor):
    """Nonnegative novelty extraction: the least R >= 0 with X = W H + R, all atoms at once.

    Kawaguchi et al. 2019, equation 4 and algorithm 1 with equation 5 corrected, see `underapproximate`. The
    multiplier starts at zero, not at random: silence then leaves silence, and clips extracted twice are equal. Few
    iterations and a low gamma regularise: the solution itself leaves most of a real spectrogram.

    Args:
        num_bins: Frequency bins of the spectrograms.
        num_atoms: Spectra that compose normal sound, K.
        num_iterations: Iterations at most; `tolerance` ends them earlier, the later the farther `gamma` is from 1.
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
        num_iterations: int = 5000,
        gamma: float = 1.0,
        xi: float = 1.0,
        num_sweeps: int = 3,
        tolerance: float = 1e-3,
    ) -> None:
        super().__init__(num_bins, num_atoms)
        _check_steps(gamma, xi, num_iterations)
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


def _check_steps(gamma: float, xi: float, num_iterations: int) -> None:
    if num_iterations < 1:
        raise ValueError(f"num_iterations {num_iterations}: expected at least 1")
    if gamma <= 0:
        raise ValueError(f"gamma {gamma}: expected a positive weight, such as 1")
    if not 0 < xi < _MAX_XI:
        raise ValueError(
            f"xi {xi}: expected a step between 0 and {_MAX_XI:.3f}, where the iterations converge"
        )
