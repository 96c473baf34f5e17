"""Equality with the published networks of anomalous sound detection, from equal weights, in float64.

Needs files that are no part of this project: PRIMUS_REFERENCE (clone of OptimusPrimus/dcase2020_workshop),
HAUNSCHMID_REFERENCE (clone of patrick-praher/DCASE2020_T2_Haunschmid_Praher_Public) and DCASE_BASELINE_REFERENCE
(clone of nttcslab/dcase2023_task2_baseline_ae).
"""

import importlib.util
import sys
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from published import load_module, reference
from torch import nn

from lightning_modules.networks import MAF, Autoencoder, RFRResNet


def copy_weights(pairs: list[tuple[nn.Parameter, nn.Parameter]]) -> None:
    """Draw weights for the first parameter of each pair and give them to the second, which may be transposed."""
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.normal_(0.5 if theirs.ndim == 1 else 0, 0.2)
            ours.copy_(theirs if ours.shape == theirs.shape else theirs.T)


def assert_equal_gradients(pairs):
    scale = max(theirs.grad.norm() for theirs, _ in pairs)
    assert scale > 0
    for theirs, ours in pairs:
        gradient = ours.grad if ours.shape == theirs.shape else ours.grad.T
        assert (theirs.grad - gradient).norm() < 1e-10 * scale


def in_order(theirs: nn.Module, ours: nn.Module) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Parameters that correspond, where both networks register them in the same order."""
    return list(zip(theirs.parameters(), ours.parameters(), strict=True))


def statistics(network):
    return [
        buffer for name, buffer in network.named_buffers() if name.endswith(("running_mean", "running_var"))
    ]


def assert_equal_statistics(theirs, ours):
    for their, our in zip(statistics(theirs), statistics(ours), strict=True):
        torch.testing.assert_close(our, their, atol=1e-10, rtol=1e-10)


@pytest.fixture
def primus(monkeypatch):
    """Imports of the published code, less what it needs for raw spectrograms only."""
    monkeypatch.syspath_prepend(str(reference("PRIMUS_REFERENCE")))
    monkeypatch.setitem(sys.modules, "librosa", ModuleType("librosa"))
    monkeypatch.setitem(sys.modules, "librosa.filters", SimpleNamespace(mel=None))
    yield lambda name: importlib.import_module(f"dcase2020_workshop.models.{name}")
    for name in [name for name in sys.modules if name.startswith("dcase2020_workshop")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("receptive_field", "blocks"),
    [(rf, (4, 1, 2)) for rf in ("very_small", "a_bit_smaller", "normal", "a_bit_larger")]
    + [("normal", (4, 4, 4))],
)
def test_rfr_resnet(primus, receptive_field, blocks, monkeypatch, capsys):
    published = primus("resnet")
    network_class = published.Network
    monkeypatch.setattr(
        published, "Network", lambda config: network_class({**config, "n_blocks_per_stage": list(blocks)})
    )
    theirs = published.ResNet((1, 128, 256), base_channels=16, rf=receptive_field).double()
    ours = RFRResNet(channels=16, receptive_field=receptive_field, blocks=blocks).double()
    pairs = in_order(theirs, ours)
    copy_weights(pairs)
    target = torch.tensor([[0.0], [1.0], [1.0]], dtype=torch.double)
    for _ in range(3):
        spectrogram = torch.randn(3, 1, 128, 256, dtype=torch.double)
        their_logits, our_logits = theirs({"observations": spectrogram})["scores"], ours(spectrogram).logits
        torch.testing.assert_close(our_logits, their_logits, atol=1e-10, rtol=1e-10)
    for logits in (their_logits, our_logits):
        F.binary_cross_entropy_with_logits(logits, target).backward()
    assert_equal_gradients(pairs)
    assert_equal_statistics(theirs, ours)
    theirs.eval()
    ours.eval()
    spectrogram = torch.randn(2, 1, 128, 300, dtype=torch.double)
    their_logits, our_logits = theirs({"observations": spectrogram})["scores"], ours(spectrogram).logits
    torch.testing.assert_close(our_logits, their_logits, atol=1e-10, rtol=1e-10)


def compare_autoencoders(theirs, reconstruct, ours):
    """Three training steps' statistics, gradients and an evaluation."""
    pairs = in_order(theirs, ours)
    copy_weights(pairs)
    for _ in range(3):
        windows = torch.randn(32, 640, dtype=torch.double)
        for network, loss in (
            (theirs, F.mse_loss(reconstruct(windows), windows)),
            (ours, F.mse_loss(ours(windows), windows)),
        ):
            network.zero_grad()
            loss.backward()
        assert_equal_gradients(pairs)
    assert_equal_statistics(theirs, ours)
    theirs.eval()
    ours.eval()
    torch.testing.assert_close(ours(windows), reconstruct(windows), atol=1e-10, rtol=1e-10)


def test_autoencoder(primus):
    sys.modules["dcase2020_workshop.models"] = models = ModuleType("dcase2020_workshop.models")
    models.__path__ = [str(reference("PRIMUS_REFERENCE") / "dcase2020_workshop" / "models")]
    models.VAEBase = primus("base_model").VAEBase  # pyright: ignore[reportAttributeAccessIssue]
    no_prior = SimpleNamespace(input_size=8, latent_size=8)
    theirs = primus("ae").AE((1, 128, 5), None, prior=no_prior, hidden_size=128, num_hidden=3).double()
    reconstruct = lambda windows: theirs.decoder(theirs.encoder(windows))  # noqa: E731
    compare_autoencoders(theirs, reconstruct, Autoencoder().double())


def test_official_autoencoder():
    path = reference("DCASE_BASELINE_REFERENCE") / "networks" / "dcase2023t2_ae" / "network.py"
    theirs = load_module(path).AENet(640, 128).double()
    del theirs.cov_source, theirs.cov_target  # of its Mahalanobis mode, no part of the network
    compare_autoencoders(theirs, lambda windows: theirs(windows)[0], Autoencoder.dcase2020().double())


def maf_pair(num_conditions: int, num_hidden: int):
    """The published flow and ours, and their corresponding parameters."""
    path = reference("HAUNSCHMID_REFERENCE") / "dcase2020" / "model_architectures" / "maf.py"
    theirs = load_module(path).MAF(4, 6, 20, num_hidden, num_conditions or None).double()
    ours = MAF(6, 20, num_hidden, num_blocks=4, num_conditions=num_conditions).double()
    pairs = []
    for (made, norm), our_made, our_norm in zip(
        list(pairwise(theirs.net))[::2], ours.made, ours.batch_norm, strict=True
    ):
        linears = [made.net_input, *[layer for layer in made.net if isinstance(layer, nn.Linear)]]
        for linear, layer in zip(linears, our_made.get_submodule("layers").children(), strict=True):
            pairs += [(linear.weight, layer.weight), (linear.bias, layer.bias)]
        if num_conditions:
            pairs.append((made.net_input.cond_weight, our_made.get_parameter("condition.weight")))
        pairs += zip(norm.parameters(), our_norm.parameters(), strict=True)
    return theirs, ours, pairs


@pytest.mark.parametrize("num_hidden", [1, 2])
@pytest.mark.parametrize("num_conditions", [0, 3])
def test_maf(num_conditions, num_hidden):
    theirs, ours, pairs = maf_pair(num_conditions, num_hidden)
    copy_weights(pairs)
    condition = torch.arange(9) % 3 if num_conditions else None
    one_hot = F.one_hot(condition, 3).double() if condition is not None else None
    x = torch.randn(9, 6, dtype=torch.double)
    for training in (True, True, False):
        log_probs = []
        for network, y in ((theirs, one_hot), (ours, condition)):
            network.train(training).zero_grad()
            log_probs.append(network.log_prob(x, y))
            log_probs[-1].mean().backward()
        torch.testing.assert_close(*log_probs, atol=1e-10, rtol=1e-10)
        assert_equal_gradients(pairs)
        assert_equal_statistics(theirs, ours)
    u, _ = ours(x, condition)
    torch.testing.assert_close(u, theirs(x, one_hot)[0], atol=1e-10, rtol=1e-10)


def test_maf_score(monkeypatch):
    """The published anomaly score is the negative marginal over all conditions."""
    root = reference("HAUNSCHMID_REFERENCE") / "dcase2020"
    theirs, ours, pairs = maf_pair(num_conditions=3, num_hidden=1)
    copy_weights(pairs)
    packages = {"dcase2020": ModuleType("dcase2020"), "dcase2020.model_architectures": ModuleType("models")}
    for name, module in packages.items():
        module.__path__ = [str(root / name.removeprefix("dcase2020").strip("."))]
        monkeypatch.setitem(sys.modules, name, module)
    model = load_module(root / "model_architectures" / "flows.py").FlowMAFModel(
        "maf", 4, 6, 20, 1, 3, "sequential", True
    )
    model.model = theirs.eval().float()  # which its one-hot conditions are
    x = torch.randn(5, 6)
    score = model.anomaly_score(x, torch.zeros(5, 1, 3), None, device="cpu")
    marginal = ours.eval().float().marginal_log_prob(x, torch.arange(3))
    torch.testing.assert_close(-marginal, score, atol=1e-4, rtol=1e-5)
