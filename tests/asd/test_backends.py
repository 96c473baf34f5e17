import copy
import math

import numpy as np
import pytest
import torch
from scipy.spatial import distance

from lightning_modules.asd.backends import Mahalanobis, NearestNeighbours
from lightning_modules.asd.backends.mahalanobis import ledoit_wolf_shrinkage

BACKENDS = [
    NearestNeighbours(),
    NearestNeighbours(3, "euclidean"),
    Mahalanobis(),
    Mahalanobis("group", 0.3),
]


@pytest.fixture
def training():
    """Embeddings, groups 3, 7 and 11 in any order, and domains."""
    torch.manual_seed(0)
    group = torch.tensor([3, 7, 11])[torch.randint(3, (60,))]
    return torch.randn(60, 5) + group[:, None], group, torch.randint(2, (60,))


@pytest.fixture
def clips():
    torch.manual_seed(1)
    return torch.randn(8, 5) + 6, torch.tensor([7, 3, 11, 7, 7, 3, 11, 11])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 4, 1000])
@pytest.mark.parametrize("distances_at_once", [1, 2**24])
def test_nearest_neighbours_clip_by_clip(training, clips, metric, k, distances_at_once):
    embeddings, group, _ = training
    backend = NearestNeighbours(k, metric, distances_at_once=distances_at_once)
    backend.fit(embeddings, group)
    scores = backend(*clips)
    for score, clip, of_group in zip(scores, *clips, strict=True):
        own = embeddings[group == of_group].double().numpy()
        distances = distance.cdist(clip[None].double().numpy(), own, metric)[0]
        assert score.item() == pytest.approx(np.sort(distances)[:k].mean(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("size", [1e-5, 1e-3, 0.1])
def test_small_cosine_distances_keep_their_digits(size):
    torch.manual_seed(0)
    normal = torch.nn.functional.normalize(torch.randn(1, 64))
    clip = normal + size * torch.nn.functional.normalize(torch.randn(1, 64))
    backend = NearestNeighbours()
    backend.fit(normal, torch.zeros(1, dtype=torch.long))
    a, b = (torch.nn.functional.normalize(each.double()) for each in (normal, clip))
    expected = (a - b).square().sum() / 2  # 1 - cos, without its cancellation
    found = backend(clip, torch.zeros(1, dtype=torch.long))
    assert found.item() == pytest.approx(expected.item(), rel=1e-6 / size)


@pytest.mark.parametrize("shrinkage", [0, 0.25, 1])
@pytest.mark.parametrize("covariance", ["pooled", "group"])
def test_mahalanobis_clip_by_clip(training, clips, covariance, shrinkage):
    embeddings, group, _ = training
    backend = Mahalanobis(covariance, shrinkage)
    backend.fit(embeddings, group)
    scores = backend(*clips)
    rows, groups = embeddings.double().numpy(), group.numpy()
    means = {g: rows[groups == g].mean(0) for g in (3, 7, 11)}
    residual = rows - np.stack([means[g] for g in groups])
    for score, clip, of_group in zip(scores, *clips, strict=True):
        own = residual if covariance == "pooled" else residual[groups == of_group.item()]
        matrix = own.T @ own / len(own)
        matrix = (1 - shrinkage) * matrix + shrinkage * np.trace(matrix) / 5 * np.eye(5)
        expected = distance.mahalanobis(clip.numpy(), means[of_group.item()], np.linalg.inv(matrix))
        assert score.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_with_domains_the_nearer_one_counts(backend, training, clips):
    backend = copy.deepcopy(backend)
    embeddings, group, domain = training
    if isinstance(backend, Mahalanobis):
        backend.covariance = "group"  # a pooled one would differ between the fits below
    backend.fit(embeddings, group, domain)
    scores = backend(*clips)
    each = []
    for value in (0, 1):
        backend.fit(embeddings[domain == value], group[domain == value])
        each.append(backend(*clips))
    torch.testing.assert_close(scores, torch.minimum(*each))
    assert not torch.equal(scores, each[0])
    assert not torch.equal(scores, each[1])


def test_a_group_without_target_clips_is_scored_by_its_source(training, clips):
    embeddings, group, _ = training
    backend = NearestNeighbours()
    backend.fit(embeddings, group)
    expected = backend(*clips)
    backend.fit(embeddings, group, (group == 7).long())
    torch.testing.assert_close(backend(*clips), expected)


def test_ledoit_wolf_against_its_definition():
    """Sums over clips of whole matrices, as in the paper's section 3.2."""
    torch.manual_seed(0)
    rows = torch.randn(30, 6, dtype=torch.double) @ torch.randn(6, 6, dtype=torch.double)
    rows -= rows.mean(0)
    covariance = rows.T @ rows / 30
    norm2 = lambda matrix: (matrix.square().sum() / 6).item()  # noqa: E731
    d2 = norm2(covariance - covariance.trace() / 6 * torch.eye(6))
    b2 = sum(norm2(torch.outer(row, row) - covariance) for row in rows) / 30**2
    assert ledoit_wolf_shrinkage(rows).item() == pytest.approx(min(b2, d2) / d2, rel=1e-12)


def test_ledoit_wolf_shrinks_little_with_many_clips_and_wholly_towards_white_noise():
    torch.manual_seed(0)
    scales = torch.arange(1, 9, dtype=torch.double)
    assert ledoit_wolf_shrinkage(scales * torch.randn(20_000, 8, dtype=torch.double)) < 0.01
    assert ledoit_wolf_shrinkage(torch.randn(20, 8, dtype=torch.double)) > 0.5
    assert ledoit_wolf_shrinkage(torch.zeros(4, 8)) == 1


def test_fewer_clips_than_dimensions_are_enough_with_shrinkage():
    torch.manual_seed(0)
    backend = Mahalanobis()
    backend.fit(torch.randn(10, 64), torch.zeros(10, dtype=torch.long))
    scores = backend(torch.randn(4, 64), torch.zeros(4, dtype=torch.long))
    assert scores.isfinite().all()
    with pytest.raises(ValueError, match="10 embeddings of 64 dimensions has no inverse"):
        Mahalanobis(shrinkage=0).fit(torch.randn(10, 64), torch.zeros(10, dtype=torch.long))


@pytest.mark.parametrize("backend", BACKENDS)
def test_anomalies_score_higher_in_half_precision(backend, training):
    backend = copy.deepcopy(backend)
    embeddings, group, _ = training
    with torch.autocast("cpu", torch.bfloat16):
        backend.fit(embeddings, group)
        normal, anomalous = (
            backend((10 * group[:, None] / group.max() + offset).expand(-1, 5).bfloat16(), group)
            for offset in (torch.zeros(5), torch.tensor([20.0, -20, 0, 0, 0]))
        )
    assert normal.dtype == torch.float32
    assert (anomalous > normal).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_fitted_is_restored_and_travels_with_the_module(backend, training, clips):
    fitted, fresh = copy.deepcopy(backend), copy.deepcopy(backend)
    fitted.fit(*training)
    assert not fitted.state_dict()
    fresh.restore(fitted.state())
    assert torch.equal(fresh(*clips), fitted(*clips))
    assert all(tensor.is_meta for tensor in fresh.to("meta").state().values())


def test_identical_clips_are_near_zero_apart():
    embeddings = 1000 + torch.randn(50, 64)
    backend = NearestNeighbours(metric="euclidean")
    backend.fit(embeddings, torch.zeros(50, dtype=torch.long))
    assert backend(embeddings, torch.zeros(50, dtype=torch.long)).max() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_groups_that_were_not_fitted_are_refused(backend, training, clips):
    backend = copy.deepcopy(backend)
    embeddings, group, _ = training
    with pytest.raises(ValueError, match=r"group 3 has no fitted normal clips \(fitted: \[\]\)"):
        backend(*clips)
    backend.fit(embeddings, group)
    with pytest.raises(ValueError, match=r"group 5 has no fitted normal clips \(fitted: \[3, 7, 11\]\)"):
        backend(clips[0], torch.full((8,), 5))


def test_unfit_use_is_refused(training):
    embeddings, group, _ = training
    backend = NearestNeighbours()
    with pytest.raises(ValueError, match=r"embeddings \(60, 5\), group \(59,\)"):
        backend.fit(embeddings, group[1:])
    with pytest.raises(ValueError, match="not finite"):
        backend.fit(torch.full((2, 3), math.nan), torch.zeros(2, dtype=torch.long))
    with pytest.raises(
        ValueError, match="fitted state of scaled, cells, mean, whitener is not that of NearestNeighbours"
    ):
        backend.restore(Mahalanobis().state())
    with pytest.raises(ValueError, match="k=0"):
        NearestNeighbours(0)
    with pytest.raises(ValueError, match="metric='l1' must be"):
        NearestNeighbours(metric="l1")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="covariance='all' must be"):
        Mahalanobis("all")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="shrinkage=2 must be"):
        Mahalanobis(shrinkage=2)
