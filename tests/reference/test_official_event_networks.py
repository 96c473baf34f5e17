"""Equality with the published networks of audio event classification, from equal weights, in float64.

Needs files that are no part of this project: AST_REFERENCE (clone of YuanGongND/ast), ASF_REFERENCE (clone of
ekazakos/auditory-slow-fast) and VGGSOUND_REFERENCE (clone of hche11/VGGSound).
"""

import importlib
import importlib.util
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from published import load_module, reference
from timm.layers.helpers import to_2tuple
from timm.models.deit import VisionTransformerDistilled
from torch import nn

from lightning_modules.networks import AST, AudioSlowFast, VGGSoundResNet

pytestmark = pytest.mark.slow


def stub(monkeypatch, name: str, **contents) -> None:
    module = ModuleType(name)
    module.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def randomize(network: nn.Module) -> None:
    """Draw weights and statistics, none of them the zeros and ones of an initialization."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.normal_(0.1 if tensor.ndim == 1 else 0, 0.1).add_(
                1 if "norm" in name or "bn" in name else 0
            )
            if name.endswith("running_var"):
                tensor.abs_()


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def assert_equal_gradients(theirs: nn.Module, ours: nn.Module, prefix: str = "") -> None:
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        expected = gradients[prefix + name]
        assert parameter.grad is not None
        assert expected is not None
        assert (parameter.grad - expected).norm() <= 1e-9 * expected.norm() + 1e-12, name


@pytest.fixture
def official_ast(monkeypatch, tmp_path):
    """The published class on the installed timm, with 2 blocks, in a folder where it finds an AudioSet checkpoint."""
    root = reference("AST_REFERENCE")
    images = {}

    def create_model(name, *, pretrained):
        _, _, size, _, patch, resolution = name.split("_")
        assert (size, patch) == ("base", "patch16")
        embed = lambda **settings: module.PatchEmbed(  # noqa: E731
            *(settings[key] for key in ("img_size", "patch_size", "in_chans", "embed_dim"))
        )
        network = VisionTransformerDistilled(
            img_size=int(resolution), patch_size=16, embed_dim=768, depth=2, num_heads=12, embed_layer=embed
        )
        randomize(network)
        images.update(
            {key: value.clone() for key, value in network.state_dict().items()} if pretrained else {}
        )
        return network

    timm = SimpleNamespace(vision_transformer=SimpleNamespace())
    stub(monkeypatch, "wget")
    stub(monkeypatch, "timm", __version__="0.4.5", create_model=create_model, models=timm)
    stub(monkeypatch, "timm.models.layers", to_2tuple=to_2tuple, trunc_normal_=nn.init.trunc_normal_)
    monkeypatch.setenv("TORCH_HOME", "")  # which the published code overwrites
    module = load_module(root / "src" / "models" / "ast_models.py")
    (tmp_path / "pretrained_models").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    torch.set_default_dtype(torch.double)  # or the published code would fit positions in float32
    yield SimpleNamespace(model=partial(module.ASTModel, verbose=False), images=images, root=tmp_path)
    torch.set_default_dtype(torch.float)


def compare_ast(theirs, ours, num_frames):
    features = torch.randn(1, 128, num_frames)
    expected, output = theirs(features.mT), ours(features)
    assert_close(output.logits, expected)
    return output.logits, expected


@pytest.mark.parametrize("num_frames", [1024, 998, 512])
def test_ast_from_a_vision_transformer(official_ast, num_frames):
    theirs = official_ast.model(label_dim=20, input_tdim=num_frames).eval()
    path = official_ast.root / "deit.pth"
    torch.save({"model": official_ast.images}, path)
    ours = AST(20, input_size=(128, num_frames), depth=2).eval().load_official(path)
    ours.mlp_head.load_state_dict(theirs.mlp_head.state_dict())
    for logits in compare_ast(theirs, ours, num_frames):
        logits.square().sum().backward()
    names = {"pos_embed": "v.pos_embed", "patch_embed.weight": "v.patch_embed.proj.weight"}
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        other = names.get(name) or name.replace("patch_embed", "patch_embed.proj")
        expected = gradients[other if other in gradients else f"v.{other}"]
        assert (parameter.grad - expected).norm() <= 1e-9 * expected.norm(), name


@pytest.mark.parametrize("num_frames", [998, 512, 1300])
@pytest.mark.parametrize("at_run_time", [False, True])
def test_ast_from_audioset(official_ast, num_frames, at_run_time):
    """Positions are fitted when the weights are loaded, or to any clip."""
    published = nn.DataParallel(official_ast.model(label_dim=527, imagenet_pretrain=False))
    randomize(published)
    path = official_ast.root / "pretrained_models" / "audioset_10_10_0.4593.pth"
    torch.save(published.state_dict(), path)
    theirs = official_ast.model(label_dim=20, input_tdim=num_frames, audioset_pretrain=True).eval()
    ours = AST(20, input_size=(128, 1024 if at_run_time else num_frames), depth=2).eval()
    ours.load_official(path)
    ours.mlp_head.load_state_dict(theirs.mlp_head.state_dict())
    compare_ast(theirs, ours, num_frames)


def slowfast_settings(num_frames: int, num_classes: list[int]) -> SimpleNamespace:
    return SimpleNamespace(
        BN=SimpleNamespace(NORM_TYPE="batchnorm"),
        MODEL=SimpleNamespace(
            ARCH="slowfast", NUM_CLASSES=num_classes, DROPOUT_RATE=0.5, HEAD_ACT="softmax", FC_INIT_STD=0.01,
            SINGLE_PATHWAY_ARCH=["slow", "fast"], MULTI_PATHWAY_ARCH=["slowfast"],
        ),
        RESNET=SimpleNamespace(
            DEPTH=50, NUM_GROUPS=1, WIDTH_PER_GROUP=64, TRANS_FUNC="bottleneck_transform", ZERO_INIT_FINAL_BN=True,
            FREQUENCY_STRIDES=[[1, 1], [2, 2], [2, 2], [2, 2]], FREQUENCY_DILATIONS=[[1, 1]] * 4,
            NUM_BLOCK_TEMP_KERNEL=[[3, 3], [4, 4], [6, 6], [3, 3]],
        ),
        SLOWFAST=SimpleNamespace(ALPHA=4, BETA_INV=8, FUSION_CONV_CHANNEL_RATIO=2, FUSION_KERNEL_SZ=7),
        DATA=SimpleNamespace(INPUT_CHANNEL_NUM=[1, 1]),
        AUDIO_DATA=SimpleNamespace(NUM_FRAMES=num_frames, NUM_FREQUENCIES=128),
    )  # fmt: skip


@pytest.fixture
def official_slowfast(monkeypatch):
    """Build the published network, and classify with it as its data loader and it do together."""
    root = reference("ASF_REFERENCE") / "slowfast"
    for name in ("", ".models", ".utils", ".datasets"):
        stub(monkeypatch, f"slowfast{name}", __path__=[str(root / name.removeprefix("."))])
    registry = SimpleNamespace(register=lambda: lambda built: built)
    stub(monkeypatch, "fvcore.common.registry", Registry=lambda name: registry)
    fill = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
    stub(monkeypatch, "fvcore.nn.weight_init", c2_msra_fill=lambda conv: fill(conv.weight))
    builder = importlib.import_module("slowfast.models.audio_model_builder")
    yield lambda *settings: builder.SlowFast(slowfast_settings(*settings)).double()
    for name in [name for name in sys.modules if name.startswith("slowfast.")]:
        del sys.modules[name]


def slow_and_fast(features):
    """The inputs of the published network, by the rule of its data loader."""
    fast = features.mT[:, None]
    num_frames = fast.shape[2]
    return [fast[:, :, torch.linspace(0, num_frames - 1, num_frames // 4).long()], fast]


@pytest.mark.parametrize(
    ("num_frames", "heads", "num_tensors", "num_parameters"),
    [(512, {"": 309}, 662, 26_679_453), (400, {"verb": 97, "noun": 300}, 664, 26_882_293)],
)
def test_audio_slowfast(official_slowfast, tmp_path, num_frames, heads, num_tensors, num_parameters):
    theirs = official_slowfast(num_frames, list(heads.values()))
    ours = AudioSlowFast(
        sum(heads.values()), input_size=(128, num_frames), heads=heads if len(heads) > 1 else None
    ).double()
    assert len(ours.state_dict()) == num_tensors
    assert sum(parameter.numel() for parameter in ours.parameters()) == num_parameters
    randomize(theirs)
    torch.save({"epoch": 3, "model_state": theirs.state_dict(), "cfg": "text"}, tmp_path / "asf.pyth")
    ours.load_official(tmp_path / "asf.pyth")

    theirs.head.dropout.p = ours.dropout.p = 0
    features = torch.randn(2, 128, num_frames, dtype=torch.double)
    for network, output in ((theirs, theirs(slow_and_fast(features))), (ours, ours(features).logits)):
        logits = torch.cat(output, dim=1) if isinstance(output, tuple) else output
        (logits / logits.std()).square().mean().backward()
        if network is theirs:
            expected = logits
    assert_close(logits, expected)
    assert_equal_gradients(theirs, ours)
    for name, buffer in theirs.named_buffers():
        assert_close(ours.get_buffer(name), buffer)

    theirs.eval()
    ours.eval()
    for longer in (0, 4):  # more, and the published pathways end in different numbers of windows
        features = torch.randn(1, 128, num_frames + longer, dtype=torch.double)
        expected = theirs(slow_and_fast(features))
        logits = ours(features).logits.split(list(heads.values()), dim=1)
        for our_logits, probabilities in zip(
            logits, expected if isinstance(expected, tuple) else [expected], strict=True
        ):
            assert_close(our_logits.softmax(dim=1), probabilities)


def test_audio_slowfast_freezes_what_is_published(official_slowfast):
    theirs, ours = official_slowfast(400, [97, 300]).train(), AudioSlowFast(freeze_batch_norm=True)
    theirs.freeze_fn("bn_statistics")

    def frozen(network):
        return {
            name
            for name, layer in network.named_modules()
            if isinstance(layer, nn.BatchNorm2d) and not layer.training
        }

    assert len(frozen(theirs)) > 100
    assert frozen(ours) == frozen(ours.train()) == frozen(theirs)
    assert not any(layer.training for layer in ours.eval().modules())


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_vggsound_resnet(monkeypatch, tmp_path, depth):
    monkeypatch.syspath_prepend(str(reference("VGGSOUND_REFERENCE")))
    stub(monkeypatch, "models", resnet=load_module(reference("VGGSOUND_REFERENCE") / "models" / "resnet.py"))
    published = load_module(reference("VGGSOUND_REFERENCE") / "model.py")
    theirs = published.AVENet(SimpleNamespace(model_depth=depth, n_classes=309, pool="avgpool")).double()
    randomize(theirs)
    torch.save({"model_state_dict": theirs.state_dict()}, tmp_path / "model.pth.tar")
    ours = VGGSoundResNet(depth=depth).double().load_official(tmp_path / "model.pth.tar")
    target = torch.tensor([3, 7])
    features = torch.randn(2, 257, 100, dtype=torch.double)
    expected, logits = theirs(features[:, None]), ours(features).logits
    assert_close(logits, expected)
    for output in (logits, expected):
        F.cross_entropy(output / output.std(), target).backward()
    assert_equal_gradients(theirs, ours, prefix="audnet.")
    assert_close(ours.eval()(features).logits, theirs.eval()(features[:, None]))
