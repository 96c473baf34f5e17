"""Data that count classes otherwise than the method: mapped by name in every command, or refused in one line."""

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds_of_classes import BANDS, RATE, write_classes

from lightning_modules import fit, predict, test
from lightning_modules.config import cli
from lightning_modules.metrics.functional import equal_error_rate

CONFIGS = Path(__file__).parents[2] / "configs"
SPLITS = {"Train": 16, "Val": 4, "Test": 6}
DETECTOR = "lightning_modules.ssd.SyntheticSpeechDetector"
CLASSIFIER = "lightning_modules.event.EventClassifier"
DATA = [
    "data=datamodules.AudioFolder",
    f"data.sample_rate={RATE}",
    "data.train_crop_s=0.2",
    "data.eval_crop_s=0.2",
]
QUICK = [
    "data.batch_size=8",
    "data.num_workers=0",
    "data.near_duplicates=null",
    "model.optimizer=torch.optim.Adam",
    "model.optimizer.lr=0.05",
    "checkpoints.monitor=null",
    "trainer.max_epochs=10",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.enable_model_summary=false",
    "tracking.wandb=disabled",
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of one's own with a network in it."""
    (tmp_path / "bands.py").write_text(BANDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("bands", None)


def run(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    cli.one_line_errors(command.main)


def trains(method, root, *more, name="x"):
    own = [f"model={method}", "model.network=bands.Bands", *DATA, f"data.root={root}", f"run.id={name}"]
    if method == CLASSIFIER:
        own.append("model.frontend=bands.Through")
    return [f"--{each}" for each in [*own, *QUICK, *more]]


def of_list(method, root, *more):
    """As `trains`, on a list."""
    return [word.replace("datamodules.AudioFolder", "ClipList") for word in trains(method, root, *more)]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def refused(capsys, monkeypatch, command, *arguments):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, command, *arguments)
    assert stop.value.code == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_detector_learns_from_folders_that_sort_its_classes_the_other_way(place, monkeypatch, caplog):
    write_classes(place / "speech", {"bonafide": 0.0, "spoof": 0.9}, per_split=SPLITS)
    run(monkeypatch, fit, *trains(DETECTOR, "speech"))
    assert "classes are counted in the order of the SyntheticSpeechDetector" in caplog.text
    folder = place / "runs/experiment/x"
    scores = {row["key"]: float(row["score"]) for row in rows(folder / "scores/test.csv")}
    is_bonafide = np.array(["/bonafide/" in key for key in scores])
    eer = equal_error_rate(np.array([*scores.values()]), is_bonafide)[0]
    assert min(value for key, value in scores.items() if "/bonafide/" in key) > max(
        value for key, value in scores.items() if "/spoof/" in key
    )
    (row,) = rows(folder / "results.csv")
    assert float(row["eer"]) == float(eer) == 0
    assert "min_tdcf" not in row
    assert [each["condition"] for each in rows(folder / "tables/test.csv")] == ["pooled"]

    checkpoint = f"--ckpt_path={folder}/checkpoints/last.ckpt"
    run(monkeypatch, predict, checkpoint, "--data.predict=[speech/Test]", "--output=predicted.csv")
    predicted = [float(row["score"]) for row in rows(place / "predicted.csv")]
    np.testing.assert_allclose(sorted(predicted), sorted(scores.values()), atol=1e-5)


def test_names_of_ones_own_are_mapped_several_to_one(place, monkeypatch):
    write_classes(place / "speech", {"human": 0.0, "tts": 0.9, "vocoder": 0.8}, per_split=SPLITS)
    names = "--data.class_names={human: bonafide, tts: spoof, vocoder: spoof}"
    run(monkeypatch, fit, *trains(DETECTOR, "speech"), names)
    (row,) = rows(place / "runs/experiment/x/results.csv")
    assert (float(row["eer"]), row["clips"]) == (0, "18")


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_other_names_are_refused_with_both_lists_and_the_option(place, monkeypatch, capsys, check):
    write_classes(place / "speech", {"fake": 0.9, "real": 0.0}, per_split=SPLITS)
    message = refused(capsys, monkeypatch, fit, *trains(DETECTOR, "speech"), *check)
    assert "AudioFolder has classes fake, real where spoof, bonafide were expected" in message
    assert "data.class_names=" in message
    missing = refused(
        capsys, monkeypatch, fit, *trains(DETECTOR, "speech"), "--data.class_names={real: bonafide}", *check
    )
    assert "not known: fake" in missing


def test_a_trained_classifier_is_tested_on_data_that_count_otherwise(place, monkeypatch, capsys):
    tilts = {"dull": -0.9, "flat": 0.0, "sharp": 0.9}
    write_classes(place / "a", tilts, per_split=SPLITS)
    run(monkeypatch, fit, *trains(CLASSIFIER, "a"))
    folder = place / "runs/experiment/x"
    expected = rows(folder / "results.csv")[0]["top1"]
    scores = rows(folder / "scores/test.csv")
    assert float(expected) == 1

    (place / "order.csv").write_text("head,index,name\nclass,0,sharp\nclass,1,dull\nclass,2,flat\n")
    checkpoint = [f"--ckpt_path={folder}/checkpoints/last.ckpt", "--run.experiment=other"]
    run(monkeypatch, test, *checkpoint, "--data.classes_file=order.csv")
    other = place / "runs/other/x"
    assert rows(other / "results.csv")[0]["top1"] == expected
    assert rows(other / "scores/test.csv") == scores  # columns are the model's
    (clip,) = [row for row in rows(other / "tables/test_clips.csv") if row["key"] == "Test/dull/0.wav"]
    assert (clip["class_target"], clip["class_predicted"]) == ("dull", "dull")

    write_classes(place / "b", {"blunt": -0.9, "sharp": 0.9}, per_split={"Test": 4})
    message = refused(capsys, monkeypatch, test, *checkpoint, "--data.root=b")
    assert "classes blunt, sharp where dull, flat, sharp were expected (not known: blunt)" in message
    run(
        monkeypatch,
        test,
        *checkpoint,
        "--run.experiment=named",
        "--data.root=b",
        "--data.class_names.blunt=dull",
    )
    assert float(rows(place / "runs/named/x/results.csv")[0]["top1"]) == 1

    run(monkeypatch, predict, checkpoint[0], "--data.root=gone", "--data.predict=[a/Test]", "--output=p.csv")
    assert list(rows(place / "p.csv")[0]) == ["key", "dull", "flat", "sharp"]


def test_training_starts_from_a_head_of_the_same_classes_in_its_order(place, monkeypatch, caplog):
    write_classes(place / "a", {"dull": -0.9, "flat": 0.0}, per_split=SPLITS)
    run(monkeypatch, fit, *trains(CLASSIFIER, "a"))
    weights = f"model.weights={place}/runs/experiment/x/checkpoints/last.ckpt"
    (place / "order.csv").write_text("head,index,name\nclass,0,flat\nclass,1,dull\n")
    frozen = ["trainer.max_epochs=1", "trainer.limit_train_batches=1", "model.optimizer.lr=0"]
    run(monkeypatch, fit, *trains(CLASSIFIER, "a", weights, "data.classes_file=order.csv", *frozen, name="y"))
    assert float(rows(place / "runs/experiment/y/results.csv")[0]["top1"]) == 1
    assert "begun anew" not in caplog.text

    write_classes(place / "b", {"blunt": 0.9, "flat": 0.0}, per_split=SPLITS)
    run(monkeypatch, fit, *trains(CLASSIFIER, "b", weights, *frozen, name="z"))
    assert re.search(r"trained on the classes class 2 from .*: not taken, and begun anew: \w", caplog.text)


def test_a_network_without_another_head_says_what_to_set(place, monkeypatch, capsys):
    (place / "bands.py").write_text(
        BANDS.replace("def reset_classifier", "def _classify").replace(
            "self.reset_classifier", "self._classify"
        )
    )
    write_classes(place / "a", {"dull": -0.9, "flat": 0.0, "sharp": 0.9}, per_split=SPLITS)
    message = refused(capsys, monkeypatch, fit, *trains(CLASSIFIER, "a"))
    assert "set model.network.num_classes=3" in message
    run(monkeypatch, fit, *trains(CLASSIFIER, "a", "model.network.num_classes=3"))


@pytest.mark.parametrize(
    ("config", "data", "root", "message"),
    [
        (
            "asd_autoencoder",
            "AudioFolder",
            "speech",
            "AudioFolder names no machine instances, .* lay the files out as DCASE 2020 does",
        ),
        (
            "event_resnet",
            "ASVspoof",
            "LA",
            "ASVspoof writes one score a clip, and EventClassifier gives one a class",
        ),
        (
            "production_tagger",
            "EPICKitchens",
            "EPIC-KITCHENS-100",
            "data: verb has 97 classes beside 1 other heads, and a Tagger tells classes of one head, or tags, apart",
        ),
    ],
)
def test_pairs_of_task_and_data_that_cannot_work_are_refused(
    config, data, root, message, place, monkeypatch, capsys, demo_corpus, demo_events
):
    write_classes(place / "speech", {"anomaly": 0.9, "normal": 0.0}, per_split=SPLITS)
    roots = {"LA": demo_corpus, "EPIC-KITCHENS-100": demo_events / "EPIC-KITCHENS-100"}
    arguments = [
        f"--config={CONFIGS}/{config}.yaml",
        f"--data=datamodules.{data}",
        f"--data.root={roots.get(root, root)}",
    ]
    assert re.search(message, refused(capsys, monkeypatch, fit, *arguments, "--check"))


def test_parts_of_long_recordings_are_listed_as_events(place, monkeypatch):
    tilts, lines, rng = {"dull": -0.9, "sharp": 0.9}, [], np.random.default_rng(0)
    for split, count in {"train": 8, "val": 2, "test": 4}.items():
        sounds = []
        for name in [*tilts] * count:
            noise = rng.normal(size=RATE // 5 + 1) * 0.1
            sounds.append(noise[1:] - tilts[name] * noise[:-1])
            begin = 0.2 * (len(sounds) - 1)
            lines.append(f"{split}.wav {name} {split} {begin:.1f} {begin + 0.2:.1f}")
        soundfile.write(place / f"{split}.wav", np.concatenate(sounds), RATE)
    (place / "events.txt").write_text("\n".join(["file event set from to", *lines]))
    columns = "{path: file, label: event, split: set, start: from, end: to}"
    run(monkeypatch, fit, *of_list(CLASSIFIER, ".", "data.list=events.txt", f"data.columns={columns}"))
    folder = place / "runs/experiment/x"
    (row,) = rows(folder / "results.csv")
    assert (float(row["top1"]), row["clips"]) == (1, "8")
    assert rows(folder / "scores/test.csv")[1]["key"] == "test.wav@0.2-0.4"


def test_a_mistyped_label_is_told_with_its_row(place, monkeypatch, capsys):
    write_classes(place / "speech", {"bonafide": 0.0, "spoof": 0.9}, per_split={"a": 2})
    (place / "speech/list.csv").write_text("path,label\na/bonafide/0.wav,bonafide\na/spoof/0.wav,spof\n")
    words = of_list(DETECTOR, "speech", "data.list=list.csv", "data.validation=0", "data.test=0")
    message = refused(capsys, monkeypatch, fit, *words)
    assert re.search(
        r"error: speech/list.csv:3: label 'spof' is none of bonafide, spoof, which the SyntheticSpeechDetector tells",
        message,
    )
