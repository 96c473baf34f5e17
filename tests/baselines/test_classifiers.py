"""Baselines that learn: against scikit-learn and brute force on fresh random clips."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lightning_modules.baselines.classifiers import logistic_regression, nearest_neighbour
from lightning_modules.baselines.distances import mahalanobis, nearest_normal
from lightning_modules.baselines.regression import linear, nearest_example


@pytest.fixture
def clips():
    seed = int(np.random.default_rng().integers(2**31))
    print("seed", seed)
    random = np.random.default_rng(seed)
    target = random.permutation(np.repeat([0, 1, 3], 20))
    train = random.normal(size=(60, 6)) * [1, 5, 100, 1, 0.01, 1] + target[:, None]
    train[:, 3] = 7.0  # a statistic that never changes
    test = random.normal(size=(50, 6)) * [1, 5, 100, 0, 0.01, 1] + 1
    return torch.from_numpy(train), torch.from_numpy(target), torch.from_numpy(test)


def test_logistic_regression(clips):
    train, target, test = clips
    found = logistic_regression(train, target, test, 5).softmax(dim=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    wanted = model.fit(train[:, [0, 1, 2, 4, 5]], target).predict_proba(test[:, [0, 1, 2, 4, 5]])
    np.testing.assert_allclose(found[:, [0, 1, 3]], wanted, atol=1e-4)
    assert (found[:, [2, 4]] == 0).all(), "classes without training clips"


def test_nearest_neighbour(clips):
    train, target, test = clips
    found = nearest_neighbour(train, target, test, 4)
    kept = [0, 1, 2, 4, 5]
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1)).fit(train[:, kept], target)
    np.testing.assert_array_equal(found.argmax(dim=1), model.predict(test[:, kept]))
    assert found[:, 2].isneginf().all()


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="all of one class"):
        logistic_regression(torch.randn(4, 2), torch.ones(4, dtype=torch.int64), torch.randn(1, 2), 2)


def test_distances_from_normal_clips(clips):
    train, _, test = clips
    kept = [0, 1, 2, 4, 5]
    scale = StandardScaler().fit(train[:, kept])
    nearest = NearestNeighbors(n_neighbors=1).fit(scale.transform(train[:, kept]))
    distance, _ = nearest.kneighbors(scale.transform(test[:, kept]))
    np.testing.assert_allclose(nearest_normal(train, test), distance[:, 0], rtol=1e-6)
    fitted = LedoitWolf().fit(train)
    shift = torch.from_numpy(fitted.location_) - test
    precision = torch.linalg.inv(torch.from_numpy(fitted.covariance_))
    wanted_distance = (shift @ precision * shift).sum(dim=1).sqrt()
    np.testing.assert_allclose(mahalanobis(train, test), wanted_distance, rtol=1e-5)


def test_regressions(clips):
    train, target, test = clips
    inputs, others = train[:, [0, 1, 5]], test[:, [0, 1, 5]]
    outputs = torch.stack([inputs @ torch.tensor([1.0, -2.0, 0.5]).double() + 3, target.double()], dim=1)
    found = linear(inputs, outputs, others, [0, 4])
    wanted = LinearRegression().fit(inputs, outputs[:, 0]).predict(others)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-8)
    assert set(found[:, 1].tolist()) <= {0.0, 1.0, 3.0}
    model = make_pipeline(StandardScaler(), KNeighborsRegressor(1)).fit(inputs, outputs)
    np.testing.assert_allclose(nearest_example(inputs, outputs, others, [0, 4]), model.predict(others))
