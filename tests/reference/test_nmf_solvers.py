"""Equality of the nonnegative solvers with SciPy, scikit-learn and the paper's equations, in float64."""

import time
from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from lightning_modules.frontends import NMF, NMU, NNE
from lightning_modules.frontends.nonnegative import activations, learn_atoms, underapproximate


def random_case(bins=15, atoms=4, frames=12, seed=0):
    """Atoms of norm 1, and frames that they compose together with sparse additions (bins, frames)."""
    rng = np.random.default_rng(seed)
    W = rng.random((bins, atoms)) ** 3
    W /= np.linalg.norm(W, axis=0)
    added = rng.random((bins, frames)) * (rng.random((bins, frames)) < 0.1)
    return W @ rng.random((atoms, frames)) + added, W, added


def columns(solve, X):
    return np.stack([solve(x) for x in X.T], axis=1)


def least_excess(x, W):
    """Argmin |x - Wh|^2 with h >= 0 and Wh <= x: Lawson & Hanson, chapter 23, least distance programming."""
    Q, R = np.linalg.qr(W)
    bounds = np.concatenate([np.eye(W.shape[1]), -W]) @ np.linalg.inv(R)
    limits = np.concatenate([np.zeros(W.shape[1]), -x]) - bounds @ (Q.T @ x)
    system = np.concatenate([bounds.T, limits[None]])
    goal = np.eye(W.shape[1] + 1)[-1]
    *numerator, denominator = system @ nnls(system, goal)[0] - goal
    return np.linalg.solve(R, -np.array(numerator) / denominator + Q.T @ x)


def extract(module, X, W):
    module = module.double()
    module.W.copy_(torch.from_numpy(W))
    return module(torch.from_numpy(X)[None])[0].numpy()


def test_multiplicative_updates_reach_the_least_squares_solution():
    X, W, _ = random_case()
    H = activations(torch.from_numpy(X), torch.from_numpy(W), 5000).numpy()
    expected = columns(lambda x: nnls(W, x)[0], X)
    np.testing.assert_allclose(H, expected, atol=1e-3)
    ours, best = np.square(X - W @ H).sum(), np.square(X - W @ expected).sum()
    assert ours == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("num_iterations", [1, 10, 137])
def test_atoms_against_scikit_learn_from_the_same_start(num_iterations):
    decomposition = pytest.importorskip("sklearn.decomposition")
    X, start, _ = random_case(bins=20, frames=60)
    W, error = learn_atoms(
        torch.from_numpy(X), torch.from_numpy(start), max_iterations=num_iterations, tolerance=0.0
    )
    model = decomposition.NMF(
        start.shape[1], solver="mu", beta_loss="frobenius", init="custom", tol=0, max_iter=num_iterations
    )
    H = model.fit_transform(X.T.copy(), W=(start.T @ X).T.copy(), H=start.T.copy())
    norms = np.linalg.norm(model.components_, axis=1)
    np.testing.assert_allclose(W.numpy(), (model.components_ / norms[:, None]).T, rtol=1e-6, atol=1e-9)
    loss = np.square(X.T - H @ model.components_).sum() / np.square(X).sum()
    assert error == pytest.approx(loss, rel=1e-6)


def test_exact_underapproximation_takes_the_least_ratio():
    X, W, _ = random_case()
    W[3, 1] = 0  # a bin without the atom binds nothing
    expected = X.copy()
    for w in W.T:
        expected -= np.outer(w, (expected[w > 0] / w[w > 0, None]).min(axis=0))
    np.testing.assert_allclose(extract(NMU(15, num_atoms=4, exact=True), X, W), expected, atol=1e-12)


def published(X, W, H, *, gamma, xi, num_iterations):
    """Equations 5 (corrected), 6 and 7 as they stand, with the multiplier Gamma and SciPy's least squares."""
    R, Gamma = np.maximum(X - W @ H, 0), np.zeros_like(X)
    for _ in range(num_iterations):
        M = X - R + Gamma / gamma
        H = columns(lambda m: nnls(W, m)[0], M)
        R = np.maximum((gamma * (X - W @ H) + Gamma) / (1 + gamma), 0)
        Gamma = Gamma + xi * gamma * (X - W @ H - R)
    return R


@pytest.mark.parametrize(("gamma", "xi"), [(0.1, 1.0), (1.0, 1.5), (10.0, 0.7)])
def test_novelty_extraction_against_the_equations(gamma, xi):
    X, W, _ = random_case()
    H = activations(torch.from_numpy(X), torch.from_numpy(W), 100).numpy()
    expected = published(X, W, H, gamma=gamma, xi=xi, num_iterations=25)
    module = NNE(15, num_atoms=4, gamma=gamma, xi=xi, num_iterations=25, num_sweeps=300, tolerance=0.0)
    np.testing.assert_allclose(extract(module, X, W), expected, atol=1e-8)


def test_underapproximation_against_the_equations():
    X, W, _ = random_case()
    expected = X
    for w in W.T[:, :, None]:
        H = np.maximum(w.T @ expected / (w.T @ w), 0)
        expected = published(expected, w, H, gamma=0.5, xi=1.2, num_iterations=5)
    np.testing.assert_allclose(extract(NMU(15, num_atoms=4, gamma=0.5, xi=1.2), X, W), expected, atol=1e-12)


def test_atoms_need_no_unit_norm():
    X, W, _ = random_case()
    scaled = W * np.array([0.1, 1, 7, 100])
    for module in (NNE(15, num_atoms=4), NMU(15, num_atoms=4), NMU(15, num_atoms=4, exact=True)):
        np.testing.assert_allclose(extract(module, X, scaled), extract(module, X, W), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("gamma", "num_iterations"), [(0.1, 60000), (1.0, 12000), (10.0, 3000), (100.0, 3000)]
)
def test_novelty_extraction_solves_its_problem_for_any_gamma(gamma, num_iterations):
    X, W, _ = random_case()
    best = X - W @ columns(lambda x: least_excess(x, W), X)
    assert best.min() > -1e-9
    x, w = torch.from_numpy(X), torch.from_numpy(W)
    H = activations(x, w, 100)
    R = underapproximate(
        x, w, H, gamma=gamma, xi=1.6, num_iterations=num_iterations, num_sweeps=3, tolerance=1e-7
    ).numpy()
    assert np.linalg.norm(X - W @ H.numpy() - R) < 1e-3 * np.linalg.norm(X)
    assert np.square(R).sum() == pytest.approx(np.square(best).sum(), rel=0.05)


def test_novelty_extraction_recovers_what_was_added():
    X, W, added = random_case(bins=60, atoms=5, frames=40)
    size = np.linalg.norm(added)
    nne = NNE(60, num_atoms=5, gamma=100.0, num_iterations=500, tolerance=0.0)
    assert np.linalg.norm(extract(nne, X, W) - added) < 0.01 * size
    assert np.linalg.norm(extract(NMF(60, num_atoms=5), X, W) - added) > 0.1 * size


def test_frames_that_are_done_early_are_near_the_end():
    X, W, _ = random_case(bins=40, frames=200)
    options = {"num_atoms": 4, "gamma": 10.0, "num_iterations": 2000}
    early = extract(NNE(40, tolerance=1e-3, **options), X, W)
    difference = np.linalg.norm(early - extract(NNE(40, tolerance=0.0, **options), X, W), axis=0)
    assert difference.max() > 0
    assert (difference <= 0.05 * np.linalg.norm(X, axis=0)).all()


def one_clip_nmf(X, W):
    H = W.T @ X
    for _ in range(200):
        H *= W.T @ X / (W.T @ W @ H)
    return np.maximum(X - W @ H, 0)


def one_clip_nmu(X, W):
    for w in W.T:
        R, Gamma = np.maximum(X - np.outer(w, w @ X), 0), np.zeros_like(X)
        for _ in range(5):
            h = np.maximum(w @ (X - R + Gamma), 0)
            R = np.maximum((X - np.outer(w, h) + Gamma) / 2, 0)
            Gamma = Gamma + X - np.outer(w, h) - R
        X = R
    return X


def one_clip_nne(X, W):
    H = W.T @ X
    for _ in range(100):
        H *= W.T @ X / (W.T @ W @ H)
    R, Gamma = np.maximum(X - W @ H, 0), np.zeros_like(X)
    for _ in range(50):
        M = X - R + Gamma
        for _ in range(3):
            for k, w in enumerate(W.T):
                H[k] = np.maximum(H[k] + w @ M - w @ W @ H, 0)
        R = np.maximum((X - W @ H + Gamma) / 2, 0)
        Gamma = Gamma + X - W @ H - R
    return R


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "one_clip"),
    [
        (NMF, one_clip_nmf),
        (NMU, one_clip_nmu),
        (partial(NNE, num_iterations=50, tolerance=0.0), one_clip_nne),
    ],
)
def test_batches_equal_clip_by_clip_extraction(module, one_clip, capsys):
    X, W, _ = random_case(bins=257, atoms=20, frames=64 * 626)
    clips = np.stack(np.split(X, 64, axis=1))
    extractor = module()
    extractor.W.copy_(torch.from_numpy(W))
    begin = time.process_time()
    batched = extractor(torch.from_numpy(clips).float()).numpy()
    middle = time.process_time()
    straightforward = np.stack([one_clip(clip, W) for clip in clips])
    ratio = (time.process_time() - middle) / (middle - begin)
    with capsys.disabled():
        name, seconds = type(extractor).__name__, middle - begin
        print(
            f"\n{name}: {seconds:.2f} CPU s for 64 clips of 257 x 626; clip by clip in NumPy {ratio:.1f} times that"
        )
    np.testing.assert_allclose(batched, straightforward, atol=2e-3)
    assert np.abs(batched - straightforward).mean() < 1e-5
