"""The worked examples of CONTRIBUTING.md: their files are written and their commands run, as the page says."""

import csv
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from contributing_page import EVENTS, METHOD, NETWORK, OBJECTIVE, PAGE, PAIRS, SECTIONS, arguments, files

from lightning_modules import fit, process

QUICK = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--tracking.wandb=disabled"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the reader is; modules that were imported from there are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture
def follow(folder, monkeypatch):
    """Writes the files of sections and runs the command of the last; returns the run's folder."""

    def run(*titles, more=()):
        for title in titles:
            for name, text in files(title).items():
                (folder / name).write_text(text)
        monkeypatch.setattr("sys.argv", ["fit", *arguments(titles[-1]), *QUICK, *more])
        fit.main()
        return newest(folder)

    return run


def newest(folder):
    return max(folder.glob("runs/*/*"), key=lambda path: path.stat().st_mtime)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def logged(run, name):
    return [float(row[name]) for row in rows(run / "metrics.csv") if row.get(name)]


@pytest.mark.parametrize("title", SECTIONS)
def test_examples_are_short(title):
    code = [line for text in files(title).values() for line in text.splitlines() if line.strip()]
    assert 0 < len(code) < 100


def test_following_the_page_trains_a_detector(tmp_path):
    for name, text in files(NETWORK).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "lightning_modules.fit", *arguments(NETWORK), *QUICK],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PAGE.parent)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    run = newest(tmp_path)
    assert run.parent.name == "level_net"
    (row,) = rows(run / "results.csv")
    assert (row["split"], row["clips"]) == ("test", "16")
    assert float(row["eer"]) == 0
    assert (run / "scores/test.txt").read_text().startswith("test/spoof/0.wav ")


def test_an_objective_trains_and_a_metric_chooses(follow):
    run = follow(NETWORK, OBJECTIVE)
    assert run.parent.name == "focal"
    assert "class_path: focal_loss.FocalLoss" in (run / "config.yaml").read_text()
    (row,) = rows(run / "results.csv")
    assert float(row["eer"]) == 0
    assert float(row["d_prime"]) > 3
    validated = logged(run, "val/d_prime")
    assert len(validated) == 5
    assert row["checkpoint"].startswith(f"best={max(validated):.6f}")


def test_a_method_learns_by_its_own_loss(follow):
    run = follow(METHOD)
    losses = logged(run, "train/loss")
    assert losses[-1] < losses[0] - 5
    (row,) = rows(run / "results.csv")
    assert float(row["auc"]) == 1
    decisions = (run / "scores/test/decision_result_hum_id_00.csv").read_text().split()
    assert sum(line.endswith(",1") for line in decisions if line.startswith("anomaly")) == 8
    assert len((run / "scores/test/anomaly_score_hum_id_00.csv").read_text().split()) == 16


def test_events_are_classified(follow):
    run = follow(EVENTS)
    (row,) = rows(run / "results.csv")
    assert float(row["top1"]) > 0.9
    scores = np.load(run / "scores/test.npz")
    assert set(scores["key"]) == {f"{number}.wav" for number in range(72) if number // 3 % 4 == 0}
    assert scores["classes"].tolist() == ["chirp", "hiss", "hum"]
    assert len(rows(run / "tables/test_by_class.csv")) == 3


def test_parts_of_one_task_serve_another(follow):
    (options,) = re.findall(r"`(--model\.frontend=.*?)`", SECTIONS[EVENTS])
    run = follow(EVENTS, NETWORK, more=options.split())
    assert "class_path: bands.BandLevels" in (run / "config.yaml").read_text()
    assert float(rows(run / "results.csv")[0]["eer"]) == 0


def test_pairs_teach_what_lies_between_them(follow, monkeypatch):
    run = follow(PAIRS)
    (row,) = rows(run / "results.csv")
    assert float(row["esr"]) < 0.01 * float(row["esr_dry"])
    assert [each["key"] for each in rows(run / "scores/test.csv")] == ["05", "11", "17", "23"]
    checkpoint = str(run / "checkpoints/last.ckpt")
    monkeypatch.setattr("sys.argv", ["process", "--ckpt_path", checkpoint, "demo/near/05.wav", "out.wav"])
    process.process()
    found, far = (soundfile.read(name)[0] for name in ("out.wav", "demo/far/05.wav"))
    assert np.abs(found - far).mean() < 0.1 * np.abs(far).mean()


def test_a_root_that_is_missing_is_named(follow):
    with pytest.raises(
        ValueError, match=r"^nowhere: no such folder: set data.root to the folder of the data set$"
    ):
        follow(NETWORK, more=["--data.root=nowhere"])


def test_items_too_short_for_an_output_name_the_key(follow):
    with pytest.raises(
        ValueError, match=r"items of 8 samples, and an output of FIR depends on 16: set data.window to"
    ):
        follow(PAIRS, more=["--data.window=8"])
