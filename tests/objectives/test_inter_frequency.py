import copy
import math

import pytest
import torch
from torch import nn

from lightning_modules.frontends.band_pass_mask import BandPassMask
from lightning_modules.objectives import InterFrequency


def naive(p_logits, q_logits):
    total = 0.0
    for p_row, q_row in zip(p_logits.tolist(), q_logits.tolist(), strict=True):
        p_sum, q_sum = sum(map(math.exp, p_row)), sum(map(math.exp, q_row))
        for p, q in zip(p_row, q_row, strict=True):
            total += math.exp(p) / p_sum * math.log(math.exp(p) / p_sum / (math.exp(q) / q_sum))
    return total / len(p_logits)


@pytest.mark.parametrize("classes", [2, 5])
def test_equals_the_double_sum_of_eq_2(classes):
    clean, masked = torch.randn(2, 7, classes).double() * 3
    forward, reverse = naive(clean, masked), naive(masked, clean)
    for divergence, expected in (
        ("forward", forward),
        ("reverse", reverse),
        ("symmetric", (forward + reverse) / 2),
    ):
        loss = InterFrequency(divergence=divergence)(clean, masked)  # pyright: ignore[reportArgumentType]
        assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("divergence", ["symmetric", "forward", "reverse"])
@pytest.mark.parametrize(("shift", "tolerance"), [(1e-3, 1e-3), (0.05, 2e-5), (0.3, 2e-6), (100.0, 2e-6)])
def test_nearly_equal_decisions_keep_their_digits(divergence, shift, tolerance):
    torch.manual_seed(0)
    clean, direction = torch.randn(2, 50, 3)
    masked = clean + shift * direction
    forward, reverse = naive(clean, masked), naive(masked, clean)
    expected = {"forward": forward, "reverse": reverse, "symmetric": (forward + reverse) / 2}
    loss = InterFrequency(divergence=divergence)(clean, masked)
    assert loss.item() == pytest.approx(expected[divergence], rel=tolerance)


def test_one_column_is_the_log_odds_of_class_1():
    clean, masked = torch.randn(2, 6, 1)
    objective = InterFrequency()
    two = [torch.cat([torch.zeros(6, 1), logits], dim=1) for logits in (clean, masked)]
    torch.testing.assert_close(objective(clean, masked), objective(*two))


def test_equal_decisions_cost_nothing_and_the_symmetric_loss_has_no_direction():
    clean, masked = torch.randn(2, 4, 2)
    objective = InterFrequency()
    assert objective(clean, clean + 3).abs() < 1e-6
    torch.testing.assert_close(objective(clean, masked), objective(masked, clean))


@pytest.mark.parametrize("divergence", ["symmetric", "forward", "reverse"])
@pytest.mark.parametrize("columns", [1, 3])
def test_gradients(divergence, columns):
    clean, masked = (torch.randn(3, columns, dtype=torch.double, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(InterFrequency(divergence=divergence), (clean, masked))


def test_stop_gradient_fixes_the_clean_decision():
    clean, masked = (torch.randn(3, 2, requires_grad=True) for _ in range(2))
    InterFrequency(stop_gradient=True)(clean, masked).backward()
    assert clean.grad is None
    assert masked.grad is not None


def test_extreme_logits_stay_finite():
    clean = torch.tensor([[1e4, -1e4], [200.0, 0.0]], requires_grad=True)
    masked = (-clean.detach()).requires_grad_()
    loss = InterFrequency()(clean, masked)
    loss.backward()
    assert loss.item() == pytest.approx((2e4 + 200) / 2, rel=1e-4)
    assert clean.grad is not None
    assert clean.grad.isfinite().all()


def test_half_precision_logits_give_a_float32_loss():
    clean, masked = torch.randn(2, 8, 2).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = InterFrequency()(clean, masked)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, InterFrequency()(clean.float(), masked.float()))


def test_weight_0_skips_the_loss():
    logits = torch.full((2, 2), torch.nan, requires_grad=True)
    loss = InterFrequency(0)(logits, logits)
    assert loss.item() == 0
    assert not loss.requires_grad


def test_masks_with_the_papers_band_or_the_given_module():
    objective = InterFrequency()
    assert isinstance(objective.mask, BandPassMask)
    assert objective.mask(torch.randn(2, 1, 1000)).shape == (2, 1, 1000)
    given = nn.Identity()
    assert InterFrequency(mask=given).mask is given
    assert not copy.deepcopy(objective).state_dict()


def test_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match="divergence='jensen'"):
        InterFrequency(divergence="jensen")  # pyright: ignore[reportArgumentType]
