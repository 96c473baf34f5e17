import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from datamodules.hearing import Listening
from lightning_modules.networks import AASIST, LCNN
from lightning_modules.networks.aasist import ResidualBlock
from lightning_modules.networks.sinc import former_sinc_filters, sinc_filters
from lightning_modules.networks.weights import PACKAGED
from lightning_modules.objectives import InterInstance
from lightning_modules.package.classes import describe
from lightning_modules.package.folder import Package, read_package, write_package
from lightning_modules.package.scorers import SpoofingScorer
from lightning_modules.run.checkpoints import load_weights
from lightning_modules.ssd import SyntheticSpeechDetector


@pytest.fixture(scope="module")
def waveform():
    return 0.1 * torch.randn(3, 5000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("build", "total"), [(AASIST, 297_866), (AASIST.light, 85_306)])
def test_parameters_are_the_published_ones(build, total):
    network = build()
    assert len(network.state_dict()) == 229 + 1, "those published, and the filters"
    assert len(list(network.parameters())) == 175
    assert sum(parameter.numel() for parameter in network.parameters()) == total


def test_output_shapes_and_embedding_before_dropout(waveform):
    network = AASIST.light().eval()
    embedding, logits = network(waveform)
    assert embedding.shape == (3, 160)
    torch.testing.assert_close(logits, network.out_layer(embedding))
    torch.testing.assert_close(network(waveform[:, None]).logits, logits)


def test_residual_block_against_plain_convolutions():
    torch.manual_seed(0)
    block, x = ResidualBlock(3, 5).double(), torch.randn(2, 3, 4, 10, dtype=torch.float64)
    hidden = F.conv2d(F.pad(x, (1, 1, 1, 1)), block.conv1.weight, block.conv1.bias)
    centred = hidden - hidden.mean((0, 2, 3), keepdim=True)
    hidden = F.selu(centred / (hidden.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt())
    hidden = F.conv2d(F.pad(hidden, (1, 1)), block.conv2.weight, block.conv2.bias)
    assert block.conv_downsample is not None
    skip = F.conv2d(F.pad(x, (1, 1)), block.conv_downsample.weight, block.conv_downsample.bias)
    expected = (hidden + skip)[..., :9].unflatten(-1, (3, 3)).amax(-1)
    torch.testing.assert_close(block(x), expected)


def test_every_parameter_that_wants_a_gradient_gets_one(waveform):
    """Or plain distributed training would wait for it forever; the published dead branch wants none."""
    network = AASIST.light()
    F.cross_entropy(network(waveform).logits, torch.tensor([0, 1, 1])).backward()
    frozen = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert frozen == {f"encoder.{i}.0.bn1.{kind}" for i in range(1, 6) for kind in ("weight", "bias")}
    assert not any(
        parameter.requires_grad for name, parameter in network.named_parameters() if name in frozen
    )


def small() -> AASIST:
    torch.manual_seed(0)
    return AASIST(channels=(8, 8, 8, 8, 8, 8))


def without_filters(state):
    """A state as published files and those of earlier versions have it."""
    return {name: tensor for name, tensor in state.items() if not name.endswith("sinc")}


def test_published_weights_hear_through_published_filters(tmp_path):
    network = small()
    torch.save(without_filters(network.state_dict()), tmp_path / "published.pth")
    network.sinc.zero_()
    network.load_official(tmp_path / "published.pth")
    assert torch.equal(network.sinc[:, 0], sinc_filters()[:69])


FORMER = former_sinc_filters()[:69]
"""What AASIST heard through up to version 0.2, whose files hold no filters."""


def test_a_checkpoint_of_earlier_versions_keeps_its_filters(tmp_path, waveform):
    detector = SyntheticSpeechDetector(small(), inter_instance=InterInstance(bank_size=4))
    older = {"state_dict": without_filters(detector.state_dict()), "pytorch-lightning_version": "2.5"}
    torch.save(older, tmp_path / "last.ckpt")
    detector.network.sinc[:, 0] = FORMER
    expected = detector.eval().network(waveform).logits

    scored = SyntheticSpeechDetector(small())
    load_weights(scored, tmp_path / "last.ckpt", training_only=scored.training_only)
    resumed = SyntheticSpeechDetector(small(), inter_instance=InterInstance(bank_size=4))
    resumed.load_state_dict(older["state_dict"])  # as Lightning does
    tuned = SyntheticSpeechDetector(small(), weights=str(tmp_path / "last.ckpt"))
    for found in (scored, resumed, tuned):
        assert torch.equal(found.eval().network(waveform).logits, expected)
    assert torch.equal(resumed.state_dict()["inter_instance.encoder.sinc"][:, 0], FORMER)


def test_a_package_of_earlier_versions_keeps_its_filters(tmp_path):
    scorer = SpoofingScorer(small())
    listening = Listening(sample_rate=16000, crop_s=None, padding="repeat", mono=True)
    config = {
        "network": {"class_path": "lightning_modules.networks.AASIST", "init_args": {"channels": [8] * 6}}
    }
    write_package(tmp_path, Package(scorer=scorer, listening=listening), describe(scorer, config))
    assert torch.equal(read_package(tmp_path).scorer.state_dict()["network.sinc"][:, 0], sinc_filters()[:69])
    save_file(without_filters(load_file(tmp_path / PACKAGED)), tmp_path / PACKAGED)
    assert torch.equal(read_package(tmp_path).scorer.state_dict()["network.sinc"][:, 0], FORMER)


def test_a_checkpoint_keeps_the_filters_that_it_holds(tmp_path):
    network = small()
    network.sinc *= 2
    torch.save(
        {"state_dict": {f"network.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "last.ckpt"
    )
    assert torch.equal(small().load_official(tmp_path / "last.ckpt").sinc, network.sinc)


def test_gradients_reach_a_waveform_that_asks(waveform):
    waveform = waveform.clone().requires_grad_()
    AASIST.light()(waveform).logits.sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.abs().sum() > 0


def test_trains_in_half_precision(waveform):
    network = AASIST.light()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(waveform).logits
    F.cross_entropy(logits.float(), torch.tensor([0, 1, 1])).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


def test_compiles_into_one_graph(waveform):
    network = AASIST.light().eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(compiled(waveform).logits, network(waveform).logits)


@pytest.mark.parametrize("shape", [(2, 2314), (2, 2, 5000)])
def test_unfit_waveforms_are_refused(shape):
    with pytest.raises(ValueError, match=r"expects \(batch, 1, time\) with time at least 2315"):
        AASIST.light()(torch.zeros(shape))


def test_shortest_clip():
    assert AASIST.light().eval()(torch.randn(1, 2315)).logits.isfinite().all()


def test_checkpoints_of_other_models_are_refused_in_one_line(tmp_path):
    path = tmp_path / "light.pth"
    torch.save(AASIST.light().state_dict(), path)
    assert AASIST.light().load_official(path)
    with pytest.raises(
        ValueError, match=r"light.pth: weights of another model than this AASIST: .*\d+ of"
    ) as error:
        AASIST().load_official(path)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"light.pth: weights of another model than this LCNN: \d+ missing"):
        LCNN.lstm_sum().load_official(path)


@pytest.mark.parametrize("content", ["not weights", "hello", "RIFF....WAVE", "]G"])
def test_files_that_are_no_checkpoint_are_refused(content, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"notes.txt: not a checkpoint of plain tensors"):
        AASIST().load_official(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(ValueError, match=r"notes.txt: expected a flat state_dict, tensors by name"):
        AASIST().load_official(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_interrupted_downloads_are_refused_by_name(tmp_path, is_zip):
    path = tmp_path / "part.pth"
    torch.save(AASIST.light().state_dict(), path, _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    for size in (1, 2, 5, 500, 3000, 5000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"part.pth: not a checkpoint of plain tensors"):
            AASIST.light().load_official(path)
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        AASIST.light().load_official(tmp_path / "none.pth")


def test_checkpoints_of_data_parallel_training_load(tmp_path):
    weights = AASIST.light().state_dict()
    torch.save({f"module.{key}": value for key, value in weights.items()}, tmp_path / "parallel.pth")
    loaded = AASIST.light().load_official(tmp_path / "parallel.pth").state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
