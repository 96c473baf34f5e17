"""Published weights are known by their tensors and score as the test command does with ``--model.weights``."""

import re
from typing import Any

import pytest
import torch
from speech_sources import fairseq_tensors, small
from torch import Tensor, nn
from trained_cases import CONFIGS

from datamodules.event.vggsound import VGGSound
from lightning_modules import load_model
from lightning_modules.frontends import ASTFbank, BEATsFbank, PaSSTMel
from lightning_modules.networks import (
    AASIST,
    AST,
    DATAR,
    LCNN,
    AudioSlowFast,
    EncoderClassifier,
    VGGSoundResNet,
)
from lightning_modules.networks.back_ends import SLS, AASISTBackEnd, Nes2NetX, PooledLinear
from lightning_modules.networks.encoders import EAT, BEATs, Dasheng, PaSST
from lightning_modules.trained.recognition import recognise

AST_SIZES: Any = {"embed_dim": 64, "depth": 1, "num_heads": 1}
DATAR_SIZES: Any = {"dim": 32, "depths": (1, 1, 2, 2)}


def published(network: nn.Module) -> dict[str, Tensor]:
    """Tensors by the names of the published code."""
    state = dict(network.state_dict())
    if isinstance(network, LCNN):
        names = {"trunk.": "m_transform.0.", "classifier.": "m_output_act.0."}
        state = {
            re.sub(r"^(trunk|classifier)\.", lambda found: names[found[0]], name): t
            for name, t in state.items()
        }
        lstm = re.compile(r"^head\.lstm\.(weight|bias)_(ih|hh)_l(\d)(.*)")
        state = {lstm.sub(r"m_before_pooling.0.\3.l_blstm.\1_\2_l0\4", name): t for name, t in state.items()}
        return {"input_mean": torch.zeros(1), "m_frontend.0.lfcc_fb": torch.zeros(256, 20), **state}
    if isinstance(network, AST):
        state = {
            name if name.startswith("mlp_head") else f"v.{name}": tensor for name, tensor in state.items()
        }
        state = {name.replace("patch_embed.", "patch_embed.proj."): tensor for name, tensor in state.items()}
        return {f"module.{name}": tensor for name, tensor in state.items()}
    if isinstance(network, VGGSoundResNet):
        return {f"audnet.{name}": tensor for name, tensor in state.items()}
    return state


@pytest.fixture
def write(tmp_path):
    """Writes the file of a network with random weights, in the published form."""

    def write(network: nn.Module, entry: str | None = None):
        state = published(network)
        torch.save({entry: state} if entry else state, tmp_path / "published.pth")
        return tmp_path / "published.pth"

    return write


@pytest.fixture
def num_classes(roots):
    return len(VGGSound(root=str(roots["VGGSOUND_ROOT"])).heads["event"])


def as_tested(run, model):
    """Scores of the test, and of the model: numbers, or probabilities by class."""
    scores = [model.score(clip.path) for clip in run.clips]
    names = run.heads.get("event")
    return [dict(zip(names, row, strict=True)) if names else row for row in run.scores.tolist()], scores


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (AASIST, ["ssd_aasist.yaml"]),
        (AASIST.light, ["ssd_aasist.yaml", "--config={configs}/overlays/ssd_aasist_light.yaml"]),
        (LCNN.lstm_sum, ["ssd_lcnn_lstm_sum.yaml"]),
    ],
    ids=["AASIST", "AASIST-L", "LCNN"],
)
def test_detectors_score_as_their_test(make, settings, write, test_by_command, monkeypatch, tmp_path):
    torch.manual_seed(0)
    path = write(make())
    run = test_by_command(*settings, f"--model.weights={path}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASVSPOOF2019_LA_ROOT", raising=False)
    expected, scores = as_tested(run, load_model(path, device="cpu"))
    assert scores == expected
    assert len(set(scores)) == len(scores) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["published.pth"]  # no demo corpus


def test_ast_scores_as_its_test(write, num_classes, roots, test_by_command, monkeypatch):
    torch.manual_seed(0)
    path = write(AST(num_classes, **AST_SIZES))
    sizes = [
        f"--model.network.{name}={value}" for name, value in {"num_classes": num_classes, **AST_SIZES}.items()
    ]
    run = test_by_command("event_ast.yaml", *sizes, f"--model.weights={path}")
    monkeypatch.setenv("VGGSOUND_ROOT", str(roots["VGGSOUND_ROOT"]))
    monkeypatch.setenv("AST_WEIGHTS", "elsewhere.pth")  # which the file replaces
    expected, scores = as_tested(run, load_model(path, device="cpu"))
    assert scores == expected


def test_dat_scores_as_its_test(write, num_classes, roots, test_by_command, monkeypatch):
    """Its adaptor, which was not published, begins with the random numbers of the configuration's seed."""
    torch.manual_seed(0)
    path = write(DATAR(num_classes, in_channels=3, input_size=(224, 224), **DATAR_SIZES), entry="model")
    sizes = [
        "--model.network.dim=32",
        "--model.network.depths=[1,1,2,2]",
        f"--model.network.num_classes={num_classes}",
    ]
    run = test_by_command("event_datar.yaml", *sizes, f"--model.weights={path}")
    monkeypatch.setenv("VGGSOUND_ROOT", str(roots["VGGSOUND_ROOT"]))
    before = torch.get_rng_state()
    model = load_model(path, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    expected, scores = as_tested(run, model)
    assert scores == expected


def test_classes_that_nothing_names_are_numbers(write, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VGGSOUND_ROOT", raising=False)
    model = load_model(write(AST(527, **AST_SIZES)), device="cpu")
    assert model.classes == [str(number) for number in range(527)]
    score = model.score(torch.zeros(16000))
    assert sum(score.values()) == pytest.approx(1)
    assert [path.name for path in tmp_path.iterdir()] == ["published.pth"]


def test_a_configuration_replaces_the_shipped_one(write, test_by_command, tmp_path, monkeypatch, roots):
    """Of sizes that no published network has, and of weights that this project wrote."""
    torch.manual_seed(0)
    small, overlay = AASIST(channels=(8, 8, 8, 8, 8, 8)), tmp_path / "small.yaml"
    overlay.write_text(
        "model: {init_args: {network: {init_args: {channels: [8, 8, 8, 8, 8, 8]}}}}\n"
        "data: {init_args: {eval_crop_s: 0.4}}"
    )
    path = write(small)
    run = test_by_command("ssd_aasist.yaml", f"--config={overlay}", f"--model.weights={path}")
    configs = [CONFIGS / "ssd_aasist.yaml", overlay]
    expected, scores = as_tested(run, load_model(path, config=configs, device="cpu"))
    assert scores == expected
    with pytest.raises(ValueError, match="weights of another model than this AASIST"):
        load_model(path)
    with pytest.raises(ValueError, match="weights of another model than this LCNN"):
        load_model(path, config=CONFIGS / "ssd_lcnn_lstm_sum.yaml")


@pytest.mark.parametrize(
    ("network", "config", "arguments"),
    [
        (lambda: AST(527, embed_dim=768, depth=12), "event_ast.yaml", {"embed_dim": 768, "depth": 12, "num_heads": 12}),
        (lambda: AST(5, embed_dim=192, depth=2, num_heads=3, stride=16), "event_ast.yaml", {"stride": 16}),
        (lambda: DATAR.base(1000), "event_datar.yaml", {"dim": 128, "depths": [2, 2, 18, 2]}),
        (lambda: DATAR.tiny(1000), "event_datar.yaml", {"dim": 96, "depths": [2, 2, 6, 2]}),
        (AudioSlowFast, "event_audio_slowfast.yaml", {}),
        (
            lambda: AudioSlowFast(397, heads={"verb": 97, "noun": 300}),
            "event_audio_slowfast_epic_kitchens.yaml",
            {"heads": {"verb": 97, "noun": 300}},
        ),
        (lambda: VGGSoundResNet(depth=18), "event_resnet.yaml", {"depth": 18}),
        (lambda: VGGSoundResNet(depth=34), "event_resnet.yaml", {"depth": 34}),
        (lambda: VGGSoundResNet(depth=50), "event_resnet.yaml", {"depth": 50}),
    ],
)  # fmt: skip
def test_published_sizes_are_told_by_shapes(network, config, arguments):
    with torch.device("meta"):
        built = network()
    for state in (published(built), built.state_dict()):
        found = recognise({name.removeprefix("module."): tensor for name, tensor in state.items()})
        assert found is not None
        assert found.config == config
        assert arguments.items() <= dict(found.network).items()
        is_of_audioset = config == "event_ast.yaml" and built.num_classes == 527
        assert found.frontend == ({"mean": -4.2677393, "std": 4.5689974} if is_of_audioset else {})


def test_files_that_score_no_sound_are_refused(write, tmp_path):
    state = published(AST(5, **AST_SIZES))
    for change, message in {
        "without": "a transformer for images, without a head for sound: train from it with model.weights",
        "short": "AST of 144 positions, .* name its configuration with config=",
    }.items():
        content = {
            name: tensor for name, tensor in state.items() if change != "without" or "mlp_head" not in name
        }
        if change == "short":
            content["module.v.pos_embed"] = torch.zeros(1, 2 + 144, 64)
        torch.save(content, tmp_path / "ast.pth")
        with pytest.raises(ValueError, match=rf"ast\.pth: {message}"):
            load_model(tmp_path / "ast.pth")


def fine_tuned(name: str) -> tuple[dict[str, Tensor], nn.Module]:
    """A file of an encoder with a head of 5 classes, and the network that it is of."""
    torch.manual_seed(0)
    width = 128
    linear, norm = nn.Linear(width, 5), nn.LayerNorm(width, eps=1e-5 if name == "PaSST" else 1e-6)
    sizes: Any = {"depth": 1, "width": width, "num_heads": 2}
    if name == "BEATs":
        encoder, back_end = BEATs(**sizes, ffn_width=64), PooledLinear(5, dim=width)
        heads = {"predictor": linear}
    else:
        encoder = (EAT if name == "EAT" else PaSST)(**sizes)
        back_end = PooledLinear(5, dim=width, pooling="class_tokens", norm_eps=norm.eps)
        heads = {"fc_norm": norm, "head": linear} if name == "EAT" else {"head.0": norm, "head.1": linear}
        back_end.norm = norm
    back_end.proj_fc = linear
    state = dict(encoder.state_dict())
    for module, layer in heads.items():
        state |= {f"{module}.{key}": tensor for key, tensor in layer.state_dict().items()}
    return state, EncoderClassifier(encoder, back_end).eval()


CFG = {
    "encoder_layers": 1, "encoder_embed_dim": 128, "encoder_attention_heads": 2, "encoder_ffn_embed_dim": 64,
    "embed_dim": 512, "conv_pos": 128, "conv_pos_groups": 16, "num_buckets": 320, "max_distance": 800,
    "deep_norm": True, "layer_norm_first": False, "relative_position_embedding": True, "gru_rel_pos": True,
    "activation_fn": "gelu", "input_patch_size": 16, "conv_bias": False,
}  # fmt: skip


@pytest.mark.parametrize("name", ["BEATs", "EAT", "PaSST"])
def test_fine_tuned_encoders_score_with_their_heads(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VGGSOUND_ROOT", raising=False)
    state, network = fine_tuned(name)
    torch.save({"cfg": CFG, "model": state} if name == "BEATs" else state, tmp_path / "tuned.pt")
    model = load_model(tmp_path / "tuned.pt", device="cpu")
    assert model.classes == ["0", "1", "2", "3", "4"]
    rate = 32000 if name == "PaSST" else 16000
    sound = 0.1 * torch.randn(1, 1, rate * 1024 // 100 if name == "EAT" else rate * 10)
    front_end = {"BEATs": BEATsFbank, "EAT": lambda: ASTFbank(mean=-4.268, std=4.569), "PaSST": PaSSTMel}[
        name
    ]()
    with torch.no_grad():
        expected = network(front_end.eval()(sound)).logits.softmax(1)[0]
    found = torch.tensor(list(model.score(sound[0, 0]).values()))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["BEATs", "EAT", "PaSST", "Dasheng"])
def test_encoders_without_a_head_score_nothing(name, tmp_path):
    encoder: Any = {"BEATs": BEATs, "EAT": EAT, "PaSST": PaSST, "Dasheng": Dasheng}[name]
    state = encoder(depth=1, width=64, num_heads=1).state_dict()
    torch.save({"cfg": CFG, "model": state}, tmp_path / "encoder.pt")
    with pytest.raises(
        ValueError, match=r"encoder\.pt: an encoder without a head: train from it with model\.network"
    ):
        load_model(tmp_path / "encoder.pt")


@pytest.mark.parametrize(("num_bins", "n_fft"), [(256, None), (257, 512)])
def test_the_front_end_of_lcnn_is_that_of_its_file(num_bins, n_fft):
    found = recognise(
        {"m_transform.0.0.weight": torch.empty(0), "m_frontend.0.lfcc_fb": torch.empty(num_bins, 20)}
    )
    assert found is not None
    assert found.frontend.get("n_fft") == n_fft


@pytest.mark.parametrize(
    ("back_end", "config", "arguments"),
    [
        (AASISTBackEnd, "ssd_xlsr_aasist.yaml", None),
        (SLS, "ssd_xlsr_sls.yaml", None),
        (Nes2NetX, "ssd_xlsr_nes2net.yaml", {"dim": 1024, "se_ratio": 1, "pooling": "mean"}),
        (
            lambda: Nes2NetX(se_ratio=8, pooling="attentive_statistics"),
            "ssd_xlsr_nes2net.yaml",
            {"dim": 1024, "se_ratio": 8, "pooling": "attentive_statistics"},
        ),
    ],
)
def test_detectors_on_xlsr_are_told_by_their_back_ends(back_end, config, arguments):
    with torch.device("meta"):
        state = {"ssl_model.model.mask_emb": torch.empty(1024), **back_end().state_dict()}
    found = recognise(state)
    assert found is not None
    assert found.config == config
    assert (found.network["back_end"]["init_args"] if found.network else None) == arguments


def test_a_detector_on_wav2vec_with_another_back_end_asks_for_its_configuration(tmp_path):
    state = {"m_ssl.model.mask_emb": torch.zeros(4), "proj_fc.weight": torch.zeros(2, 4)}
    torch.save(state, tmp_path / "anti.pth")
    with pytest.raises(
        ValueError, match=r"anti\.pth: a detector on wav2vec 2\.0 with another back end .* config="
    ):
        load_model(tmp_path / "anti.pth")


def test_a_detector_on_an_encoder_scores_as_its_network(tmp_path, monkeypatch):
    monkeypatch.delenv("ASVSPOOF2019_LA_ROOT", raising=False)
    monkeypatch.setenv("XLSR_300M_WEIGHTS", "elsewhere.pt")  # which the file replaces
    theirs = EncoderClassifier(small(layers="blocks"), Nes2NetX(dim=64, num_layers=2)).eval()
    state = {f"ssl_model.model.{name}": tensor for name, tensor in fairseq_tensors().items()}
    torch.save(state | theirs.back_end.state_dict(), tmp_path / "detector.pth")
    overlay = tmp_path / "overlay.yaml"  # as ssd_small_encoder, which has no weights
    overlay.write_text(
        "model: {init_args: {network: {init_args: {encoder: {init_args: {layers: blocks, sizes: {width: 64, depth: 2,"
        " heads: 4, feed_forward: 128, conv_width: 32}}}, back_end: {init_args: {dim: 64, num_layers: 2}}}}}}\n"
        "data: {init_args: {eval_crop_s: 0.5}}\n"
    )
    model = load_model(
        tmp_path / "detector.pth", config=[CONFIGS / "ssd_xlsr_nes2net.yaml", overlay], device="cpu"
    )
    sound = 0.1 * torch.randn(8000)
    expected = theirs(sound[None, None]).logits[0, 1]
    assert model.score(sound) == pytest.approx(expected.item(), rel=1e-5)
