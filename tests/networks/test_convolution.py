"""Convolutions compute what PyTorch's compute, forward to the bit and backward to rounding."""

import copy

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import convert_conv2d_weight_memory_format

from lightning_modules.networks import AASIST, LCNN, RFRResNet, convolution
from lightning_modules.networks.convolution import (
    Convolution,
    Forms,
    Geometry,
    choose_forms,
    input_gradient,
    weight_gradient,
)
from lightning_modules.networks.cpu_rule import rule_of_this_cpu, use_rule

# (input, weight, stride, padding, dilation): kernels of the networks, and odd ones
SHAPES = [
    ((2, 32, 9, 40), (16, 32, 2, 3), (1, 1), (0, 1), (1, 1)),
    ((2, 16, 8, 33), (32, 16, 2, 3), (1, 1), (1, 1), (1, 1)),
    ((3, 1, 7, 50), (8, 1, 1, 3), (1, 1), (0, 1), (1, 1)),
    ((2, 1, 17, 19), (8, 1, 5, 5), (2, 2), (1, 1), (1, 1)),
    ((2, 3, 17, 19), (8, 3, 5, 4), (2, 1), (0, 3), (1, 2)),
    ((2, 10, 12, 14), (9, 10, 3, 3), (1, 1), (1, 1), (2, 1)),
    ((2, 10, 12, 14), (9, 10, 3, 3), (1, 1), (4, 2), (2, 3)),
    ((1, 8, 1, 1), (8, 8, 3, 3), (1, 1), (1, 1), (1, 1)),
    ((2, 8, 1, 5), (8, 8, 3, 3), (1, 1), (6, 1), (3, 1)),
    ((5, 9, 64, 64), (8, 9, 3, 2), (1, 1), (0, 0), (1, 1)),
]
CASES = [
    *((shape, Forms("columns", "columns")) for shape in SHAPES),
    *((shape, Forms("columns", "torch")) for shape in SHAPES[2:4]),
    *((shape, Forms("flipped", "shifts")) for shape in SHAPES if shape[2] == (1, 1)),
]
# large enough for each form of each rule
LAYERS = [
    ({"in_channels": 16, "out_channels": 8, "kernel_size": (2, 3), "padding": (0, 1)}, (2, 16, 24, 200)),
    ({"in_channels": 1, "out_channels": 8, "kernel_size": 5, "padding": 2, "bias": False}, (2, 1, 30, 20)),
    ({"in_channels": 1, "out_channels": 8, "kernel_size": (1, 3), "stride": (1, 2)}, (2, 1, 30, 20)),
]


def gradients(layer, x):
    """Output, and gradients of input and parameters."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(x)
    torch.manual_seed(0)
    grad = torch.randn_like(y)
    return y.detach(), torch.autograd.grad(y, [x, *layer.parameters()], grad)


def plain(layer):
    other = copy.deepcopy(layer)
    use_rule(other, "torch")
    return other


@pytest.mark.parametrize(("shape", "forms"), CASES)
def test_gradients_are_those_of_torch(shape, forms):
    size, kernel, *rest = shape
    geometry = Geometry(*rest)
    torch.manual_seed(0)
    x, weight = torch.randn(size).double(), torch.randn(kernel).double()
    x = x.contiguous(memory_format=torch.channels_last)
    y = F.conv2d(x, weight, None, *geometry)
    grad = torch.randn_like(y)
    wanted = torch.ops.aten.convolution_backward(
        grad, x, weight, None, *map(list, geometry), False, [0, 0], 1, [True, True, False]
    )
    assert relative(input_gradient(grad, x, weight, geometry, forms), wanted[0]) < 1e-12
    assert relative(weight_gradient(grad, x, weight, geometry, forms), wanted[1]) < 1e-12


@pytest.mark.parametrize("shape", [shape for shape in SHAPES[:-1] if shape[2] == (1, 1)])
@pytest.mark.parametrize("band", [1, 1000])
def test_pieces_add_up(monkeypatch, shape, band):
    """Clip by clip or row by row, a few pixels at once: as what is too large for the cache."""
    monkeypatch.setattr(convolution, "_BAND", band)
    monkeypatch.setattr(convolution, "_PIXELS", 7)
    test_gradients_are_those_of_torch(shape, Forms("flipped", "shifts"))


def relative(found, wanted):
    assert found.shape == wanted.shape
    return (found - wanted).abs().max() / wanted.abs().max()


@pytest.mark.parametrize("rule", ["avx2-1", "avx512-1"])
@pytest.mark.parametrize(("settings", "shape"), LAYERS)
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_a_layer_differs_in_rounding_alone(rule, settings, shape, dtype, limit):
    torch.manual_seed(0)
    layer = convert_conv2d_weight_memory_format(Convolution(**settings).to(dtype), torch.channels_last)
    use_rule(layer, rule)
    x = torch.randn(shape, dtype=dtype)
    output, found = gradients(layer, x)
    own_output, wanted = gradients(plain(layer), x)
    assert torch.equal(output, own_output)
    assert all(relative(a, b) < limit for a, b in zip(found, wanted, strict=True))


def test_rules_never_change():
    """A run that goes on has the bits of its beginning: what differs needs the name of a new rule."""
    cases = [
        ((2, 32, 24, 5290), (32, 32, 2, 3), 1, True),
        ((2, 64, 23, 21), (64, 64, 2, 3), 1, True),
        ((2, 1, 23, 5290), (32, 1, 2, 3), 1, True),
        ((2, 1, 126, 240), (64, 1, 5, 5), 1, False),
        ((2, 1, 126, 240), (64, 1, 2, 3), 1, False),
        ((2, 64, 63, 156), (64, 64, 3, 3), 2, True),
        ((2, 64, 63, 156), (64, 64, 1, 1), 1, True),
    ]
    found = {
        rule: [
            choose_forms(
                rule,
                torch.empty(x, requires_grad=needs, device="meta"),
                torch.empty(weight, device="meta"),
                Geometry((stride, stride), (0, 0), (1, 1)),
            )
            for x, weight, stride, needs in cases
        ]
        for rule in ("torch", "avx2-1", "avx512-1")
    }
    shifts, columns = Forms("flipped", "shifts"), Forms("columns", "torch")
    assert found == {
        "torch": [None] * 7,
        "avx2-1": [shifts, None, columns, Forms("columns", "columns"), None, None, None],
        "avx512-1": [None, None, columns, None, None, None, None],
    }


@pytest.mark.parametrize(
    ("network", "shape"),
    [(AASIST, (2, 8000)), (lambda: LCNN(64, 32), (2, 1, 64, 32)), (RFRResNet, (2, 1, 64, 70))],
)
def test_networks_have_the_loss_to_the_bit_and_the_state_of_before(network, shape):
    torch.manual_seed(0)
    net = network()
    use_rule(net, "avx2-1")
    x = torch.randn(shape) * 0.1
    results = []
    for each in (net, plain(net)):
        torch.manual_seed(1)
        loss = each(x).logits.square().mean()
        loss.backward()
        results.append((loss, [p.grad.double() for p in each.parameters() if p.grad is not None]))
    (loss, found), (own_loss, wanted) = results
    assert torch.equal(loss, own_loss)
    largest = max(each.abs().max() for each in wanted)
    assert all((a - b).abs().max() <= 2e-5 * largest for a, b in zip(found, wanted, strict=True))
    layers = [each for each in net.modules() if isinstance(each, nn.Conv2d)]
    assert layers
    assert all(isinstance(each, Convolution) for each in layers)
    assert {name for layer in layers for name in layer.state_dict()} <= {"weight", "bias"}


def layer_and_input():
    torch.manual_seed(0)
    settings, shape = LAYERS[0]
    layer = Convolution(**settings)
    use_rule(layer, "avx2-1")
    return layer, torch.randn(shape)


def is_own(y):
    return "WithOwnBackward" in type(y.grad_fn).__name__


def test_other_ways_are_those_of_torch():
    layer, x = layer_and_input()
    assert is_own(layer(x))
    with torch.no_grad():
        assert layer(x).grad_fn is None
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
        assert y.dtype == torch.bfloat16
        assert not is_own(y)
        assert torch.equal(y, plain(layer)(x))
    assert not is_own(layer.bfloat16()(x.bfloat16()))
    layer, x = layer_and_input()
    assert not is_own(layer(x[0]))
    assert layer(x[:0]).shape == (0, 8, 23, 200)
    for settings in ({"groups": 2}, {"padding_mode": "circular", "padding": 1}, {"padding": "same"}):
        other = Convolution(16, 8, 3, **settings)
        use_rule(other, "avx2-1")
        assert not is_own(other(x)), settings


def test_gradients_of_gradients_are_refused_and_the_message_has_a_way_out():
    layer, x = layer_and_input()
    x.requires_grad_()
    with pytest.raises(RuntimeError, match=r"^gradients of gradients: .*use_rule\(network, \"torch\"\)$"):
        torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    use_rule(layer, "torch")
    (gradient,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), layer.weight)
    assert second.abs().sum() > 0


def test_compiled_and_exported_it_is_the_same_convolution():
    layer, x = layer_and_input()
    output, wanted = gradients(plain(layer), x)
    compiled, found = gradients(torch.compile(layer, backend="aot_eager", fullgraph=True), x)
    assert torch.equal(compiled, output)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    program = torch.export.export(layer, (x,))
    assert torch.equal(program.module()(x), output)
    assert [node.target for node in program.graph.nodes if node.op == "call_function"] == [
        torch.ops.aten.conv2d.default
    ]


def test_ranks_reduce_its_gradients(tmp_path):
    layer, x = layer_and_input()
    expected = gradients(layer, x)[1][1:]
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'ranks'}", rank=0, world_size=1)
    try:
        found = gradients(DistributedDataParallel(layer), x)[1][1:]
    finally:
        dist.destroy_process_group()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_same_step_has_the_same_bits():
    layer, x = layer_and_input()
    first, second = gradients(layer, x)[1], gradients(layer, x)[1]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_rule_is_that_of_the_vectors_of_this_cpu():
    capability = torch.backends.cpu.get_cpu_capability()
    assert rule_of_this_cpu() == {"AVX2": "avx2-1", "AVX512": "avx512-1"}.get(capability, "torch")
    assert Convolution(1, 1, 3).rule == rule_of_this_cpu()
