"""The event classifier: heads, views, mixup, classes in checkpoints, what a run leaves."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from datamodules.clips import Batch, Clip
from lightning_modules import fit, predict, test
from lightning_modules.config import cli
from lightning_modules.event import EventClassifier
from lightning_modules.event.event_report import event_report, head_metrics
from lightning_modules.metrics.row_table import MeanTable
from lightning_modules.networks import AST, DATAR, AudioSlowFast, Output, VGGSoundResNet
from lightning_modules.objectives import Mixup

REPOSITORY = Path(__file__).parents[2]
HEADS = {"verb": ["cut", "wash", "open"], "noun": ["onion", "pan"]}


class Frontend(nn.Module):
    def forward(self, waveform, length=None):
        return waveform


class Network(nn.Module):
    """Logits are a linear map of the waveform."""

    def __init__(self, num_classes=5):
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(4, num_classes)

    def forward(self, features):
        return Output(embedding=features[:, 0], logits=self.linear(features[:, 0]))


def batch(target, index=None):
    target = torch.tensor(target)
    return Batch(
        waveform=torch.randn(len(target), 1, 4, generator=torch.Generator().manual_seed(0)),
        length=torch.full((len(target),), 4),
        target=target,
        index=torch.arange(len(target)) if index is None else torch.tensor(index),
        key=[f"clip{row}" for row in range(len(target))],
        attributes={},
    )


def classifier(**settings):
    torch.manual_seed(0)
    module = EventClassifier(Network(), Frontend(), **settings)
    module.heads = HEADS
    module.log = lambda *_, **__: None  # pyright: ignore[reportAttributeAccessIssue]
    return module


def test_loss_is_the_mean_cross_entropy_of_the_heads_and_unknown_labels_add_nothing():
    module, clips = classifier(), batch([[0, 1], [2, 0], [1, -1]])
    logits = module(clips.waveform).logits
    verb = nn.functional.cross_entropy(logits[:, :3], torch.tensor([0, 2, 1]))
    noun = nn.functional.cross_entropy(logits[:2, 3:], torch.tensor([1, 0]), reduction="sum") / 3
    assert torch.allclose(module.training_step(clips, 0), (verb + noun) / 2)


def test_unknown_labels_add_nothing_to_a_smooth_loss_either():
    module, clips = classifier(label_smoothing=0.1), batch([[0, 1], [2, 0], [1, -1]])
    logits = module(clips.waveform).logits
    verb = nn.functional.cross_entropy(logits[:, :3], torch.tensor([0, 2, 1]), label_smoothing=0.1)
    noun = nn.functional.cross_entropy(logits[:2, 3:], torch.tensor([1, 0]), label_smoothing=0.1) * 2 / 3
    assert torch.allclose(module.training_step(clips, 0), (verb + noun) / 2)


def test_an_objective_takes_the_place_of_each_heads_cross_entropy():
    module, clips = classifier(objective=nn.BCEWithLogitsLoss()), batch([[0, 1], [2, 0]])
    logits = module(clips.waveform).logits
    target = torch.tensor([[1.0, 0, 0, 0, 1], [0, 0, 1, 1, 0]])
    heads = [nn.BCEWithLogitsLoss()(logits[:, part], target[:, part]) for part in (slice(3), slice(3, 5))]
    assert torch.allclose(module.training_step(clips, 0), torch.stack(heads).mean())


def test_mixup_trains_on_the_mixture_of_labels():
    module, clips = classifier(mixup=Mixup(1.0, alpha=10.0)), batch([[0, 1], [2, 0]])
    torch.manual_seed(3)
    found = module.training_step(clips, 0)
    torch.manual_seed(3)
    waveform, target = Mixup(1.0, alpha=10.0)(
        clips.waveform, clips.target, num_classes=[3, 2], length=clips.length
    )
    logits = module(waveform).logits
    expected = [
        -(target[:, part] * logits[:, part].log_softmax(1)).sum(1).mean()
        for part in (slice(0, 3), slice(3, 5))
    ]
    assert torch.allclose(found, torch.stack(expected).mean())


def test_views_of_a_clip_are_averaged_and_repeated_batches_change_nothing():
    module = classifier()
    views = batch([[0, 0]] * 4, index=[7, 7, 2, 2])
    for _ in range(2):  # the second as a rank that has no batch of its own repeats one
        module.validation_step(views, 0)
    module.on_test_epoch_end()
    assert module.gathered is not None
    index, probabilities = module.gathered
    assert index.tolist() == [2, 7]
    scores = module.score(views)
    assert torch.allclose(probabilities, torch.stack([scores[2:].mean(0), scores[:2].mean(0)]))
    assert torch.allclose(probabilities[:, :3].sum(1), torch.ones(2))


@pytest.mark.parametrize("num_views", [3, 10])
def test_repeated_batches_do_not_reach_the_last_bit(num_views):
    rows = (4 * torch.randn(8 * num_views, 309, generator=torch.Generator().manual_seed(0))).softmax(1)
    index = torch.arange(8).repeat_interleave(num_views)
    once, twice = MeanTable(), MeanTable()
    once.update(rows, index)
    for _ in range(2):
        twice.update(rows, index)
    assert torch.equal(once.compute()[1], twice.compute()[1])


@pytest.mark.parametrize(
    "network",
    [
        DATAR(5, input_size=(32, 64), dim=32, group_dim=32, depths=(2, 2, 2, 2)),
        AST(5, input_size=(32, 64), embed_dim=24, depth=1, num_heads=3),
        AudioSlowFast(5, input_size=(32, 64)),
        VGGSoundResNet(5),
    ],
)
def test_the_data_decide_the_number_of_classes(network):
    module = EventClassifier(network, Frontend())
    module.on_load_checkpoint({"heads": {"event": ["dog", "rain"]}})
    assert network.eval()(torch.randn(1, 32, 64)).logits.shape == (1, 2)
    assert network.num_classes == 2


def test_biases_and_tables_do_not_decay():
    module = classifier(optimizer=lambda parameters: torch.optim.AdamW(parameters, weight_decay=0.1))
    module.network.register_parameter("rpe_table", nn.Parameter(torch.zeros(2, 3, 3)))
    decayed, spared = module.configure_optimizers()["optimizer"].param_groups
    assert [tuple(each.shape) for each in decayed["params"]] == [(5, 4)]
    assert decayed["weight_decay"] == 0.1
    assert {tuple(each.shape) for each in spared["params"]} == {(5,), (2, 3, 3)}
    assert spared["weight_decay"] == 0


def test_metrics_of_several_heads_count_clips_that_are_right_in_all():
    probabilities = torch.tensor([[0.7, 0.2, 0.1, 0.4, 0.6], [0.7, 0.2, 0.1, 0.4, 0.6]])
    metrics = head_metrics(probabilities, torch.tensor([[0, 1], [0, 0]]), HEADS)
    assert metrics["top1"] == 0.5
    assert (metrics["verb_top1"], metrics["noun_top1"]) == (1, 0.5)


def test_report_names_every_clip_and_leaves_unlabelled_ones_without_figures():
    clips = [Clip("-a", "", (0, 1)), Clip("b,c", "", (2, 0))]
    probabilities = torch.tensor([[0.7, 0.2, 0.1, 0.4, 0.6], [0.7, 0.2, 0.1, 0.4, 0.6]])
    report = event_report(clips, probabilities, {"a": HEADS["verb"], "b": HEADS["noun"]})
    assert report.tables["clips"][1] == {
        "key": "b,c",
        "a_target": "open",
        "a_predicted": "cut",
        "b_target": "onion",
        "b_predicted": "pan",
        "a_rank": 3,
        "b_rank": 2,
    }
    assert np.asarray(report.scores).shape == (2, 5)
    unlabelled = event_report([Clip("a", "", (-1, -1))], probabilities[:1], HEADS)
    assert unlabelled.metrics == {}
    assert "without a label" in unlabelled.warnings[0]
    assert unlabelled.tables["clips"][0]["action_rank"] == 0


def run(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    cli.one_line_errors(command.main)


def test_a_run_leaves_scores_classes_and_ranks_and_predicts(demo_events, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(REPOSITORY)
    settings = ["--config=configs/event_resnet.yaml", f"--data.root={demo_events / 'VGGSound'}"]
    settings += ["--data.train_crop_s=1", "--data.eval_crop_s=1"]
    settings += ["--data.batch_size=8", "--data.num_workers=0", "--data.num_views=2", "--data.validation=0.2"]
    settings += ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    settings += ["--tracking.wandb=disabled", f"--run.root={tmp_path}", "--run.id=x"]
    published = tmp_path / "published.pth"
    torch.save(VGGSoundResNet().state_dict(), published)
    run(monkeypatch, fit, *settings, f"--model.weights={published}")
    published.unlink()  # a checkpoint needs no other file
    folder = tmp_path / "event_resnet" / "x"
    scores = np.load(folder / "scores/test.npz", allow_pickle=False)
    with (folder / "tables/test_clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == scores["key"].tolist()
    best = scores["classes"][scores["probability"].argmax(axis=1)]
    assert [row["event_predicted"] for row in rows] == best.tolist()
    with (folder / "results.csv").open(newline="") as file:
        (result,) = csv.DictReader(file)
    right = [row["event_rank"] == "1" for row in rows]
    assert float(result["top1"]) == pytest.approx(sum(right) / len(right), abs=1e-6)
    assert f"{len(rows)} of {len(rows)} listed clips" in result["data"]
    assert (folder / "figures/test_confusion_event.png").is_file()

    (checkpoint,) = (folder / "checkpoints").glob("best*")
    order = f"--data.classes_file={_reversed(folder, tmp_path)}"
    run(monkeypatch, test, f"--ckpt_path={checkpoint}", order, "--run.id=y")
    again = np.load(tmp_path / "event_resnet/y/scores/test.npz", allow_pickle=False)
    assert again["classes"].tolist() == scores["classes"].tolist()
    np.testing.assert_array_equal(again["probability"], scores["probability"])
    with (tmp_path / "event_resnet/y/results.csv").open(newline="") as file:
        assert [row["top1"] for row in csv.DictReader(file)] == [result["top1"]]

    clip = next((demo_events / "VGGSound/audio").glob("*.flac"))
    run(monkeypatch, predict, f"--ckpt_path={checkpoint}", f"--data.predict=[{clip}]", "--data.root=/nowhere")
    key, name, probability = capsys.readouterr().out.strip().splitlines()[-1].split("\t")
    assert key == clip.stem
    assert name in scores["classes"]
    assert 1 / 8 <= float(probability) <= 1


def _reversed(folder: Path, tmp_path: Path) -> Path:
    """The classes of a run in the opposite order."""
    with (folder / "tables/test_classes.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    path = tmp_path / "classes.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["head", "index", "name"])
        writer.writerows(("event", index, name) for index, name in enumerate(reversed(names)))
    return path
