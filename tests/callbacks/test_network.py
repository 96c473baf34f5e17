"""Compiled and checkpointed networks compute what plain ones do."""

import copy

import pytest
import torch
from plain_method import PlainMethod
from torch import nn

from lightning_modules.benchmark.cost_counters import peak_bytes
from lightning_modules.callbacks.network import ActivationCheckpointing, CompileNetwork
from lightning_modules.networks import AST, DATAR, EncoderClassifier
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoders import BEATs, PaSST


def set_up(callback, **parts):
    for stage in ("fit", "test"):
        callback.setup(None, PlainMethod(**parts), stage)  # pyright: ignore[reportArgumentType]


def step(network, features):
    torch.manual_seed(1)  # of drop path
    network.zero_grad()
    network(features).logits.square().mean().backward()


def on(encoder):
    return EncoderClassifier(encoder, PooledLinear(3, dim=32))


@pytest.mark.parametrize(
    ("plain", "size"),
    [
        (AST(3, input_size=(16, 136), embed_dim=24, depth=6, num_heads=3), (16, 136)),
        (
            DATAR(3, input_size=(32, 64), dim=32, group_dim=32, depths=(4, 4, 4, 4), drop_path_rate=0.5),
            (32, 64),
        ),
        (on(BEATs(depth=6, width=32, num_heads=4, ffn_width=64, patch_width=8, dropout=0.1)), (128, 128)),
        (on(PaSST(depth=6, width=32, num_heads=4)), (128, 136)),
    ],
    ids=["AST", "DATAR", "BEATs", "PaSST"],
)
def test_checkpointing_keeps_gradients_and_saves_memory(plain, size):
    checkpointed = copy.deepcopy(plain)
    set_up(ActivationCheckpointing(), network=checkpointed)
    features = torch.randn(8, *size)
    peaks = []
    for network in (plain, checkpointed):
        step(network, features)
        held = [*network.parameters(), *(parameter.grad for parameter in network.parameters())]
        run = lambda network=network: step(network, features)  # noqa: E731
        peaks.append(peak_bytes(run, device=torch.device("cpu"), held=held))
    assert peaks[1] < 0.8 * peaks[0]
    assert checkpointed.state_dict().keys() == plain.state_dict().keys()
    for (name, one), other in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad), name


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_compiled_networks_agree(mode, monkeypatch):
    made = []

    def eager(module, **settings):
        made.append(settings["mode"])
        module._compiled_call_impl = torch.compile(module._call_impl, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", eager)
    network = AST(3, input_size=(16, 36), embed_dim=12, depth=1, num_heads=3).eval()
    features = torch.randn(2, 16, 36)
    with torch.no_grad():
        expected = network(features)
        encoder = copy.deepcopy(network)
        set_up(CompileNetwork(mode), network=network, encoder=encoder, head=nn.Linear(3, 3))
        found = network(features)
        torch.testing.assert_close(encoder(features).logits, expected.logits)
    assert made == [mode, mode]  # once each, though it is set up for fit and for test
    assert type(found) is type(expected)
    torch.testing.assert_close(found.logits, expected.logits)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (PlainMethod(nn.Linear(1, 1)), "Linear names no blocks"),
        (PlainMethod(), "PlainMethod has no single network"),
    ],
)
def test_models_that_do_not_fit_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        ActivationCheckpointing().setup(None, module, "fit")  # pyright: ignore[reportArgumentType]
