"""Encoders with back ends: what fits, and which published files load."""

import re

import pytest
import torch
from tiny_encoder import HOP, TinyEncoder

from lightning_modules.networks.back_ends import MHFA, SLS, AASISTBackEnd, BackEnd, Nes2NetX, PooledLinear
from lightning_modules.networks.encoder_classifier import EncoderClassifier
from lightning_modules.networks.encoders import Encoder, LoRA, Sizes, SpeechEncoder
from lightning_modules.networks.encoders.speech_names import renamed
from lightning_modules.networks.weights import load_network

NUM_FRAMES = 12
BACK_ENDS = {
    "aasist": (
        "last",
        lambda: AASISTBackEnd(dim=12, bands=9, channels=(4, 4, 4, 4, 4, 4), graph_dims=(4, 4)),
    ),
    "sls": ("blocks", lambda: SLS(dim=12, num_layers=2, num_frames=NUM_FRAMES, hidden_dim=5)),
    "nes2net": ("last", lambda: Nes2NetX(dim=12, groups=3, scale=2)),
    "mhfa": ("all", lambda: MHFA(dim=12, num_layers=3, num_heads=2, compression_dim=4, embedding_dim=6)),
    "linear": ("last", lambda: PooledLinear(dim=12)),
}


def build(name: str) -> EncoderClassifier:
    layers, make = BACK_ENDS[name]
    return EncoderClassifier(TinyEncoder(layers=layers), make())


def published(network: EncoderClassifier, prefix: str, outer: str = "") -> dict[str, torch.Tensor]:
    """Tensors by the names of published detectors."""
    of_encoder = {f"{prefix}{name}": tensor for name, tensor in network.encoder.state_dict().items()}
    return {f"{outer}{name}": each for name, each in (of_encoder | network.back_end.state_dict()).items()}


@pytest.mark.parametrize("name", BACK_ENDS)
def test_every_back_end_classifies_what_an_encoder_hears(name):
    torch.manual_seed(0)
    network = build(name).double().eval()
    assert isinstance(network.back_end, BackEnd)
    waveform = torch.randn(3, 1, HOP * NUM_FRAMES, dtype=torch.float64)
    embedding, logits = network(waveform)
    assert embedding.shape == (3, network.embedding_dim)
    assert logits.shape == (3, network.num_classes) == (3, 2)
    torch.testing.assert_close(network(waveform[2:]).logits, logits[2:], atol=1e-12, rtol=0)
    network.train()(waveform).logits.sum().backward()
    without = {key for key, each in network.named_parameters() if each.requires_grad and each.grad is None}
    assert without <= {"encoder.tokens"}, "of this encoder, which has no class tokens"


def test_reset_classifier_makes_a_head_of_other_classes():
    network = EncoderClassifier(TinyEncoder(), PooledLinear(dim=12), num_classes=5).double()
    assert network.num_classes == 5
    assert network(torch.randn(2, 1, 1600, dtype=torch.float64)).logits.shape == (2, 5)
    network.reset_classifier(3)
    assert network.num_classes == 3
    assert {weight.dtype for weight in network.parameters()} == {torch.float64}
    assert network.embedding_dim == 12


def test_back_end_of_another_width_or_number_of_layers_is_refused():
    with pytest.raises(
        ValueError, match=r"back_end\.dim=1024: TinyEncoder gives 12 with layers=last: set back"
    ):
        EncoderClassifier(TinyEncoder(), PooledLinear())
    with pytest.raises(ValueError, match=r"back_end\.num_layers=1: TinyEncoder gives 3 with layers=all: set"):
        EncoderClassifier(TinyEncoder(layers="all"), PooledLinear(dim=12))


def test_scores_of_a_clip_alone_are_those_in_a_batch():
    network = EncoderClassifier(TinyEncoder(layers="all"), PooledLinear(dim=12, num_layers=3)).double().eval()
    waveform = torch.randn(2, 1, 3200, dtype=torch.float64)
    together = network(waveform, torch.tensor([3200, 960])).logits
    torch.testing.assert_close(network(waveform[1:, :, :960]).logits, together[1:], atol=1e-14, rtol=0)


@pytest.mark.parametrize(
    ("name", "prefix", "outer"),
    [
        ("aasist", "ssl_model.model.", ""),
        ("sls", "ssl_model.model.", "module."),
        ("nes2net", "ssl_model.model.", ""),
        ("linear", "m_ssl.model.", ""),
    ],
)
def test_published_detectors_load_whole(name, prefix, outer, tmp_path):
    torch.manual_seed(0)
    theirs, ours = build(name), build(name)
    torch.save(published(theirs, prefix, outer), tmp_path / "detector.pth")
    ours.load_official(tmp_path / "detector.pth")
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], tensor), key


def test_one_tensor_more_is_refused_by_name(tmp_path):
    state, path = published(build("nes2net"), "ssl_model.model."), tmp_path / "detector.pth"
    torch.save(state | {"ssl_model.model.more": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"another model than this TinyEncoder: 1 unexpected \(more\)"):
        build("nes2net").load_official(path)
    torch.save(state | {"LL.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"another model than this Nes2NetX: 1 unexpected \(LL\.weight\)"):
        build("nes2net").load_official(path)


def test_an_encoder_alone_is_no_detector(tmp_path):
    torch.save(build("linear").encoder.state_dict(), tmp_path / "encoder.pt")
    with pytest.raises(ValueError, match=re.escape("weights of another model than this EncoderClassifier")):
        build("linear").load_official(tmp_path / "encoder.pt")


def test_a_head_of_other_classes_and_a_fresh_back_end_stay(tmp_path):
    torch.manual_seed(0)
    path, theirs = tmp_path / "detector.pth", build("aasist")
    torch.save(published(theirs, "ssl_model.model."), path)
    ours = build("aasist")
    ours.reset_classifier(5)
    head = ours.back_end.state_dict()["out_layer.weight"].clone()
    ours.load_official(path)
    assert torch.equal(ours.back_end.state_dict()["out_layer.weight"], head)
    assert torch.equal(ours.back_end.state_dict()["LL.weight"], theirs.back_end.state_dict()["LL.weight"])
    fresh = build("aasist")
    before = {key: tensor.clone() for key, tensor in fresh.back_end.state_dict().items()}
    load_network(fresh, path, fresh=["back_end"])
    assert all(torch.equal(tensor, before[key]) for key, tensor in fresh.back_end.state_dict().items())
    assert torch.equal(fresh.encoder.state_dict()["norm.weight"], theirs.encoder.state_dict()["norm.weight"])
    assert torch.equal(
        fresh.encoder.state_dict()["patches.weight"], theirs.encoder.state_dict()["patches.weight"]
    )


def test_weights_of_this_project_load(tmp_path):
    torch.manual_seed(0)
    theirs, ours = build("aasist"), build("aasist")
    state = {f"network.{key}": tensor for key, tensor in theirs.state_dict().items()}
    torch.save({"state_dict": state, "config": {}}, tmp_path / "run.ckpt")
    ours.load_official(tmp_path / "run.ckpt")
    assert all(torch.equal(tensor, theirs.state_dict()[key]) for key, tensor in ours.state_dict().items())


def speech_encoder(**settings) -> SpeechEncoder:
    sizes = Sizes(width=16, depth=2, heads=2, feed_forward=16, conv_width=4)
    return SpeechEncoder("xlsr_300m", sizes=sizes, **settings)


def of_fairseq(encoder: Encoder) -> dict[str, torch.Tensor]:
    """Tensors by the names of fairseq, with those of pre-training."""
    assert isinstance(encoder, SpeechEncoder)
    state = {
        renamed(name, to="fairseq", layer_norm=True): each
        for name, each in encoder.model.state_dict().items()
    }
    assert None not in state
    return {str(name): each for name, each in state.items()} | {"final_proj.weight": torch.zeros(2, 2)}


def test_a_published_detector_on_an_encoder_of_speech_scores_alike(tmp_path):
    torch.manual_seed(0)
    theirs, ours = (EncoderClassifier(speech_encoder(), Nes2NetX(dim=16, groups=2, scale=2)) for _ in "ab")
    state = {f"ssl_model.model.{name}": each for name, each in of_fairseq(theirs.encoder).items()}
    torch.save(state | theirs.back_end.state_dict(), tmp_path / "detector.pth")
    ours.load_official(tmp_path / "detector.pth")
    waveform = torch.randn(2, 1, 3200)
    assert torch.equal(ours.eval()(waveform).logits, theirs.eval()(waveform).logits)
    torch.save(
        state | theirs.back_end.state_dict() | {"ssl_model.model.more": torch.zeros(1)}, tmp_path / "more.pth"
    )
    with pytest.raises(ValueError, match=r"1 unexpected \(more\)"):
        ours.load_official(tmp_path / "more.pth")


def test_what_was_fine_tuned_is_adapted_by_lora(tmp_path):
    torch.manual_seed(0)
    theirs = EncoderClassifier(speech_encoder(), PooledLinear(dim=16))
    adapted = speech_encoder(trainable="lora", lora=LoRA(targets=["q_proj", "v_proj"], rank=2))
    ours = EncoderClassifier(adapted, PooledLinear(dim=16))
    adapted.weights_sha256 = "of a file before"
    state = {f"m_ssl.model.{name}": each for name, each in of_fairseq(theirs.encoder).items()}
    torch.save(state | theirs.back_end.state_dict(), tmp_path / "detector.pth")
    ours.load_official(tmp_path / "detector.pth")
    waveform = torch.randn(2, 1, 3200)
    torch.testing.assert_close(ours.eval()(waveform).logits, theirs.eval()(waveform).logits)
    assert adapted.from_weights() == set(), "a checkpoint keeps all of it"
