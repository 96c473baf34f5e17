"""Iterations behind NMF, NMU and NNE: spectrogram X ~ atoms W times activations H, nothing negative.

X (bin, frame), W (bin, atom), H (atom, frame). Frames never influence each other once W is fixed.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_CHECK_EVERY = 10  # iterations


def learn_atoms(X: Tensor, W: Tensor, *, max_iterations: int, tolerance: float) -> tuple[Tensor, float]:
    """Unsupervised NMF: min |X - WH|^2 by the multiplicative updates of Lee & Seung (2001), from H = W'X.

    W H and the residual are never formed, so that memory is that of X and three times H.

    Args:
        X: (bin, frame) >= 0.
        W: Start, (bin, atom) > 0.
        max_iterations: Iterations at most.
        tolerance: Stop when ten iterations decrease the error by less than this share of it.

    Returns:
        Atoms (bin, atom) of norm 1 (or 0), and the error |X - WH|^2 / |X|^2.
    """
    tiny = torch.finfo(X.dtype).tiny
    W, H = W.clone(), W.T @ X
    denominator = torch.empty_like(H)
    energy = X.square().sum(dtype=torch.float64)
    error = previous = torch.inf
    for iteration in range(1, max_iterations + 1):
        torch.mm(W.T @ W, H, out=denominator).clamp_min_(tiny)
        H.mul_(torch.mm(W.T, X).div_(denominator))
        XH, HH = X @ H.T, H @ H.T
        W *= XH / (W @ HH).clamp_min(tiny)
        if iteration % _CHECK_EVERY == 0 or iteration == max_iterations:
            product, power = (W.double() * XH).sum(), ((W.T @ W).double() * HH).sum()
            error = float((energy - 2 * product + power) / energy)
            if error > (1 - tolerance) * previous:
                break
            previous = error
    return W / W.norm(dim=0).clamp_min(tiny), error


def activations(X: Tensor, W: Tensor, num_iterations: int) -> Tensor:
    """Supervised NMF: H (atom, frame) >= 0 towards min |X - WH|^2 for given atoms, by multiplicative updates."""
    tiny = torch.finfo(X.dtype).tiny
    gram, projection = W.T @ W, W.T @ X
    H = projection / gram.diagonal()[:, None].clamp_min(tiny)  # the solution for each atom alone
    ratio = torch.empty_like(H)
    for _ in range(num_iterations):
        torch.mm(gram, H, out=ratio).clamp_min_(tiny)
        H.mul_(torch.div(projection, ratio, out=ratio))
    return H


def underapproximate(
    X: Tensor,
    W: Tensor,
    H: Tensor | None = None,
    *,
    gamma: float,
    xi: float,
    num_iterations: int,
    num_sweeps: int = 1,
    tolerance: float = 0.0,
) -> Tensor:
    """Min 1/2 |R|^2 subject to X = WH + R and H, R >= 0, by the method of multipliers.

    Kawaguchi et al. 2019, equations 4, 6 and 7 with the multiplier scaled, U = Gamma / gamma. Equation 5 is
    replaced by what the augmented Lagrangian asks for: H = argmin_{H >= 0} |M - WH|^2, M = X - R + Gamma / gamma
    (printed: gamma * Gamma, and a quotient clipped at 0; that diverges for gamma > 1). Coordinate descent from the
    previous H solves it nearly, and exactly for one atom.

    Args:
        X: (bin, frame) >= 0.
        W: (bin, atom) >= 0.
        H: Start, (atom, frame) >= 0; changed in place. None is the solution for each atom alone.
        gamma: Weight of the constraint; the lower, the longer W H may exceed X. No matter of X's scale.
        xi: Step of the multiplier, below 1.618.
        num_iterations: Iterations at most.
        num_sweeps: Rounds of coordinate descent over the atoms an iteration.
        tolerance: A frame keeps its R once |x - Wh - r| <= tolerance |x| and ten iterations move r no further
            (the residual alone passes through small values on its way).

    Returns:
        R (bin, frame) >= 0.
    """
    gram = W.T @ W
    curvature = gram.diagonal()[:, None].clamp_min(torch.finfo(X.dtype).tiny)
    coupling, project = gram / curvature, (W / curvature.T).T.contiguous()  # (atom, atom), (atom, bin)
    of_X = project @ X
    H = of_X.clone() if H is None else H
    others, target = coupling - torch.diag(coupling.diagonal()), torch.empty_like(H)
    steps = list(zip(target, others, H, strict=True)) * num_sweeps
    frames, update = H.T, torch.empty_like(H[0])
    R = torch.addmm(X, W, H, alpha=-1).clamp_min_(0)
    # U holds -Gamma / gamma, V what it and R follow from; their projections on the atoms need no pass over them.
    U, V = torch.zeros_like(X), torch.empty_like(X)
    of_U, of_work = torch.zeros_like(H), project @ R
    done = torch.zeros_like(X[0], dtype=torch.bool)
    for iteration in range(1, num_iterations + 1):
        torch.sub(of_X, of_work, out=target)  # of M = X - U - R
        for of_atom, of_others, h in steps:
            torch.addmv(of_atom, frames, of_others, alpha=-1, out=update)
            torch.clamp_min(update, 0, out=h)
        torch.sub(U, X, out=V).addmm_(W, H)
        of_V = (of_U - of_X).addmm_(coupling, H)
        F.leaky_relu_(V, 1 / (1 + gamma))  # V + R, and R = gamma max(-(V + R), 0): equation 6
        of_VR = project @ V
        if iteration % _CHECK_EVERY == 0:
            found = V.clamp_max(0).mul_(-gamma)
            limit = tolerance**2 * X.square().sum(dim=0)
            still = (found - R).square_().sum(dim=0) <= limit
            R = torch.where(done, R, found)
            done |= still & ((V - U).square_().sum(dim=0) <= limit)
            if done.all():
                return R
        if iteration == num_iterations:
            break
        if xi == 1:
            U, V, of_U = V, U, of_VR
        else:
            U.lerp_(V, xi)  # equation 7
            of_U.lerp_(of_VR, xi)
        torch.add(of_U, of_VR, out=of_work).sub_(of_V)
    found = V.clamp_max_(0).mul_(-gamma)
    return found if num_iterations < _CHECK_EVERY else torch.where(done, R, found)
