"""Models of the mapper: against closed forms, Wekinator's promises, and what the mapping must reach."""

import time

import numpy as np
import pytest
import torch

from lightning_modules.networks import NearestExamples, Perceptron


def grid(per_side):
    side = torch.linspace(0, 1, per_side)
    return torch.cartesian_prod(side, side)


def target(x):
    """A linear, a bilinear and a curved output in units far apart."""
    a, b = x.T
    return torch.stack([100 + 600 * a - 200 * b, a * b, torch.exp(-3 * a) * torch.sin(3 * b)], dim=1)


def r2(model, points):
    error = (model(points) - target(points)).square().sum(0)
    return 1 - error / (target(points) - target(points).mean(0)).square().sum(0)


UNSEEN = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("hidden_dim", [0, 16])
def test_four_corners_suffice_for_a_linear_output(hidden_dim):
    model = Perceptron(hidden_dim)
    model.fit(grid(2), target(grid(2)), [0, 0, 0])
    assert r2(model, UNSEEN)[0] > 0.99


def test_25_examples_suffice_for_curves_and_are_learnt_in_two_seconds():
    model = Perceptron(16)
    start = time.process_time()
    model.fit(grid(5), target(grid(5)), [0, 0, 0])
    assert time.process_time() - start < 2
    assert r2(model, UNSEEN).min() > 0.99


def test_without_hidden_units_it_is_ridge_regression():
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(40, 3, generator=random), torch.randn(40, 1, generator=random)
    model = Perceptron(0, weight_decay=0.05)
    model.fit(x, y, [0])

    def scaled(values):
        low, high = values.min(0), values.max(0)
        return (2 * values - low - high) / (high - low)

    a, b = scaled(x.double().numpy()), scaled(y.double().numpy())
    # mean squared error + decay / 2 * |w|^2, the bias free
    centred = a - a.mean(0)
    weight = np.linalg.solve(
        2 / 40 * centred.T @ centred + 0.05 * np.eye(3), 2 / 40 * centred.T @ (b - b.mean(0))
    )
    np.testing.assert_allclose(model.weight.detach().numpy(), weight.T, atol=1e-5)
    expected = b.mean(0) + centred @ weight
    expected = (expected * np.ptp(y.numpy()) + y.numpy().max() + y.numpy().min()) / 2
    np.testing.assert_allclose(model(x).detach().numpy(), expected, atol=1e-5)


def test_classes_and_values_side_by_side():
    x = grid(5)
    y = torch.stack([(x.sum(1) > 1.1).float() + (x.sum(1) > 1.6), x[:, 0]], dim=1)
    model = Perceptron(8)
    model.fit(x, y, [3, 0])
    predicted = model(x)
    assert torch.equal(predicted[:, 0], y[:, 0])
    assert torch.allclose(predicted[:, 1], y[:, 1], atol=0.02)


def test_every_output_has_a_model_of_its_own():
    alone, together = Perceptron(4), Perceptron(4)
    alone.fit(grid(3), target(grid(3))[:, :1], [0])
    together.fit(grid(3), target(grid(3)), [0, 0, 0])
    assert together.hidden_weight.shape == (3, 4, 2)
    x = UNSEEN.clone().requires_grad_()
    together(x)[:, 0].sum().backward()
    gradient = together.hidden_weight.grad
    assert gradient is not None
    assert gradient[0].abs().sum() > 0
    assert not gradient[1:].any()
    assert torch.allclose(alone(UNSEEN)[:, 0], together(UNSEEN)[:, 0], atol=10)


def test_learning_again_depends_on_the_examples_alone():
    model, fresh = Perceptron(None), Perceptron(None)
    model.fit(grid(3), target(grid(3)), [0, 0, 0])
    torch.randn(3)
    model.fit(grid(2), target(grid(2)), [0, 0, 0])
    fresh.fit(grid(2), target(grid(2)), [0, 0, 0])
    assert torch.equal(model(UNSEEN), fresh(UNSEEN))
    assert model.hidden_bias.shape == (3, 2)  # as many units as inputs


def test_constant_columns_change_nothing():
    x = torch.cat([grid(3), torch.ones(9, 1)], dim=1)
    for model in (Perceptron(2), NearestExamples()):
        model.fit(x, torch.cat([target(grid(3)), torch.full((9, 1), 7.0)], dim=1), [0, 0, 0, 0])
        assert torch.allclose(model(x)[:, 3], torch.tensor(7.0), atol=1e-3)


def test_the_nearest_neighbour_gives_an_example_back_exactly():
    random = torch.Generator().manual_seed(2)
    x = torch.rand(300, 5, generator=random) * 1e4 + 1e5
    y = torch.cat([torch.randn(300, 2, generator=random), torch.arange(300)[:, None] % 3], dim=1)
    model = NearestExamples()
    model.fit(x, y, [0, 0, 3])
    assert torch.equal(model(x), y)


def test_neighbours_vote_and_average_after_scaling():
    x = torch.tensor([[0.0, 0], [0.2, 1000], [1, 0], [1, 1000]])
    y = torch.tensor([[1.0, 0], [2, 1], [30, 1], [40, 2]])
    model = NearestExamples(3)
    model.fit(x, y, [0, 3])
    # in units of the range the point is 0.1, 0.54 and 0.9 away from the first three
    assert torch.allclose(model(torch.tensor([[0.1, 0.0]])), torch.tensor([[11.0, 1]]))


@pytest.mark.parametrize("arguments", [{"hidden_dim": -1}, {"weight_decay": -1.0}])
def test_negative_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="may be negative"):
        Perceptron(**arguments)
    with pytest.raises(ValueError, match="at least 1, found 0"):
        NearestExamples(0)
