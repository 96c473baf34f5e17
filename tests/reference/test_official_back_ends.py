"""Equality with the published back ends on equal weights in float64: outputs, gradients, running statistics.

Needs clones that are no part of this project: SSL_ANTI_SPOOFING_REFERENCE (TakHemlata/SSL_Anti-spoofing),
SLS_REFERENCE (QiShanZhang/SLSforASVspoof-2021-DF), NES2NET_REFERENCE (Liu-Tianchi/Nes2Net_ASVspoof_ITW) and
WEDEFENSE_REFERENCE (zlin0/wedefense). fairseq, which the first three import for their encoder, is not needed.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from published import load_module, reference
from torch import nn

from lightning_modules.networks.back_ends import MHFA, SLS, AASISTBackEnd, Nes2NetX
from lightning_modules.networks.encoders import Hidden

TARGET = torch.tensor([0, 1, 1])


class GivenStates(nn.Module):
    """In the place of the published encoder: gives the states that it is given."""

    out_dim = 1024

    def __init__(self, device):
        super().__init__()

    def extract_feat(self, states):
        if states.ndim == 3:
            return states
        return states[:, -1], [(layer.transpose(0, 1), None) for layer in states.unbind(1)]


@pytest.fixture
def published(monkeypatch):
    """Imports a published file of networks on an encoder."""
    monkeypatch.setitem(sys.modules, "fairseq", ModuleType("fairseq"))

    def load(variable, path):
        module = load_module(reference(variable) / path)
        monkeypatch.setattr(module, "SSLModel", GivenStates)
        return module

    return load


def states(num_layers, num_frames=201, dim=1024):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, num_layers, num_frames, dim, dtype=torch.float64, generator=generator)


def compare(ours, official, given, theirs, *, dead=(), rename=lambda name: name):
    """Both on the same weights: evaluation, then a training step with the same dropout, which both draw alike.

    Args:
        ours: Our back end.
        official: The published one.
        given: Hidden states (batch, layer, time, dim).
        theirs: (official, states) -> logits.
        dead: Parts of names of batch norms whose output the published code throws away.
        rename: Our name of a tensor -> the published one.
    """
    torch.manual_seed(0)
    for name, value in ours.named_parameters():
        if value.ndim < 2 or "weighted_sum" in name:  # else alike for all
            nn.init.normal_(value, mean=value.mean().item(), std=0.2)
    ours, official = ours.double(), official.double()
    official.load_state_dict({rename(name): value for name, value in ours.state_dict().items()})
    hidden = Hidden(given.requires_grad_(), torch.full((len(given),), given.shape[2]))
    with torch.no_grad():
        expected = theirs(official.eval(), given)
        torch.testing.assert_close(ours.eval()(hidden).logits, expected, atol=1e-10, rtol=0)
        assert expected.std() > 1e-3
    results = []
    for network, logits in (
        (official.train(), lambda: theirs(official, given)),
        (ours.train(), lambda: ours(hidden).logits),
    ):
        torch.manual_seed(2)
        found, given.grad = logits(), None
        F.cross_entropy(found, TARGET, weight=torch.tensor([0.1, 0.9], dtype=torch.float64)).backward()
        gradients = {name: value.grad for name, value in network.named_parameters()}
        results.append((found, gradients, dict(network.named_buffers()), given.grad))
    (logits, gradients, buffers, of_input), (our_logits, our_gradients, our_buffers, our_of_input) = results
    torch.testing.assert_close(our_logits, logits, atol=1e-10, rtol=0)
    assert of_input is not None
    torch.testing.assert_close(our_of_input, of_input, atol=1e-10, rtol=0)
    assert {rename(name) for name in our_gradients} == set(gradients)
    for name, gradient in our_gradients.items():
        if gradient is None:
            assert gradients[rename(name)] is None, name
        else:
            torch.testing.assert_close(gradient, gradients[rename(name)], atol=1e-10, rtol=0)
    for name, value in our_buffers.items():
        if not any(part in name for part in dead):
            torch.testing.assert_close(value, buffers[rename(name)], atol=1e-10, rtol=0)


@pytest.mark.parametrize("num_frames", [201, 100])
def test_aasist_is_the_published_one(published, num_frames):
    official = published("SSL_ANTI_SPOOFING_REFERENCE", "model.py").Model(None, "cpu")
    given = states(1, num_frames)
    compare(AASISTBackEnd(), official, given, lambda network, x: network(x[:, 0]), dead=[".bn1."])


def test_sls_is_the_published_one(published):
    official = published("SLS_REFERENCE", "model.py").Model(None, "cpu")
    compare(SLS(), official, states(24), lambda network, x: network(x))


@pytest.mark.parametrize(
    ("se_ratio", "pooling", "theirs"),
    [(1, "mean", "mean"), (8, "mean", "mean"), (1, "attentive_statistics", "ASTP")],
)
def test_nes2net_x_is_the_published_one(published, se_ratio, pooling, theirs):
    module = published("NES2NET_REFERENCE", "model_scripts/wav2vec2_Nes2Net_X.py")
    arguments = {"n_output_logits": 2, "Nes_ratio": [8, 8], "dilation": 2, "SE_ratio": [se_ratio]}
    official = module.wav2vec2_Nes2Net_no_Res_w_allT(SimpleNamespace(**arguments, pool_func=theirs), "cpu")
    ours = Nes2NetX(se_ratio=se_ratio, pooling=pooling)
    compare(ours, official, states(1), lambda network, x: network(x[:, 0]))


@pytest.mark.parametrize(("heads", "dim", "layers"), [(8, 768, 13), (32, 1024, 25)])
def test_mhfa_is_the_published_one(heads, dim, layers):
    root = reference("WEDEFENSE_REFERENCE")
    official = load_module(root / "wedefense/models/ssl_backend/MHFA.py").SSL_BACKEND_MHFA(
        heads, dim, nb_layer=layers
    )
    official.projection = load_module(root / "wedefense/models/projections.py").Linear(256, 2)
    ours = MHFA(num_heads=heads, dim=dim, num_layers=layers)
    given = states(layers, 201, dim)
    compare(
        ours, official, given, lambda network, x: network.projection(network(x.permute(0, 3, 2, 1)), None)
    )
