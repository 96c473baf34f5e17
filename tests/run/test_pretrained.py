"""A training begins with the network of an earlier run, of a package or of a file, for every method with a network."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader

from lightning_modules.asd import AutoencoderDetector, FrontEndEnsemble, ProxyOutlierClassifier
from lightning_modules.config import cli
from lightning_modules.event import EventClassifier
from lightning_modules.frontends import PanottiMelgram
from lightning_modules.networks import (
    AASIST,
    TCN,
    Autoencoder,
    LSTMDenoiser,
    PanottiCNN,
    RFRResNet,
    ShiftPredictor,
    VGGSoundResNet,
    WaveGAN,
)
from lightning_modules.production import Denoiser, LearnedEffect, Synthesizer, Tagger, TimeAligner
from lightning_modules.run.pretrained import Weights, read_pretrained
from lightning_modules.ssd import SyntheticSpeechDetector

REPOSITORY = Path(__file__).parents[2]
SMALL: Any = {"channels": (8,) * 6}
METHODS = {
    "ssd": lambda **more: SyntheticSpeechDetector(AASIST(**SMALL), **more),
    "proxy outliers": lambda **more: ProxyOutlierClassifier(RFRResNet(channels=8), **more),
    "autoencoder": lambda **more: AutoencoderDetector(Autoencoder(640, hidden_dims=(8,)), **more),
    "event": lambda **more: EventClassifier(VGGSoundResNet(3, depth=18), nn.Identity(), **more),
    "tagger": lambda **more: Tagger(PanottiCNN(3, num_mels=16, num_frames=16), PanottiMelgram(16000), **more),
    "effect": lambda **more: LearnedEffect(TCN(blocks=2, growth=2, channels=4), **more),
    "denoiser": lambda **more: Denoiser(LSTMDenoiser(), **more),
    "aligner": lambda **more: TimeAligner(ShiftPredictor(sample_rate=8000, num_channels=4), **more),
    "wavegan": lambda **more: Synthesizer(
        WaveGAN(num_samples=4096, dim=1, latent_dim=4), sample_rate=8000, **more
    ),
}
CLASSES = {"class": ["kick", "snare", "tom"]}


def write_run(folder: Path, method: Any, *, best: Any = None) -> Path:
    """Leaves what a run leaves, a best checkpoint where one is given; returns its folder."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("checkpoints: {mode: max}\n")
    entries = {"last": method} | (
        {} if best is None else {"best=0.1-epoch=0001": method, "best=0.9-epoch=0002": best}
    )
    for name, each in entries.items():
        checkpoint = {"state_dict": each.state_dict(), "config": "{}", "heads": dict(each.heads)}
        torch.save(checkpoint, folder / "checkpoints" / f"{name}.ckpt")
    return folder


def differ(method: Any) -> Any:
    """Weights that no initialization draws."""
    with torch.no_grad():
        for number, weight in enumerate(method.network.parameters()):
            weight.fill_(0.001 * (number + 1))
    return method


def same(a: nn.Module, b: nn.Module, *, but: str = "none") -> bool:
    theirs = b.state_dict()
    return all(
        torch.equal(each, theirs[name]) for name, each in a.state_dict().items() if not name.startswith(but)
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_begins_with_the_network_of_a_run(method, tmp_path, caplog):
    make = METHODS[method]
    run = write_run(tmp_path / "e/a", make(), best=differ(make()))
    found = make(weights=str(run))
    assert same(found.network, differ(make()).network), "of the best checkpoint, by the run's own mode"
    assert not same(make(weights=str(run / "checkpoints/last.ckpt")).network, found.network)
    assert same(make(weights=Weights(source=str(run))).network, found.network)


def test_a_package_gives_its_network(tmp_path):
    trained = differ(METHODS["tagger"]())
    folder = tmp_path / "package"
    folder.mkdir()
    state = {f"network.{name}": each.contiguous() for name, each in trained.network.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    described = {"scorer": {"init_args": {"heads": CLASSES}}}
    (folder / "package.json").write_text(json.dumps(described))
    assert same(METHODS["tagger"](weights=str(folder)).network, trained.network)
    assert read_pretrained(str(folder)).heads == CLASSES


class Line(EventClassifier):
    """A classifier of one weight, which saves itself within training: at its end the average is all that is left."""

    place: Path

    def __init__(self, **settings):
        super().__init__(nn.ModuleDict({"line": nn.Linear(1, 1)}), nn.Identity(), **settings)

    def training_step(self, batch, batch_idx):
        return self.network["line"](batch).square().mean()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.trainer.save_checkpoint(self.place)

    def setup(self, stage):
        """No data."""

    def on_save_checkpoint(self, checkpoint):
        checkpoint["config"] = "{}"


def test_averaged_weights_by_choice(tmp_path):
    torch.manual_seed(0)
    model = Line(optimizer=lambda weights: torch.optim.SGD(weights, 0.1))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[EMAWeightAveraging(decay=0.9)],
        default_root_dir=tmp_path,
    )
    loader = DataLoader(torch.ones(4, 1), batch_size=1)  # pyright: ignore[reportArgumentType]
    model.place = tmp_path / "ema.ckpt"
    trainer.fit(model, loader)
    content = torch.load(tmp_path / "ema.ckpt", weights_only=True)
    average, current = (content[key]["network.line.weight"] for key in ("state_dict", "current_model_state"))
    assert not torch.equal(average, current)
    source = str(tmp_path / "ema.ckpt")
    for weights, expected in (
        (source, average),
        (Weights(source=source), average),
        (Weights(source=source, averaged=False), current),
    ):
        assert torch.equal(Line(weights=weights).network["line"].weight, expected)


def with_data(method: Any, heads: dict[str, list[str]]) -> Any:
    data = SimpleNamespace(
        target_names=heads, takes_class_scores=True, count_classes_as=lambda *_, **__: None
    )
    method._trainer = SimpleNamespace(datamodule=data)
    return method


def pretrained_tagger(folder: Path) -> tuple[Any, str]:
    trained = differ(METHODS["tagger"]())
    trained.heads = CLASSES
    return trained, str(write_run(folder, trained))


@pytest.mark.parametrize(
    ("heads", "is_kept"),
    [
        (CLASSES, True),
        ({"class": ["kick", "snare", "clap"]}, False),  # as many
        ({"class": ["tom", "snare", "kick"]}, True),  # in another order, which the data take over
        ({"class": ["kick", "snare"]}, False),
        ({name: [f"no {name}", name] for name in ("dark", "long", "wet")}, False),
    ],
)
def test_a_head_of_other_classes_begins_anew(heads, is_kept, tmp_path, caplog):
    trained, run = pretrained_tagger(tmp_path / "e/a")
    with caplog.at_level("INFO"):
        method = with_data(METHODS["tagger"](weights=run), heads)
        method.setup("fit")
    assert same(method.network, trained.network, but="classifier.")
    head = method.network.classifier.weight
    assert (
        head.shape == trained.network.classifier.weight.shape
        and torch.equal(head, trained.network.classifier.weight)
    ) == is_kept
    said = [record.getMessage() for record in caplog.records if "not taken" in record.getMessage()]
    assert len(said) == (0 if is_kept else 1)
    if not is_kept:
        assert "begun anew: classifier.weight, classifier.bias" in said[0]
        assert "trained on the classes class 3 from 'kick'" in said[0]
    before = head.clone()
    method.setup("test")  # of what was trained since
    assert torch.equal(method.network.classifier.weight, before)


def test_a_head_of_another_size_is_no_obstacle(tmp_path):
    trained, run = pretrained_tagger(tmp_path / "e/a")
    network = PanottiCNN(7, num_mels=16, num_frames=16)
    method = with_data(Tagger(network, PanottiMelgram(16000), weights=run), CLASSES)
    method.setup("fit")
    assert same(method.network, trained.network)


def test_parts_stay_fresh_by_their_names(tmp_path, caplog):
    run = str(write_run(tmp_path / "e/a", differ(METHODS["ssd"]())))
    torch.manual_seed(1)
    untrained = METHODS["ssd"]()
    torch.manual_seed(1)
    with caplog.at_level("INFO"):
        method = METHODS["ssd"](weights=Weights(source=run, fresh=["out_layer"]))
    assert same(method.network.out_layer, untrained.network.out_layer)
    assert same(method.network, differ(METHODS["ssd"]()).network, but="out_layer.")
    (said,) = [
        record.getMessage()
        for record in caplog.records
        if "tensors of the network taken" in record.getMessage()
    ]
    assert said.endswith("not taken: out_layer.weight, out_layer.bias")
    with pytest.raises(ValueError, match=r"fresh: this AASIST has no part 'head'; its parts are .*out_layer"):
        METHODS["ssd"](weights=Weights(source=run, fresh=["head"]))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("none.ckpt", "model.weights: none.ckpt: no such file, run or package"),
        ("empty", "empty: a run without a checkpoint"),
        ("other", "weights of another model than this AASIST: "),
    ],
)
def test_what_is_no_source_is_named(weights, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty/checkpoints").mkdir(parents=True)
    write_run(Path("other"), METHODS["tagger"]())
    with pytest.raises(ValueError, match=expected) as error:
        METHODS["ssd"](weights=weights)
    assert "\n" not in str(error.value)


def test_a_method_of_several_networks_says_so(tmp_path):
    run = write_run(tmp_path / "e/a", METHODS["autoencoder"]())
    with pytest.raises(ValueError, match="FrontEndEnsemble has several networks or none"):
        FrontEndEnsemble(weights=str(run))


def test_yaml_and_command_line_say_it(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    trained = differ(METHODS["ssd"]())
    run = write_run(tmp_path / "e/a", trained)
    words = ["--config=configs/ssd_aasist.yaml", "--model.network.channels=[8,8,8,8,8,8]"]
    platform = cli.build("fit", "", [*words, f"--model.weights={run}"])
    assert same(platform.model.network, trained.network)
    weights = {"source": str(run), "averaged": False, "fresh": ["out_layer"]}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"weights": weights}}}))
    platform = cli.build("fit", "", [*words, f"--config={tmp_path}/more.yaml"])
    assert same(platform.model.network, trained.network, but="out_layer.")
    assert not same(platform.model.network.out_layer, trained.network.out_layer)
    assert yaml.safe_load(platform.dump())["model"]["init_args"]["weights"] == weights
