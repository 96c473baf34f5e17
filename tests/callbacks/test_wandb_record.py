"""What the real W&B client, offline, holds after a small run: read back from its file."""

import json
from pathlib import Path

import pytest
import soundfile
from wandb_file import artifacts, history, records_of_run

from lightning_modules import fit
from lightning_modules.config import sweep
from lightning_modules.run.folder import Run
from lightning_modules.run.tracking import PatientWandbLogger, Tracking

pytest.importorskip("wandb")


@pytest.fixture(scope="module")
def run(demo_corpus, tmp_path_factory):
    """A folder with a run of seconds, and the records of its W&B file."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.delenv("WANDB_DATA_DIR", raising=False)
        arguments = [
            "--config=configs/ssd_lcnn.yaml",
            "--model.network.num_frames=63",
            f"--data.root={demo_corpus}",
            "--data.train_crop_s=0.5",
            "--data.eval_crop_s=0.5",
            "--data.batch_size=8",
            "--data.num_workers=0",
            "--trainer.accelerator=cpu",
            "--trainer.max_steps=4",
            "--trainer.val_check_interval=2",
            "--trainer.log_every_n_steps=1",
            "--trainer.enable_progress_bar=false",
            "--tracking.wandb=offline",
            "--tracking.tags=[small]",
            "--seed_everything=3",
            f"--run.root={root}",
            "--run.id=x",
        ]
        patch.setattr("sys.argv", ["lightning_modules/fit.py", *arguments])
        fit.main()
    folder = root / "ssd_lcnn" / "x"
    return folder, records_of_run(folder)


def test_training_is_watched(run):
    logged = history(run[1])
    for key in (
        "train/loss",
        "train/lr",
        "train/gradient_norm",
        "throughput/clips_per_s",
        "throughput/audio_hours_per_hour",
        "throughput/data_wait",
    ):
        assert len(logged[key]) == 4, key
    assert all(norm > 0 for norm in logged["train/gradient_norm"])
    assert all(0 <= share <= 1 for share in logged["throughput/data_wait"])
    assert len(logged["val/eer"]) == 2
    steps = logged["_step"]
    assert steps == sorted(set(steps)), "each step is told once"


def test_evaluations_are_shown(run):
    folder, found = run
    logged = history(found)
    assert len(logged["test/eer"]) == 1
    for split in ("validation", "test"):
        for picture in ("det", "scores", "embeddings"):
            (names,) = logged[f"{split}/{picture}/filenames"]
            assert (folder / "wandb/latest-run/files" / names[0]).is_file()
            assert (folder / f"figures/{split}_{picture}.png").is_file()
        assert (folder / f"mistakes/{split}.png").is_file()
    assert (folder / "figures/history.png").is_file()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_mistakes_can_be_seen_and_heard(split, run):
    folder, found = run
    (of_split,) = [each for each in artifacts(found) if each.type == "run_table" and split in each.name]
    files = {each.path: Path(each.local_path) for each in of_split.manifest.contents}
    assert all(path.is_relative_to(folder.resolve()) for path in files.values()), "waits where the run lies"
    table = json.loads(files[f"{split}/mistakes.table.json"].read_text())
    assert table["columns"] == ["key", "target", "predicted", "margin", "audio", "spectrogram"]
    for *_, audio, picture in table["data"]:
        assert (audio["_type"], picture["_type"]) == ("audio-file", "image-file")
        assert picture["path"] in files
        samples, rate = soundfile.read(files[audio["path"]])
        assert rate == 16000
        assert abs(samples).max() > 0.01
    assert f"{split}/mistakes/artifact_path" in history(found)


def test_run_says_where_it_comes_from(run):
    folder, found = run
    config = {
        update.key: json.loads(update.value_json)
        for record in found
        for update in (*record.config.update, *record.run.config.update)
        if update.key
    }
    provenance = json.loads((folder / "provenance.json").read_text())
    assert config["seed_everything"] == 3
    assert config["model"]["class_path"].endswith("SyntheticSpeechDetector")
    assert {name: config[name] for name in provenance} == provenance
    assert set(provenance) == {*sweep._RECORD, sweep._RULE}
    assert set(provenance["data_hash"]) == {"train", "validation", "test"}
    begun = [record.run for record in found if record.HasField("run")]
    assert {each.run_id for each in begun} == {"ssd_lcnn-x"}
    assert begun[0].run_group == "ssd_lcnn"
    assert begun[0].job_type == "fit"
    assert {"small", "seed-3", "SyntheticSpeechDetector"} <= set(begun[-1].tags)


def test_files_become_artifacts_at_the_end(run):
    aliases = [
        (each.name, set(each.aliases) - {"latest"})
        for each in artifacts(run[1])
        if each.type in ("model", "scores")
    ]
    assert aliases == [
        ("ssd_lcnn-x-test-scores", {"last", "seed-3"}),
        ("ssd_lcnn-x-checkpoint", {"last", "seed-3"}),
        ("ssd_lcnn-x-checkpoint", {"best", "seed-3"}),
    ]


def test_the_best_value_is_told_beside_the_last(run):
    logged = history(run[1])
    assert logged["best/val/eer"] == [min(logged["val/eer"][: n + 1]) for n in range(2)]


def test_files_wait_as_they_were_for_an_upload_that_comes_later(tmp_path):
    folders = Run(experiment="e", id="x", root=str(tmp_path))
    folders.checkpoints.mkdir(parents=True)
    best, scores = folders.checkpoints / "best=0.1-epoch=0000.ckpt", folders.folder / "scores" / "test"
    scores.mkdir(parents=True)
    for file in (folders.last_checkpoint, best, scores / "a.csv"):
        file.write_text("first")
    PatientWandbLogger(folders, Tracking(wandb="offline")).log_files("test", scores)
    waiting = {
        content.path: Path(content.local_path)
        for each in artifacts(records_of_run(folders.folder))
        for content in each.manifest.contents
    }
    assert waiting.keys() == {"test/a.csv", "last.ckpt", best.name}
    assert waiting["last.ckpt"].samefile(folders.last_checkpoint), "nothing is copied"
    new = tmp_path / "new"
    new.write_text("second")
    new.replace(folders.last_checkpoint)
    best.unlink()
    (scores / "a.csv").unlink()
    assert {path.read_text() for path in waiting.values()} == {"first"}
