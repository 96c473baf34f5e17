"""Exponential linear units are PyTorch's but for rounding, and to the bit where they are not trained on a CPU."""

import pytest
import torch
import torch.nn.functional as F

from lightning_modules.networks import SignalTrain
from lightning_modules.networks.cpu_rule import Rule, use_rule
from lightning_modules.networks.elu import ELU


def maps(*, last=True):
    """More than a piece of them, and the values at which exponentials go wrong."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, 50, 60)
    x.view(-1)[:7] = torch.tensor([0.0, -0.0, 1e-30, -1e-30, -200, 200, -float("inf")])
    return x.contiguous(memory_format=torch.channels_last) if last else x


def unit(rule: Rule = "avx512-1", **options):
    layer = ELU(**options)
    use_rule(layer, rule)
    return layer


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_outputs_and_gradients_are_those_of_torch(inplace, last):
    given, wanted = (maps(last=last).requires_grad_() for _ in range(2))
    found = unit(inplace=inplace)(given * 1)
    expected = F.elu(wanted * 1)
    assert type(found.grad_fn).__name__ == "_ByExponentialBackward"
    assert found.stride() == expected.stride()
    torch.testing.assert_close(found, expected, rtol=2e-7, atol=2e-7)
    grad = torch.randn_like(expected)
    found.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(given.grad, wanted.grad, rtol=1e-6, atol=1e-6)


def test_what_is_no_number_stays_none():
    x = torch.tensor([float("nan"), 1.0], requires_grad=True)
    assert unit()(x).isnan().tolist() == [True, False]


def test_elsewhere_they_are_torchs_to_the_bit():
    x = maps().requires_grad_()
    every_other = x[..., ::2]  # of which pieces would not be the memory
    assert torch.equal(unit()(every_other), F.elu(every_other))
    assert torch.equal(unit("avx2-1")(x), F.elu(x))
    with torch.no_grad():
        assert torch.equal(unit()(x), F.elu(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(unit()(x), F.elu(x))
    compiled = torch.compile(unit(), backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), F.elu(x))


def test_steps_of_a_network_agree():
    gradients = {}
    for rule in ("torch", "avx512-1"):
        torch.manual_seed(0)
        network = SignalTrain()
        use_rule(network, rule)
        network(torch.randn(2, 1, 8192) * 0.1, torch.rand(2, 4) - 0.5).square().mean().backward()
        gradients[rule] = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    difference = (gradients["torch"] - gradients["avx512-1"]).abs().max()
    assert 0 < difference < 2e-5 * gradients["torch"].abs().max()
