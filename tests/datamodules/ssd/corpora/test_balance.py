"""How often clips of several corpora are drawn."""

import numpy as np
import pytest

from datamodules.ssd.corpora.balance import chances

CORPORA, TARGETS = ["a", "a", "a", "b"], np.array([1, 0, 0, 0])


@pytest.mark.parametrize(
    ("balance", "weights", "expected"),
    [
        ("none", {"a": 1.0, "b": 2.0}, [1 / 5, 1 / 5, 1 / 5, 2 / 5]),
        ("class", {}, [1 / 2, 1 / 6, 1 / 6, 1 / 6]),
        ("class", {"a": 1.0, "b": 2.0}, [1 / 2, 1 / 8, 1 / 8, 2 / 8]),
        ("corpus", {}, [1 / 6, 1 / 6, 1 / 6, 1 / 2]),
        ("corpus", {"a": 3.0, "b": 1.0}, [1 / 4, 1 / 4, 1 / 4, 1 / 4]),
        ("corpus_and_class", {}, [1 / 4, 1 / 8, 1 / 8, 1 / 2]),
        ("corpus_and_class", {"a": 3.0}, [3 / 8, 3 / 16, 3 / 16, 1 / 4]),
    ],
)
def test_chances(balance, weights, expected):
    found = chances(CORPORA, TARGETS, balance=balance, weights=weights)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("weights", [{}, {"a": 1.0, "b": 1.0}])
def test_each_clip_is_served_once_where_nothing_is_weighed(weights):
    assert chances(CORPORA, TARGETS, balance="none", weights=weights) is None


def test_equal_weights_other_than_one_weigh_nothing():
    assert chances(CORPORA, TARGETS, balance="none", weights={"a": 2.0, "b": 2.0}) is None
