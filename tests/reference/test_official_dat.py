"""Equality with the published deformable attention transformer, from equal weights.

Needs files that are no part of this project: DAT_REFERENCE, a clone of LeapLabTHU/DAT at commit 797f187 (2022).
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import timm.layers
import torch
from torch import nn

from lightning_modules.networks import DATAR
from lightning_modules.networks.deformable_attention import DeformableAttention
from lightning_modules.networks.window_attention import LocalAttention, ShiftWindowAttention

SIZES = {"tiny": (96, 6, 0.2), "small": (96, 18, 0.3), "base": (128, 18, 0.5)}


@pytest.fixture
def official(monkeypatch):
    """The published layers and network, with today's timm under the name they import it by."""
    if "DAT_REFERENCE" not in os.environ:
        pytest.skip("DAT_REFERENCE does not name the official files")
    package = ModuleType("official_dat")
    package.__path__ = [str(Path(os.environ["DAT_REFERENCE"]) / "models")]
    monkeypatch.setitem(sys.modules, "official_dat", package)
    monkeypatch.setitem(sys.modules, "timm.models.layers", timm.layers)
    yield SimpleNamespace(
        DAT=importlib.import_module("official_dat.dat").DAT,
        blocks=importlib.import_module("official_dat.dat_blocks"),
    )
    for name in [name for name in sys.modules if name.startswith("official_dat.")]:
        del sys.modules[name]


@pytest.fixture(params=[(torch.double, 1e-10), (torch.float, 2e-5)], ids=["double", "float"])
def tolerance(request):
    """Relative to the largest value; the published code makes some constants in the default precision."""
    dtype, tolerance = request.param
    torch.set_default_dtype(dtype)
    yield tolerance
    torch.set_default_dtype(torch.float)


def build_official(official, size, **settings):
    dim, depth, drop_path_rate = SIZES[size]
    dims = [dim * 2**stage for stage in range(4)]
    arguments = {
        "dim_stem": dim,
        "dims": dims,
        "depths": [2, 2, depth, 2],
        "heads": [width // 32 for width in dims],
        "groups": [-1, -1, dims[2] // 128, dims[3] // 128],
        "window_sizes": [7, 7, 7, 7],
        "strides": [-1, -1, 1, 1],
        "offset_range_factor": [-1, -1, 2, 2],
        "stage_spec": [["L", "S"], ["L", "S"], ["L", "D"] * (depth // 2), ["L", "D"]],
        "use_pes": [False, False, True, True],
        "drop_path_rate": drop_path_rate,
    }
    return official.DAT(**arguments | settings)


def share_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Draw weights that make offsets and biases matter, and give them to both."""
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith("table"):
                parameter.normal_(0, 1)
            elif "conv_offset.3" in name:
                parameter.normal_(0, 0.3)
            elif parameter.ndim == 1:
                parameter.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2)
            else:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    ours.load_state_dict(theirs.state_dict())
    theirs.eval()
    ours.eval()


def assert_equal_outputs_and_gradients(theirs, ours, x, tolerance):
    """`theirs` and `ours` are functions of x with a module's parameters behind them, as pairs."""
    outputs = []
    inputs = []
    for _, function in (theirs, ours):
        inputs.append(x.clone().requires_grad_())
        outputs.append(function(inputs[-1]))
    error = (outputs[0] - outputs[1]).abs().max() / outputs[0].abs().max()
    assert error < tolerance
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    pairs = [(inputs[0].grad, inputs[1].grad)]
    expected = {name: p.grad for name, p in theirs[0].named_parameters()}
    pairs += [(expected[name], p.grad) for name, p in ours[0].named_parameters()]
    scale = max(gradient.norm() for gradient, _ in pairs[1:])
    assert scale > 0
    assert (pairs[0][0] - pairs[0][1]).norm() < tolerance * pairs[0][0].norm()
    for their, our in pairs[1:]:
        assert (their - our).norm() < tolerance * scale


@pytest.mark.parametrize("window", [7, 4])
@pytest.mark.parametrize("shifted", [False, True])
def test_window_attention(official, shifted, window, tolerance):
    size = (2 * window, 2 * window)
    if shifted:
        shift = -(-window // 2)
        theirs = official.blocks.ShiftWindowAttention(64, 2, window, 0.0, 0.0, shift, size)
        ours = ShiftWindowAttention(64, 2, window, map_size=size)
    else:
        theirs = official.blocks.LocalAttention(64, 2, window, 0.0, 0.0)
        ours = LocalAttention(64, 2, window)
    share_weights(theirs, ours)
    x = torch.randn(2, 64, *size)
    assert_equal_outputs_and_gradients((theirs, lambda x: theirs(x)[0]), (ours, ours), x, tolerance)


@pytest.mark.parametrize(("size", "stride"), [((14, 14), 1), ((8, 20), 1), ((8, 20), 2), ((7, 9), 4)])
def test_deformable_attention(official, size, stride, tolerance):
    theirs = official.blocks.DAttentionBaseline(
        size, size, 8, 32, 2, 0.0, 0.0, stride, 2, True, False, False, False, 2
    )
    ours = DeformableAttention(256, 8, 2, map_size=size, kernel_size=5, key_stride=stride)
    share_weights(theirs, ours)
    x = torch.randn(2, 256, *size)
    _, positions, references = theirs(x)
    assert (positions - references).abs().max() > 0.5 * 2 * stride / max(size)  # offsets matter
    our_positions = ours.positions(ours.proj_q(x.movedim(1, -1)).movedim(-1, 1))
    torch.testing.assert_close(our_positions.view_as(positions), positions)
    assert_equal_outputs_and_gradients((theirs, lambda x: theirs(x)[0]), (ours, ours), x, tolerance)


def test_tiny_network(official, tolerance):
    theirs = build_official(official, "tiny")
    ours = DATAR.tiny(1000, input_size=(224, 224), in_channels=3)
    share_weights(theirs, ours)
    x = torch.randn(1, 3, 224, 224)
    assert_equal_outputs_and_gradients(
        (theirs, lambda x: theirs(x)[0]), (ours, lambda x: ours(x).logits), x, tolerance
    )


@pytest.mark.parametrize(
    ("size", "settings"), [("small", {}), ("base", {}), ("base", {"img_size": 384, "window_sizes": [12] * 4})]
)
def test_logits_of_larger_networks(official, size, settings):
    """The last is the published B-384."""
    theirs = build_official(official, size, **settings)
    side = settings.get("img_size", 224)
    windows = settings.get("window_sizes", (7,) * 4)
    ours = getattr(DATAR, size)(1000, input_size=(side, side), in_channels=3, windows=windows)
    share_weights(theirs, ours)
    x = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        expected, logits = theirs(x)[0], ours(x).logits
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("size", SIZES)
def test_state_dict_has_the_published_names_and_values(official, size):
    """Fresh buffers too: their values are the official ones, not only their shapes."""
    theirs = build_official(official, size).state_dict()
    ours = getattr(DATAR, size)(1000, input_size=(224, 224), in_channels=3).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in theirs.items()}
    assert len(ours) == {"tiny": 219, "small": 435, "base": 435}[size]
    for name, value in ours.items():
        if name.endswith(("relative_position_index", "attn_mask")):
            torch.testing.assert_close(value, theirs[name])


def test_stochastic_depth_draws_as_published(official):
    theirs = build_official(official, "tiny", drop_path_rate=0.6)
    ours = DATAR.tiny(1000, input_size=(224, 224), in_channels=3, drop_path_rate=0.6)
    share_weights(theirs, ours)
    x = torch.randn(2, 3, 224, 224)
    logits = []
    for network in (theirs.train(), ours.train()):
        torch.manual_seed(1)
        with torch.inference_mode():
            logits.append(network(x)[1 if network is ours else 0])
    torch.testing.assert_close(logits[1], logits[0])


def test_tables_stretch_as_published(official, tmp_path):
    """A checkpoint of the 224 square network, loaded for 384 and windows of 12 by the official rule."""
    checkpoint = build_official(official, "tiny")
    share_weights(checkpoint, checkpoint)
    torch.save({"model": checkpoint.state_dict(), "epoch": 1}, tmp_path / "dat.pth")
    theirs = build_official(official, "tiny", img_size=384, window_sizes=[12] * 4).eval()
    theirs.load_pretrained(checkpoint.state_dict())
    ours = DATAR.tiny(1000, input_size=(384, 384), in_channels=3, windows=(12,) * 4)
    ours.load_official(tmp_path / "dat.pth")
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)
