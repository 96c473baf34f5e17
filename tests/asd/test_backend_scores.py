"""Scores equal dense references of a few lines, in NumPy and scikit-learn."""

import copy
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans as Clusters
from sklearn.metrics import roc_auc_score

from lightning_modules.asd.backends import (
    SMOTE,
    Backend,
    DomainNormalized,
    GaussianMixture,
    KMeans,
    LocalDensity,
    Mahalanobis,
    MemMix,
    NearestNeighbours,
    RankFusion,
    Rescaled,
    TransductiveDomainNormalized,
)
from lightning_modules.asd.backends.rank_fusion import rank


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def machine():
    """The specification's source, target and clips to score."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(40, 6)), rng.normal(size=(5, 6)) * 0.5 + 2
    clips = rng.normal(size=(6, 6))
    clips[3:] += 2
    return source, target, clips


def scores(backend: Backend, machine):
    source, target, clips = map(torch.from_numpy, machine)
    domain = torch.tensor([0] * len(source) + [1] * len(target))
    backend.fit(torch.cat([source, target]), torch.full_like(domain, 7), domain)
    return backend(clips, torch.full((len(clips),), 7)).numpy()


def test_rescaled_by_the_specification(machine):
    expected = [0.5566564, 0.6540895, 0.82914723, 0.63685962, 0.98240051, 0.75944715]
    np.testing.assert_allclose(scores(Rescaled(4), machine), expected, rtol=0, atol=5e-9)


def test_local_density_by_the_specification(machine):
    expected = [0.04235747, 0.03803308, 0.04644146, 0.058593, 0.07247049, 0.08601213]
    np.testing.assert_allclose(scores(LocalDensity(16, 9), machine), expected, rtol=0, atol=5e-9)


def dense_rescaled(clips, bank, num, total):
    between = np.sort(cdist(bank, bank), axis=1)[:, 1 : num + 1]
    return (cdist(clips, bank) / total(between, axis=1)).min(axis=1)


@pytest.fixture
def random_machine():
    rng = np.random.default_rng(1)
    return rng.normal(size=(200, 12)), rng.normal(size=(9, 12)) + 1, rng.normal(size=(30, 12)) * 1.5


def test_rescaling_of_random_clips(random_machine):
    source, target, clips = random_machine
    bank = np.concatenate([source, target])
    expected = dense_rescaled(unit(clips), unit(bank), 3, np.mean)
    np.testing.assert_allclose(scores(Rescaled(3), random_machine), expected, rtol=1e-9)
    apart = np.minimum(
        *(dense_rescaled(unit(clips), unit(own), num, np.sum) for own, num in ((source, 5), (target, 4)))
    )
    np.testing.assert_allclose(scores(LocalDensity(5, 4, "cosine"), random_machine), apart, rtol=1e-9)


def test_rescaling_of_equal_clips_is_finite():
    clips = np.concatenate([np.zeros((5, 3)), np.eye(3)])
    found = scores(Rescaled(2, "euclidean"), (clips, np.ones((1, 3)), np.array([[0.0, 0, 0], [0.5, 0, 0]])))
    assert found[0] == 0
    assert 0 < found[1] < np.inf
    alone = scores(LocalDensity(), (np.zeros((1, 3)), np.ones((1, 3)), np.array([[0.0, 3, 4]])))
    assert alone[0] == pytest.approx(np.sqrt(1 + 4 + 9))  # from the target: a single clip has no scale


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_of_both_domains_or_of_all(random_machine, metric):
    source, target, clips = random_machine
    distances = [np.sort(cdist(clips, own, metric), axis=1)[:, :3].mean(axis=1) for own in (source, target)]
    np.testing.assert_allclose(
        scores(NearestNeighbours(3, metric), random_machine), np.minimum(*distances), rtol=1e-9
    )
    pooled = np.sort(cdist(clips, np.concatenate([source, target]), metric), axis=1)[:, :3].mean(axis=1)
    backend = NearestNeighbours(3, metric, domains="pooled")
    np.testing.assert_allclose(scores(backend, random_machine), pooled, rtol=1e-9)
    assert not np.allclose(pooled, np.minimum(*distances))


def test_euclidean_distances_rank_otherwise_than_cosine_unless_normalized(random_machine):
    cosine = scores(NearestNeighbours(), random_machine).argsort()
    euclidean = scores(NearestNeighbours(metric="euclidean"), random_machine).argsort()
    normalized = scores(NearestNeighbours(metric="euclidean", normalize=True), random_machine).argsort()
    assert np.array_equal(normalized, cosine)
    assert not np.array_equal(euclidean, cosine)


@pytest.mark.parametrize("normalize", [False, True])
def test_selective_mahalanobis(random_machine, normalize):
    """One Gaussian each for source and target, the smaller distance counts; or one of all clips."""
    source, target, clips = (unit(rows) if normalize else rows for rows in random_machine)

    def distance(own):
        matrix = np.cov(own.T, bias=True)
        matrix = 0.9 * matrix + 0.1 * np.trace(matrix) / 12 * np.eye(12)
        return cdist(clips, own.mean(0)[None], "mahalanobis", VI=np.linalg.inv(matrix))[:, 0]

    selective = scores(Mahalanobis("group", 0.1, normalize=normalize), random_machine)
    np.testing.assert_allclose(selective, np.minimum(distance(source), distance(target)), rtol=1e-8)
    pooled = scores(Mahalanobis("group", 0.1, normalize=normalize, domains="pooled"), random_machine)
    np.testing.assert_allclose(pooled, distance(np.concatenate([source, target])), rtol=1e-8)


def test_k_means(random_machine):
    source, target, clips = random_machine
    centres = Clusters(16, random_state=3).fit(unit(source)).cluster_centers_
    expected = np.minimum(
        cdist(clips, centres, "cosine").min(axis=1), cdist(clips, target, "cosine").min(axis=1)
    )  # fewer clips of the target than clusters
    np.testing.assert_allclose(scores(KMeans(16, seed=3), random_machine), expected, rtol=1e-9)


def test_memory_mixed_with_the_nearest_source(random_machine):
    source, target, clips = random_machine
    near = cdist(unit(target), unit(source)).argsort(axis=1)[:, :20]
    mixed = 0.9 * unit(target)[:, None] + 0.1 * unit(source)[near]
    bank = np.concatenate([source, target, mixed.reshape(-1, 12)])
    expected = cdist(clips, bank, "cosine").min(axis=1)
    np.testing.assert_allclose(scores(MemMix(0.9, 20), random_machine), expected, rtol=1e-9)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_gaussian_mixture(random_machine, covariance):
    source, target, clips = random_machine
    backend = GaussianMixture(3, covariance, 0.01)
    found = scores(backend, random_machine)
    expected = []
    for own in (range(3), range(3, 6)):
        likelihoods = []
        for number in own:
            factor = backend.whitener[number].numpy()
            matrix = np.linalg.inv(np.diag(factor**2) if covariance == "diagonal" else factor @ factor.T)
            mean: Any = backend.mean[number].numpy()
            density = multivariate_normal(mean, cov=cast("Any", matrix))
            likelihoods.append(backend.log_weight[number].item() + density.logpdf(clips))
        expected.append(-logsumexp(likelihoods, axis=0))
    np.testing.assert_allclose(found, np.minimum(*expected), rtol=1e-9)
    one = scores(GaussianMixture(1, covariance, 0.01, domains="pooled"), random_machine)
    bank = np.concatenate([source, target])
    matrix = np.cov(bank.T, bias=True)
    matrix = np.diag(np.diag(matrix)) if covariance == "diagonal" else matrix
    density = multivariate_normal(bank.mean(0), matrix + 0.01 * np.eye(12))
    np.testing.assert_allclose(one, -density.logpdf(clips), rtol=1e-9)


def made_by_smote(backend: SMOTE, machine):
    source, target, _ = machine
    scores(backend, machine)
    return backend.bank[len(source) + len(target) :].numpy()


def test_smote_fills_the_target_up_to_a_share_of_the_source(random_machine):
    source, target, _ = random_machine
    made = made_by_smote(SMOTE(0.25, metric="euclidean"), random_machine)
    assert len(made) == int(0.25 * len(source)) - len(target)
    others = cdist(target, target).argsort(axis=1)[:, 1:3]
    for row in made:  # lies between a target clip and one of its two nearest others
        off = []
        for first, near in enumerate(others):
            for second in near:
                line = target[second] - target[first]
                share = (row - target[first]) @ line / (line @ line)
                off.append(np.linalg.norm(target[first] + np.clip(share, 0, 1) * line - row))
        assert min(off) < 1e-12
    assert not len(made_by_smote(SMOTE(0.01, metric="euclidean"), random_machine))
    assert not len(made_by_smote(SMOTE(0.5), (source, target[:1], target)))
    assert np.array_equal(made, made_by_smote(SMOTE(0.25, metric="euclidean"), random_machine))
    assert not np.array_equal(made, made_by_smote(SMOTE(0.25, metric="euclidean", seed=1), random_machine))


def test_smote_draws_pairs_and_shares_uniformly():
    """Targets on a line: clip 0, whose nearest is 1, and so on; shares and pairs are equally likely."""
    target = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 100.0], [3.0, 100.0]])
    made = made_by_smote(SMOTE(1.0, 1, metric="euclidean"), (np.zeros((20_004, 2)), target, target))
    low, high = made[made[:, 1] == 0][:, 0], made[made[:, 1] == 100][:, 0] / 3
    assert len(low) + len(high) == 20_000
    assert abs(len(low) / 20_000 - 0.5) < 0.02
    for share in (low, high):
        assert (
            np.abs(np.sort(share) - np.linspace(0, 1, len(share))).max() < 0.02
        )  # 1.36 / sqrt(10,000) = 0.014


def test_smote_makes_what_imbalanced_learn_makes():
    imblearn = pytest.importorskip("imblearn.over_sampling")
    rng = np.random.default_rng(2)
    source, target = rng.normal(size=(4000, 3)), rng.normal(size=(10, 3))
    rows, label = np.concatenate([source, target]), np.repeat([0, 1], [4000, 10])
    theirs = imblearn.SMOTE(sampling_strategy=0.8, k_neighbors=3, random_state=0).fit_resample(rows, label)
    theirs = theirs[0][len(rows) :]
    ours = made_by_smote(SMOTE(0.8, 3, metric="euclidean"), (source, target, target))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=0.1)
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        np.testing.assert_allclose(
            np.quantile(ours, quantile, axis=0), np.quantile(theirs, quantile, axis=0), atol=0.1
        )


def test_domains_standardised_over_the_test_set(random_machine):
    source, target, clips = random_machine
    each = [cdist(clips, own, "cosine").min(axis=1) for own in (source, target)]
    expected = np.minimum(*((values - values.mean()) / values.std() for values in each))
    backend = TransductiveDomainNormalized()
    np.testing.assert_allclose(scores(backend, random_machine), expected, rtol=1e-8)
    with pytest.raises(
        ValueError, match="a single clip of group 7: TransductiveDomainNormalized standardises"
    ):
        backend(torch.from_numpy(clips[:1]), torch.tensor([7]))


def test_domains_standardised_over_held_out_training_clips(random_machine):
    source, target, clips = random_machine
    bank, is_target = np.concatenate([source, target]), np.repeat([False, True], [200, 9])
    half = np.arange(209) % 2
    expected = []
    for own in (~is_target, is_target):
        values = np.empty(209)
        for held_out in (0, 1):
            known = bank[own & (half != held_out)]
            values[half == held_out] = cdist(bank[half == held_out], known, "cosine").min(axis=1)
        expected.append((cdist(clips, bank[own], "cosine").min(axis=1) - values.mean()) / values.std())
    backend = DomainNormalized()
    np.testing.assert_allclose(scores(backend, random_machine), np.minimum(*expected), rtol=1e-8)
    alone = backend(torch.from_numpy(clips[:1]), torch.tensor([7])).item()
    assert alone == pytest.approx(min(each[0] for each in expected))


def test_domains_of_a_group_that_has_one_only():
    torch.manual_seed(0)
    embeddings, group = torch.randn(30, 4), torch.arange(30) % 2
    for backend in (DomainNormalized(), TransductiveDomainNormalized()):
        backend.fit(
            embeddings, group, torch.zeros(30, dtype=torch.long) + (group == 1) * (torch.arange(30) > 20)
        )
        assert backend(embeddings + 0.1, group).isfinite().all()


def test_ranks_of_scores():
    reference = torch.tensor([1.0, 2, 2, 5, 9], dtype=torch.double)
    found = rank(torch.tensor([0.0, 1, 1.5, 3.5, 9, 16], dtype=torch.double), reference)
    assert found.tolist() == [0, 0, 0.125, 0.625, 1, 1 + 7 * 0.5 / 7]


def test_fusion_weighs_back_ends_by_proxy_outliers():
    """Of three machines; what is blind to how they differ weighs nothing."""

    class Blind(NearestNeighbours):
        def _distance(self, embeddings, cell):
            return super()._distance(embeddings, cell).mul(0)

    torch.manual_seed(0)
    group = torch.arange(90) % 3
    embeddings = torch.randn(90, 5).double()
    embeddings[:, 0] += 2 * group
    near, far = NearestNeighbours(metric="euclidean"), Mahalanobis()
    fusion = RankFusion([near, Blind(), far])
    fusion.fit(embeddings, group)
    useful = []
    for backend in (copy.deepcopy(near), copy.deepcopy(far)):
        total = 0
        for number in range(3):
            normal, proxy = [], []
            own = (group == number).nonzero().flatten()
            others = (group != number).nonzero().flatten()
            for held_out in (0, 1):
                known = torch.cat(
                    [(group == each).nonzero().flatten()[1 - held_out :: 2] for each in range(3)]
                )
                backend.fit(embeddings[known], group[known])
                rows = own[held_out::2]
                strangers = others[(torch.arange(30) * 60 // 30)[held_out::2]]
                normal += backend(embeddings[rows], group[rows]).tolist()
                proxy += backend(embeddings[strangers], group[rows]).tolist()
            total += 2 * roc_auc_score([0] * 30 + [1] * 30, normal + proxy) - 1
        useful.append(total / 3)
    expected = np.array([useful[0], 0, useful[1]]) / sum(useful)
    np.testing.assert_allclose(fusion.weight.numpy(), expected, rtol=1e-9)
    clips, groups = torch.randn(20, 5).double() * 3, torch.arange(20) % 3
    ranks = torch.empty(2, 20, dtype=torch.double)
    for place, (at, backend) in enumerate(((0, near), (2, far))):
        backend.fit(embeddings, group)
        values = backend(clips, groups)
        for number in range(3):
            reference = fusion.references[at].split(fusion.reference_sizes.tolist())[number]
            ranks[place, groups == number] = rank(values[groups == number], reference)
    combined = torch.from_numpy(expected[[0, 2]]) @ ranks
    torch.testing.assert_close(fusion(clips, groups), combined, rtol=1e-9, atol=1e-12)


def test_fusion_of_a_single_machine_or_with_given_weights():
    torch.manual_seed(0)
    embeddings, group = torch.randn(40, 5), torch.zeros(40, dtype=torch.long)
    fusion = RankFusion()
    fusion.fit(embeddings, group)
    assert fusion.weight.tolist() == pytest.approx([1 / 3] * 3)
    chosen = RankFusion([NearestNeighbours(), Mahalanobis()], [1, 3])
    chosen.fit(embeddings, group)
    assert chosen.weight.tolist() == [0.25, 0.75]
    far = chosen(
        torch.stack([embeddings[0] + step for step in (10, 20, 40)]), torch.zeros(3, dtype=torch.long)
    )
    assert (far.diff() > 0).all()  # beyond the largest score of normal clips the order stays


ALL = [
    Rescaled(),
    LocalDensity(),
    KMeans(3),
    SMOTE(0.8),
    MemMix(),
    GaussianMixture(),
    DomainNormalized(),
    TransductiveDomainNormalized(Mahalanobis()),
    RankFusion(),
    RankFusion([DomainNormalized(LocalDensity()), KMeans()]),
]


@pytest.mark.parametrize("backend", ALL, ids=lambda each: type(each).__name__)
def test_every_back_end_scores_anomalies_higher_and_is_restored(backend):
    fitted, fresh = copy.deepcopy(backend), copy.deepcopy(backend)
    torch.manual_seed(0)
    group, domain = torch.tensor([3, 7]).repeat(30), (torch.arange(60) > 49).long()
    embeddings = torch.randn(60, 5) + group[:, None] + domain[:, None]
    fitted.fit(embeddings, group, domain)
    fresh.restore(fitted.state())
    clips = torch.randn(8, 5) + 7
    clips[4:] *= torch.tensor([1.0, -1, 1, -1, 1])
    groups = torch.full((8,), 7)
    found = fitted(clips, groups)
    assert found[4:].mean() > found[:4].mean()
    assert torch.equal(fresh(clips, groups), found)
    assert not fitted.state_dict()
    assert all(tensor.is_meta for tensor in fresh.to("meta").state().values())


def test_what_earlier_versions_fitted_scores_as_it_did():
    """They scaled every embedding to length 1, and kept nothing that says so."""
    torch.manual_seed(0)
    embeddings, group = torch.randn(30, 5), torch.zeros(30, dtype=torch.long)
    unit_length = torch.nn.functional.normalize(embeddings)
    older = {"cells": torch.tensor([[0, 0]]), "bank": unit_length, "bank_sizes": torch.tensor([30])}
    backend = NearestNeighbours(metric="euclidean")
    backend.restore(older)
    clips = torch.randn(4, 5) * 3
    expected = torch.cdist(torch.nn.functional.normalize(clips), unit_length).amin(dim=1)
    torch.testing.assert_close(backend(clips, group[:4]), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NearestNeighbours(domains=cast("Any", "both")), "domains='both' must be smaller or pooled"),
        (lambda: Rescaled(0), "neighbours=0: expected at least 1"),
        (lambda: LocalDensity(16, 0), "target=0: expected at least 1 neighbour"),
        (lambda: KMeans(0), "clusters=0: expected at least 1"),
        (lambda: SMOTE(0), "ratio=0: expected more than 0"),
        (lambda: SMOTE(between=0), "between=0: expected at least 1 neighbour"),
        (lambda: MemMix(1), "share=1 must lie between 0 and 1"),
        (lambda: MemMix(mixed=0), "mixed=0: expected at least 1 source clip"),
        (lambda: GaussianMixture(0), "components=0: expected at least 1"),
        (lambda: GaussianMixture(1, cast("Any", "tied")), "covariance='tied' must be diagonal or full"),
        (lambda: DomainNormalized(Rescaled()), "DomainNormalized of pooled domains: set domains=smaller"),
        (lambda: RankFusion([KMeans()]), "1 back ends: a fusion is of two at least"),
        (
            lambda: RankFusion([KMeans(), TransductiveDomainNormalized()]),
            "a transductive back end has no ranks",
        ),
        (
            lambda: RankFusion([KMeans(), SMOTE()], [1, -1]),
            r"weights=\[1, -1\]: expected 2 that are not negative",
        ),
    ],
)
def test_wrong_settings_are_told_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_single_clip_cannot_be_held_out():
    backend = DomainNormalized()
    with pytest.raises(
        ValueError, match="group 4 has a single normal clip: scores of held-out clips need two"
    ):
        backend.fit(torch.randn(3, 2), torch.tensor([3, 3, 4]))
