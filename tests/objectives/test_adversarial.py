"""Losses of generator and discriminator by hand."""

import math

import pytest
import torch

from lightning_modules.objectives.adversarial import (
    cross_entropy_critic,
    cross_entropy_generator,
    gradient_penalty,
    wasserstein_critic,
    wasserstein_generator,
)


def test_wasserstein_losses():
    real, generated = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    assert wasserstein_critic(real, generated).item() == pytest.approx(-0.5 - 2.0)
    assert wasserstein_generator(generated).item() == pytest.approx(0.5)


def test_cross_entropies():
    real, generated = torch.tensor([math.log(3.0)]), torch.tensor([-math.log(3.0)])  # 3/4 and 1/4 real
    label = 0.9
    of_real = -label * math.log(0.75) - (1 - label) * math.log(0.25)
    assert cross_entropy_critic(real, generated, real_label=label).item() == pytest.approx(
        (of_real - math.log(0.75)) / 2
    )
    assert cross_entropy_generator(generated).item() == pytest.approx(-math.log(0.25))


def test_penalty_of_a_linear_critic_is_its_norm_less_one_squared():
    weight = torch.tensor([[3.0, 4.0]])
    penalty = gradient_penalty(lambda x: (x * weight).sum(dim=1), torch.randn(5, 2), torch.randn(5, 2))
    assert penalty.item() == pytest.approx(16.0)


def test_penalty_of_a_quadratic_critic_is_taken_between_the_sounds():
    real, generated = torch.zeros(4000, 1), torch.ones(4000, 1)
    torch.manual_seed(0)
    penalty = gradient_penalty(lambda x: x.square().sum(dim=1), real, generated)  # slope 2u, u uniform
    assert penalty.item() == pytest.approx(1 / 3, abs=0.02)


def test_penalty_teaches_the_critic():
    weight = torch.tensor([2.0], requires_grad=True)
    gradient_penalty(lambda x: (x * weight).sum(dim=1), torch.zeros(3, 1), torch.ones(3, 1)).backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(2.0)  # of (w - 1)²
