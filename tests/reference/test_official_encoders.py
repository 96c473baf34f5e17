"""Equality with the published code of audio encoders, from equal weights, in float64: outputs and gradients.

Needs code that is no part of this project: BEATS_REFERENCE (the folder beats of a clone of microsoft/unilm),
EAT_REFERENCE (a clone of cwx-worst-one/EAT), PASST_REFERENCE (hear21passt 0.0.26, unpacked) and DASHENG_REFERENCE
(dasheng 0.0.9, unpacked).
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from published import reference
from torch import Tensor, nn
from torchaudio.functional import resample

from lightning_modules.frontends import BEATsFbank, DashengMel, PaSSTMel
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders import EAT, BEATs, Dasheng, PaSST

pytestmark = pytest.mark.slow


def randomize(network: nn.Module) -> None:
    """Draw weights and statistics, none of them the zeros and ones of an initialization."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not name.startswith("front_end"):
            tensor.normal_(1 if "norm" in name and name.endswith("weight") else 0, 0.1)
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)


def assert_equal(
    ours: nn.Module, theirs: nn.Module, output: Tensor, expected: Tensor, names=lambda name: name
):
    """Outputs, and the gradients of every tensor that has one in the published code."""
    torch.testing.assert_close(output, expected, atol=1e-10, rtol=1e-10)
    for each in (output, expected):
        each.pow(3).sum().backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    compared = 0
    for name, parameter in ours.named_parameters():
        wanted = gradients[name]
        assert (parameter.grad is None) == (wanted is None), name
        if wanted is not None:
            assert parameter.grad is not None
            assert (parameter.grad - wanted).norm() <= 1e-10 * (1 + wanted.norm()), name
            compared += 1
    assert compared == sum(gradient is not None for gradient in gradients.values())


@pytest.fixture
def modules_of(monkeypatch) -> Iterator:
    """Imports a module from a folder, and forgets all that it brought."""
    before = set(sys.modules)

    def load(folder, name: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(folder))
        return __import__(name, fromlist=["_"])

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


CFG = {
    "encoder_layers": 3, "encoder_embed_dim": 48, "encoder_attention_heads": 4, "encoder_ffn_embed_dim": 96,
    "embed_dim": 32, "conv_pos": 128, "conv_pos_groups": 16, "num_buckets": 320, "max_distance": 800,
    "deep_norm": True, "layer_norm_first": False, "relative_position_embedding": True, "gru_rel_pos": True,
    "activation_fn": "gelu", "input_patch_size": 16, "conv_bias": False, "finetuned_model": False,
    "encoder_layerdrop": 0.05, "dropout": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("frames", [98, 998, 1600])
@pytest.mark.parametrize("is_padded", [False, True])
def test_beats(modules_of, monkeypatch, tmp_path, frames, is_padded):
    folder = reference("BEATS_REFERENCE")
    published = modules_of(folder, "BEATs")
    for name in ("backbone", "modules"):  # they compute GELU in float32
        monkeypatch.setattr(sys.modules[name], "gelu", nn.functional.gelu, raising=False)
    theirs = published.BEATs(published.BEATsConfig(CFG)).eval()
    for layer in theirs.encoder.layers:
        layer.activation_fn = nn.functional.gelu
    randomize(theirs)
    torch.save({"cfg": CFG, "model": theirs.state_dict()}, tmp_path / "beats.pt")
    ours = BEATs(str(tmp_path / "beats.pt")).double().eval()
    theirs = theirs.double()
    features = torch.randn(2, 128, frames, dtype=torch.double)
    monkeypatch.setattr(theirs, "preprocess", lambda *_, **__: features.mT)
    length = torch.tensor([frames, frames - 40]) if is_padded else None
    is_padding = None
    if length is not None:  # the published rule hears a patch of which any frame is of the clip
        is_padding = torch.arange(frames) >= length[:, None]
        is_padding[1, (frames - 40) // 16 * 16 :] = True
    expected, _ = theirs.extract_features(features, padding_mask=is_padding)
    hidden = ours(features, length)
    tokens = expected.unflatten(1, (-1, 8)).mean(2)
    if is_padded:
        own = int(hidden.length[1])
        assert own == (frames - 40) // 16
        output, expected = (torch.cat([x[0], x[1, :own]]) for x in (hidden.states[:, 0], tokens))
    else:
        output, expected = hidden.states[:, 0], tokens
    assert_equal(ours, theirs, output, expected)


def test_beats_classifies(modules_of, monkeypatch, tmp_path):
    """Probabilities are the sigmoid of the mean over tokens of logits, the logits of the mean of tokens."""
    published = modules_of(reference("BEATS_REFERENCE"), "BEATs")
    cfg = CFG | {"finetuned_model": True, "predictor_class": 5}
    theirs = published.BEATs(published.BEATsConfig(cfg)).eval()
    randomize(theirs)
    torch.save({"cfg": cfg, "model": theirs.state_dict()}, tmp_path / "beats.pt")
    ours = EncoderClassifier(BEATs(str(tmp_path / "beats.pt")), PooledLinear(5, dim=48))
    ours.eval().load_official(tmp_path / "beats.pt")
    waveform = torch.randn(2, 1, 16000) * 0.1
    with torch.no_grad():
        expected, _ = theirs.extract_features(waveform[:, 0])
        logits = ours(BEATsFbank()(waveform)).logits
    torch.testing.assert_close(logits.sigmoid(), expected, atol=1e-5, rtol=0)


def test_eat(monkeypatch, tmp_path):
    pytest.importorskip("timm")
    root = reference("EAT_REFERENCE")
    source = (root / "models" / "modules.py").read_text()
    positions = (root / "models" / "mae.py").read_text()
    names: dict[str, Any] = {"nn": nn, "torch": torch, "F": nn.functional, "np": np}
    pieces = [_piece(source, "class AltBlock"), _piece(source, "class AltAttention")]
    pieces += [
        _piece(positions, f"def {name}")
        for name in (
            "get_1d_sincos_pos_embed_from_grid",
            "get_2d_sincos_pos_embed_from_grid",
            "get_2d_sincos_pos_embed_flexible",
        )
    ]
    code = "\n".join(pieces).replace("softmax(dim=-1, dtype=torch.float32)", "softmax(dim=-1)")
    exec(code, names)  # classes without fairseq, which does not import on this Python
    theirs: Any = nn.Module()
    norm = lambda width: nn.LayerNorm(width, eps=1e-6)  # noqa: E731
    theirs.blocks = nn.ModuleList(
        names["AltBlock"](48, 4, qkv_bias=True, norm_layer=norm, layer_norm_first=False, ffn_targets=True)
        for _ in range(3)
    )
    theirs.local_encoder = nn.Sequential()
    theirs.local_encoder.proj = nn.Conv2d(1, 48, 16, 16)
    theirs.extra_tokens = nn.Parameter(torch.empty(1, 1, 48))
    theirs.pre_norm = norm(48)
    randomize(theirs)
    table = names["get_2d_sincos_pos_embed_flexible"](48, (768, 8))
    table = torch.from_numpy(table).float()[None]
    state = theirs.state_dict() | {"fixed_positional_encoder.positions": table}
    torch.save({f"model.{name}": tensor for name, tensor in state.items()}, tmp_path / "eat.pt")
    fresh = EAT(depth=3, width=48, num_heads=4)
    torch.testing.assert_close(
        fresh.state_dict()["fixed_positional_encoder.positions"], table, atol=1e-4, rtol=0
    )
    ours = EAT(str(tmp_path / "eat.pt"), depth=3, width=48, num_heads=4).double().eval()
    theirs = theirs.double().eval()
    features = torch.randn(2, 128, 1024, dtype=torch.double)
    tokens = theirs.local_encoder(features.mT[:, None]).flatten(2).mT + table[:, :512].double()
    tokens = theirs.pre_norm(torch.cat([theirs.extra_tokens.expand(2, -1, -1), tokens], dim=1))
    for block in theirs.blocks:
        tokens, _ = block(tokens)
    hidden = ours(features)
    assert hidden.class_tokens is not None
    expected = torch.cat([tokens[:, :1], tokens[:, 1:].unflatten(1, (64, 8)).mean(2)], dim=1)
    output = torch.cat([hidden.class_tokens[:, 0], hidden.states[:, 0]], dim=1)
    assert_equal(ours, theirs, output, expected)


def _piece(source: str, begin: str) -> str:
    """A class or function of a file."""
    lines = source[source.index(f"{begin}(") :].splitlines()
    end = next(i for i, line in enumerate(lines) if i and line and not line.startswith((" ", ")")))
    return "\n".join(lines[:end])


def passt_of(modules_of, monkeypatch, **settings):
    published = modules_of(reference("PASST_REFERENCE"), "hear21passt.models.passt")
    monkeypatch.setattr(published, "first_RUN", False)  # it prints
    network = published.PaSST(
        stride=10, embed_dim=48, depth=3, num_heads=4, num_classes=5, distilled=True, **settings
    )
    randomize(network)
    return network.eval()


@pytest.mark.parametrize("frames", [1000, 400, 16])
def test_passt(modules_of, monkeypatch, tmp_path, frames):
    theirs = passt_of(modules_of, monkeypatch)
    torch.save(theirs.state_dict(), tmp_path / "passt.pt")
    back_end = PooledLinear(5, dim=48, pooling="class_tokens", norm_eps=1e-5)
    ours = EncoderClassifier(PaSST(depth=3, width=48, num_heads=4), back_end).eval()
    ours = ours.load_official(tmp_path / "passt.pt").double()
    theirs = theirs.double()
    features = torch.randn(2, 128, frames, dtype=torch.double)
    logits, embedding = theirs(features[:, None])
    output = ours(features)
    torch.testing.assert_close(output.logits, logits, atol=1e-10, rtol=1e-10)
    assert_equal(ours.encoder, theirs, output.embedding, embedding)


@pytest.mark.parametrize("seconds", [1, 10])
def test_passt_hears_the_same(modules_of, sound, seconds):
    published = modules_of(reference("PASST_REFERENCE"), "hear21passt.models.preprocess")
    waveform = sound(32000)[:, : seconds * 32000]
    expected = published.AugmentMelSTFT(fmin_aug_range=10, fmax_aug_range=2000).eval()(waveform)
    found = PaSSTMel().eval()(waveform[:, None])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def dasheng_of(modules_of):
    published = modules_of(reference("DASHENG_REFERENCE"), "dasheng.pretrained.pretrained")
    network = published.Dasheng(embed_dim=48, depth=3, num_heads=4)
    randomize(network)
    return network.eval()


@pytest.mark.parametrize("frames", [1001, 101, 1700])
def test_dasheng(modules_of, tmp_path, frames):
    theirs = dasheng_of(modules_of)
    torch.save({"model": theirs.state_dict(), "config": {}}, tmp_path / "dasheng.pt")
    ours = Dasheng(str(tmp_path / "dasheng.pt"), depth=3, width=48, num_heads=4).double().eval()
    theirs = theirs.double()
    features = torch.randn(2, 64, frames, dtype=torch.double)
    expected = theirs.forward_spectrogram(theirs.init_bn(features[:, None]))
    assert_equal(ours, theirs, ours(features).states[:, 0], expected)


def test_dasheng_hears_the_same(modules_of, sound):
    theirs = dasheng_of(modules_of)
    waveform = sound(16000)
    torch.testing.assert_close(
        DashengMel()(waveform[:1, None]), theirs.front_end(waveform[:1]), atol=1e-5, rtol=1e-5
    )


def test_beats_hears_the_same(modules_of, sound):
    published = modules_of(reference("BEATS_REFERENCE"), "BEATs")
    theirs = published.BEATs(published.BEATsConfig(CFG))
    waveform = sound(16000)
    expected = theirs.preprocess(waveform).mT
    torch.testing.assert_close(BEATsFbank()(waveform[:, None]), expected, atol=1e-5, rtol=0)


@pytest.fixture
def sound():
    """Two real clips of 10 s at a sample rate."""
    folder = reference("AUDIO_CORPORA") / "events"

    def read(sample_rate: int) -> Tensor:
        files = sorted((folder / "audio").glob("*.flac"))[:12]
        whole = torch.cat([_mono(file, sample_rate) for file in files])
        return whole[: 20 * sample_rate].view(2, -1)

    return read


def _mono(file, sample_rate: int) -> Tensor:
    values, own_rate = soundfile.read(file, dtype="float32", always_2d=True)
    return resample(torch.from_numpy(values).mean(1), own_rate, sample_rate)
