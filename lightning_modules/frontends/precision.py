"""Inverse covariances of all frames of Sigma_t = sum_c g_ct K_c, dense and in the basis that two K_c share.

Letters: n bins of clips, c components, t frames, m channels.
"""

import torch
from torch import Tensor


class Dense:
    """One Cholesky factor and inverse a frame, for any number of components.

    Args:
        gains: g, positive (n, c, t).
        spatial: K, Hermitian positive definite (n, c, m, m).

    Attributes:
        log_det: Logarithm of the determinant of Sigma_t, (n, t).
    """

    def __init__(self, gains: Tensor, spatial: Tensor) -> None:
        covariance = gains.mT @ torch.view_as_real(spatial).flatten(2)  # (n, t, m * m * 2)
        factor = torch.linalg.cholesky(
            torch.view_as_complex(covariance.unflatten(-1, (*spatial.shape[-2:], 2)))
        )
        self.log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).real.log().sum(dim=-1)
        self._matrix = torch.cholesky_inverse(factor)

    def whiten(self, signal: Tensor) -> Tensor:
        """Multiply every frame of (n, t, m) by its Sigma_t^-1."""
        return (self._matrix @ signal.unsqueeze(-1)).squeeze(-1)

    def traces(self, matrices: Tensor) -> Tensor:
        """Traces of the products of Hermitian (n, a, m, m) and Sigma_t^-1: (n, a, t)."""
        return torch.view_as_real(matrices).flatten(2) @ torch.view_as_real(self._matrix).flatten(2).mT

    def sums(self, weights: Tensor) -> Tensor:
        """Sums over t of Sigma_t^-1 by real weights (n, a, t): (n, a, m, m)."""
        total = weights @ torch.view_as_real(self._matrix).flatten(2)
        return torch.view_as_complex(total.unflatten(-1, (*self._matrix.shape[-2:], 2)))


class SharedBasis:
    """Two components in the basis that makes the first the identity and the second diagonal.

    With K_1 = B^-1 B^-H and K_2 = B^-1 diag(q) B^-H, Sigma_t^-1 = B^H diag(1 / (g_1t + g_2t q)) B: a frame costs m^2
    operations in place of m^3, and m values in place of m^2.
    """

    def __init__(self, gains: Tensor, spatial: Tensor) -> None:
        values, vectors = torch.linalg.eigh(spatial[:, 0])
        values = values.clamp_min(torch.finfo(values.dtype).eps * values.amax(dim=-1, keepdim=True))
        whitening = vectors.mH * values.rsqrt().unsqueeze(-1)
        ratio, rotation = torch.linalg.eigh(whitening @ spatial[:, 1] @ whitening.mH)
        self._basis = rotation.mH @ whitening  # (n, m, m)
        variance = gains[:, 0, :, None] + gains[:, 1, :, None] * ratio.clamp_min(0).unsqueeze(1)
        self._inverse = variance.reciprocal()  # (n, t, m)
        self.log_det = variance.log().sum(dim=-1) + values.log().sum(dim=-1, keepdim=True)

    def whiten(self, signal: Tensor) -> Tensor:
        """As `Dense.whiten`."""
        return (signal @ self._basis.mT * self._inverse) @ self._basis.conj()

    def traces(self, matrices: Tensor) -> Tensor:
        """As `Dense.traces`."""
        basis = self._basis.unsqueeze(1)
        return (basis @ matrices * basis.conj()).real.sum(dim=-1) @ self._inverse.mT

    def sums(self, weights: Tensor) -> Tensor:
        """As `Dense.sums`."""
        diagonal = weights @ self._inverse  # (n, c, m)
        return self._basis.mH.unsqueeze(1) @ (diagonal.unsqueeze(-1) * self._basis.unsqueeze(1))


Precision = Dense | SharedBasis


def invert(gains: Tensor, spatial: Tensor) -> Precision:
    """The cheaper form for components (n, c, m, m) of gains (n, c, t)."""
    return SharedBasis(gains, spatial) if spatial.shape[1] == 2 else Dense(gains, spatial)
