"""The tagger: losses of classes and of tags, what checkpoints keep, what runs leave."""

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tagged_sounds import write_tagged_sounds
from torch import nn
from torch.nn import functional as F

from datamodules.clips import Batch
from lightning_modules import fit, predict
from lightning_modules.config import cli
from lightning_modules.frontends import PanottiMelgram
from lightning_modules.networks import Output
from lightning_modules.production import Tagger

REPOSITORY = Path(__file__).parents[2]
CLASSES = {"class": ["kick", "snare", "tom"]}
TAGS = {name: [f"no {name}", name] for name in ("dark", "drum", "long")}


class Frontend(nn.Module):
    """Lets waveforms through."""

    def __init__(self, **settings):
        super().__init__()
        self.settings = settings

    def forward(self, waveform, length=None):
        return waveform


class Network(nn.Module):
    """Logits are a linear map of the waveform."""

    def __init__(self, num_classes):
        super().__init__()
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes):
        self.num_classes = num_classes
        self.linear = nn.Linear(4, num_classes)

    def forward(self, features):
        return Output(embedding=features[:, 0], logits=self.linear(features[:, 0]))


def tagger(heads, *, num_classes=3, features=None, **settings) -> Any:
    torch.manual_seed(0)
    module: Any = Tagger(Network(num_classes), Frontend(**(features or {})), **settings)
    module._set_heads(heads)
    module.log = lambda *_, **__: None
    return module


def batch(target):
    target = torch.tensor(target)
    return Batch(
        waveform=torch.randn(len(target), 1, 4, generator=torch.Generator().manual_seed(0)),
        length=torch.full((len(target),), 4),
        target=target,
        index=torch.arange(len(target)),
        key=[f"clip{row}" for row in range(len(target))],
        attributes={},
    )


def test_classes_are_trained_by_smoothed_cross_entropy():
    module, clips = tagger(CLASSES), batch([0, 2])
    logits = module.network(clips.waveform).logits
    wanted = F.one_hot(clips.target, 3) * (1 - 0.005) + 0.005 / 3
    expected = -(wanted * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(module.training_step(clips, 0), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.005])
def test_tags_are_trained_by_binary_cross_entropy(smoothing):
    module, clips = tagger(TAGS, label_smoothing=smoothing), batch([[1, 0, 1], [0, 0, 0]])
    logits = module.network(clips.waveform).logits
    assert logits.shape == (2, 3)
    wanted = clips.target * (1 - smoothing) + smoothing / 2
    expected = F.binary_cross_entropy_with_logits(logits, wanted)
    torch.testing.assert_close(module.training_step(clips, 0), expected)


def test_scores_of_tags_are_independent_probabilities():
    module, clips = tagger(TAGS), batch([[1, 0, 1], [0, 0, 0]])
    scores = module.score(clips)
    wanted = module.network(clips.waveform).logits.sigmoid()
    torch.testing.assert_close(scores[:, 1::2], wanted)
    torch.testing.assert_close(scores[:, ::2], 1 - wanted)


@pytest.mark.parametrize(("heads", "wanted"), [(CLASSES, 3), (TAGS, 3), ({"class": ["a", "b"]}, 2)])
def test_the_head_is_made_for_the_data(heads, wanted):
    assert tagger(heads, num_classes=5).network.num_classes == wanted
    kept = tagger(heads, num_classes=wanted)
    torch.manual_seed(0)
    assert kept.network.linear.weight.equal(Network(wanted).linear.weight)  # nothing was thrown away


def test_a_checkpoint_keeps_classes_and_features():
    checkpoint = {}
    tagger(TAGS, features={"num_mels": 96, "top_db": 80.0}).on_save_checkpoint(checkpoint)
    assert checkpoint["features"] == {"num_mels": 96, "top_db": 80.0}
    module = tagger(CLASSES, num_classes=7, features={"num_mels": 96, "top_db": 80.0})
    module.on_load_checkpoint(checkpoint)
    assert module.heads == TAGS
    assert module.is_multi_tag
    other = tagger(TAGS, features={"num_mels": 128, "top_db": 80.0})
    with pytest.raises(ValueError, match=r"frontend\.num_mels is 128, .* trained with 96"):
        other.on_load_checkpoint(checkpoint)


def test_features_of_the_front_end_are_in_the_checkpoint():
    module = Tagger(Network(3), PanottiMelgram(16000, num_mels=64))
    checkpoint = {}
    module.on_save_checkpoint(checkpoint)
    assert (checkpoint["features"]["sample_rate"], checkpoint["features"]["num_mels"]) == (16000, 64)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Four synthetic kits in folders of classes, and a list of their tags."""
    return write_tagged_sounds(tmp_path_factory.mktemp("sounds") / "one_shots", num_hits=2)


@pytest.fixture
def run(sounds, monkeypatch, tmp_path, capsys):
    """Trains for two epochs, and returns the run's folder."""
    monkeypatch.chdir(REPOSITORY)

    def call(command, *arguments):
        monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
        cli.one_line_errors(command.main)
        return capsys.readouterr().out

    def train(*overlays):
        settings = ["configs/production_tagger.yaml", *overlays]
        arguments = [f"--config={path}" for path in settings]
        arguments += [
            f"--data.root={sounds}",
            "--data.num_workers=0",
            "--data.fold=1",
            f"--run.root={tmp_path}",
        ]
        arguments += [
            "--trainer.max_epochs=2",
            "--trainer.accelerator=cpu",
            "--trainer.enable_progress_bar=false",
        ]
        call(fit, *arguments, "--tracking.wandb=disabled", "--run.id=x")
        folder = tmp_path / "production_tagger" / "x"
        clip = sounds / "kick" / "kit1__1.flac"
        (checkpoint,) = (folder / "checkpoints").glob("best*")
        output = tmp_path / "scores.csv"
        ask = [
            f"--ckpt_path={checkpoint}",
            f"--data.predict=[{clip}]",
            f"--output={output}",
            "--trainer.accelerator=cpu",
        ]
        call(predict, *ask, "--data.num_workers=0")
        return folder, table(output)

    return train


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_on_classes(run):
    folder, predicted = run()
    clips, classes = table(folder / "tables/test_clips.csv"), table(folder / "tables/test_classes.csv")
    assert [row["name"] for row in classes] == ["clap", "hihat", "kick", "snare", "tom"]
    (result,) = table(folder / "results.csv")
    right = [row["target"] == row["predicted"] for row in clips]
    assert float(result["accuracy"]) == pytest.approx(sum(right) / len(right), abs=1e-6)
    assert "10 of 10 listed clips" in result["data"]
    mistakes = folder / "tables/test_mistakes.csv"
    assert (len(table(mistakes)) if mistakes.is_file() else 0) == right.count(False)
    figures = {"history.png"} | {
        f"{split}_{kind}.png" for split in ("validation", "test") for kind in ("roc", "confusion")
    }
    assert {path.name for path in (folder / "figures").iterdir()} == figures
    (row,) = predicted
    assert list(row)[1:] == ["clap", "hihat", "kick", "snare", "tom"]
    assert sum(float(value) for value in list(row.values())[1:]) == pytest.approx(1, abs=1e-5)


def test_a_run_on_tags(run):
    folder, predicted = run("configs/overlays/production_multi_tag.yaml")
    clips = table(folder / "tables/test_clips.csv")
    wanted = {
        "kick": "dark;skin",
        "tom": "skin",
        "snare": "bright;skin",
        "hihat": "bright;metal",
        "clap": "bright",
    }
    assert all(row["target"] == wanted[row["key"].split("/")[0]] for row in clips)
    (result,) = table(folder / "results.csv")
    assert 0 <= float(result["accuracy"]) <= 1
    assert float(result["map"]) > 0.4
    figures = {"history.png", "validation_roc.png", "test_roc.png"}
    assert {path.name for path in (folder / "figures").iterdir()} == figures
    (row,) = predicted
    assert list(row)[1:] == ["bright", "dark", "metal", "skin"]
    assert all(0 <= float(value) <= 1 for value in list(row.values())[1:])
