import math

import pytest
import torch
from torch import nn

from lightning_modules.networks import MAF, maf


def flow(input_dim=5, num_conditions=3, hidden_dim=16, deviation=0.3, **settings):
    """A small flow in float64, far from the identity, with the statistics of a few training steps."""
    network = MAF(input_dim, hidden_dim, num_conditions=num_conditions, **settings).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, deviation)
    for _ in range(20):
        network(*example(network, 32, input_dim))
    return network.eval()


def example(network, batch, input_dim):
    n = network.num_conditions
    x = 1 + 2 * torch.randn(batch, input_dim, dtype=torch.double)
    return x, torch.randint(n, (batch,)) if n else None


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in MAF().parameters()) == 29_720_576


@pytest.mark.parametrize("num_conditions", [0, 3])
@pytest.mark.parametrize("num_hidden", [0, 1, 2])
def test_log_det_is_that_of_the_jacobian(num_conditions, num_hidden):
    network = flow(num_conditions=num_conditions, num_hidden=num_hidden)
    x, condition = example(network, 4, 5)
    _, log_det = network(x, condition)
    for i in range(4):
        y = None if condition is None else condition[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(lambda row, y=y: network(row[None], y)[0][0], x[i])
        assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(log_det[i].item(), abs=1e-10)


@pytest.mark.parametrize("num_conditions", [0, 3])
def test_density_integrates_to_one(num_conditions):
    network = flow(input_dim=2, num_conditions=num_conditions, deviation=0.2)
    axis = torch.linspace(-30, 30, 401, dtype=torch.double)
    grid = torch.cartesian_prod(axis, axis)
    for y in range(max(1, num_conditions)):
        condition = torch.full((len(grid),), y) if num_conditions else None
        with torch.no_grad():
            total = network.log_prob(grid, condition).exp().sum() * 0.15**2
        assert total.item() == pytest.approx(1, abs=1e-3)


def test_variables_depend_on_earlier_ones_only_and_on_all_of_them():
    network = flow(input_dim=6, hidden_dim=64)
    x, condition = example(network, 1, 6)
    for i, made in enumerate(network.made):
        jacobian = torch.autograd.functional.jacobian(lambda row, f=made: f(row, condition)[0][0], x)
        expected = torch.ones(6, 6).triu() if i % 2 else torch.ones(6, 6).tril()
        assert torch.equal(torch.as_tensor(jacobian)[:, 0] != 0, expected.bool())


def test_log_prob_is_the_normal_density_times_the_volume():
    network = flow()
    x, condition = example(network, 4, 5)
    u, log_det = network(x, condition)
    expected = torch.distributions.Normal(0, 1).log_prob(u).sum(1) + log_det
    torch.testing.assert_close(network.log_prob(x, condition), expected)


def test_masks_hold_whatever_the_optimizer_does():
    network = flow()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        (-network.log_prob(*example(network, 16, 5))).mean().backward()
        optimizer.step()
    test_x = torch.randn(2, 5, dtype=torch.double)
    changed = test_x.clone()
    changed[:, 4] += 1
    u, changed_u = (network.made[0](x, torch.zeros(2, dtype=torch.long))[0] for x in (test_x, changed))
    assert torch.equal(u[:, :4], changed_u[:, :4])
    assert not (u[:, 4] == changed_u[:, 4]).any()


@pytest.mark.parametrize("rows_at_once", [1, 5, 6, 8192])
def test_marginal_is_the_mean_over_conditions(rows_at_once):
    network = flow()
    x, _ = example(network, 7, 5)
    conditions = torch.tensor([2, 0])
    each = [network.log_prob(x, torch.full((7,), y)).exp() for y in (2, 0)]
    expected = torch.stack(each).mean(0).log()
    marginal = network.marginal_log_prob(x, conditions, rows_at_once=rows_at_once)
    torch.testing.assert_close(marginal, expected)


def test_marginal_of_improbable_data_does_not_underflow():
    network = flow(deviation=0.1)
    x = torch.full((1, 5), 300.0, dtype=torch.double)
    marginal = network.marginal_log_prob(x, torch.arange(3))
    each = torch.stack([network.log_prob(x, torch.tensor([y])) for y in range(3)])
    assert each.max() < -1e3
    assert each.min() <= marginal <= each.max()


def test_batch_norm_normalizes_by_the_batch_and_remembers_nine_tenths():
    network = MAF(3, 8, num_blocks=1, num_conditions=0)
    norm = network.batch_norm[0]
    x = 5 + 3 * torch.randn(64, 3)
    u, log_det = norm(x)
    torch.testing.assert_close(u.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(u.var(0), torch.ones(3), atol=1e-4, rtol=0)
    assert log_det.item() == pytest.approx(-x.std(0).log().sum().item(), abs=1e-4)
    torch.testing.assert_close(norm.get_buffer("running_mean"), 0.1 * x.mean(0))
    torch.testing.assert_close(norm.get_buffer("running_var"), 0.9 + 0.1 * x.var(0))


def test_training_makes_the_data_more_probable_in_half_precision():
    network = MAF(4, 16, num_conditions=2)
    condition = torch.arange(256) % 2
    x = torch.randn(256, 4) * 0.5 + 3 * condition[:, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16):
            loss = -network.log_prob(x, condition).mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert loss.dtype == torch.float32
    # Each class is normal with deviation 0.5 in 4 dimensions: an entropy of 2.90 nats.
    assert 2.5 < losses[-1] < losses[0] - 0.3
    network.eval()
    assert (network.log_prob(x, condition) > network.log_prob(x, 1 - condition)).float().mean() > 0.95


def test_conditions_are_checked():
    network = MAF(3, 8, num_conditions=4)
    x = torch.randn(2, 3)
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match=f"condition {wrong} is not in 0 to 3"):
            network(x, torch.tensor([wrong, 1]))
    with pytest.raises(ValueError, match="this MAF has 4 conditions, but none was given"):
        network(x)
    with pytest.raises(ValueError, match="this MAF has 0 conditions, but one was given"):
        MAF(3, 8, num_conditions=0)(x, torch.tensor([0, 0]))


def test_unfit_use_is_refused():
    with pytest.raises(ValueError, match="input_dim=1: an autoregressive flow needs at least 2"):
        MAF(1)
    with pytest.raises(ValueError, match="batch of 1 has no variance"):
        MAF(3, 8)(torch.randn(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="evaluation mode"):
        MAF(3, 8).marginal_log_prob(torch.randn(2, 3), torch.tensor([0]))


def test_log_prob_of_standard_normal_noise_through_the_identity():
    network = MAF(3, 8, num_conditions=0, num_blocks=2).double().eval()
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    for norm in network.batch_norm:
        norm.eps = 0.0  # pyright: ignore[reportArgumentType]
    x = torch.zeros(1, 3, dtype=torch.double)
    assert network.log_prob(x).item() == pytest.approx(-1.5 * math.log(2 * math.pi), rel=1e-12)


@pytest.mark.parametrize(("inputs", "units"), [(7, 30), (40, 7), (1, 6)])
def test_sorted_units_give_what_masked_weights_give(inputs, units, monkeypatch):
    monkeypatch.setattr(maf, "_ROWS", 4)  # of which the last step has fewer
    in_degrees, out_degrees = torch.arange(inputs).flip(0) % 5, (torch.arange(units) % 6 - 1)
    layer = maf.MaskedLinear(in_degrees, out_degrees).double()
    x = torch.randn(3, inputs).double().requires_grad_()
    found = layer(x)
    assert type(found.grad_fn).__name__ == "_OfSortedBackward"
    with torch.no_grad():
        torch.testing.assert_close(found, layer(x))
    grad = torch.randn_like(found)
    wanted = nn.functional.linear(
        x, layer.weight * (out_degrees[:, None] >= in_degrees), layer.bias
    )  # differentiated by PyTorch
    tensors = [x, layer.weight, layer.bias]
    for one, other in zip(
        torch.autograd.grad(found, tensors, grad), torch.autograd.grad(wanted, tensors, grad), strict=True
    ):
        torch.testing.assert_close(one, other)
