"""What the real W&B client, offline, holds after a small run: read back from its file."""

import json
import struct
from pathlib import Path

import pytest

from lightning_modules import fit
from lightning_modules.callbacks import embedding_map

wandb = pytest.importorskip("wandb")
BLOCK = 32768


def records(path: Path):
    """Records of a .wandb file: LevelDB's log format behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:  # the rest of a block that holds no header
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


@pytest.fixture(scope="module")
def run(demo_corpus, tmp_path_factory):
    """A folder with a run of seconds, and the records of its W&B file."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setattr(embedding_map, "_MIN_CLIPS", 30)
        patch.setattr(embedding_map, "PERPLEXITY", 5.0)
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
        wandb.finish()
    folder = root / "ssd_lcnn" / "x"
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    return folder, list(records(path))


def history(found):
    """Key -> values in the order of logging; of a picture or table the keys of its parts."""
    values = {}
    for record in found:
        for item in record.history.item:
            values.setdefault("/".join(item.nested_key), []).append(json.loads(item.value_json))
    return values


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
    for picture in ("test/det", "test/scores", "test/embeddings", "validation/det"):
        (names,) = logged[f"{picture}/filenames"]
        assert (folder / "wandb/latest-run/files" / names[0]).is_file()
    (table,) = logged["test/mistakes/path"]
    content = json.loads((folder / "wandb/latest-run/files" / table).read_text())
    assert content["columns"] == ["key", "target", "predicted", "margin", "audio", "spectrogram"]
    assert content["data"][0][4]["_type"] == "audio-file"
    assert content["data"][0][5]["_type"] == "image-file"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert {"figures/history.png", "figures/test_det.png", "figures/test_embeddings.png"} <= written
    assert {"mistakes/test.png", "mistakes/validation.png"} <= written


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
    assert set(provenance["data_hash"]) == {"train", "validation", "test"}
    begun = [record.run for record in found if record.HasField("run")]
    assert {each.run_id for each in begun} == {"ssd_lcnn-x"}
    assert begun[0].run_group == "ssd_lcnn"
    assert begun[0].job_type == "fit"
    assert {"small", "seed-3", "SyntheticSpeechDetector"} <= set(begun[-1].tags)


def test_files_become_artifacts_at_the_end(run):
    artifacts = [r.artifact for r in run[1] if r.HasField("artifact")] + [
        r.request.log_artifact.artifact for r in run[1] if r.request.HasField("log_artifact")
    ]
    aliases = [
        (each.name, set(each.aliases) - {"latest"}) for each in artifacts if each.type in ("model", "scores")
    ]
    assert aliases == [
        ("ssd_lcnn-x-test-scores", {"last", "seed-3"}),
        ("ssd_lcnn-x-checkpoint", {"last", "seed-3"}),
        ("ssd_lcnn-x-checkpoint", {"best", "seed-3"}),
    ]
