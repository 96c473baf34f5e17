"""fit, test, validate, predict and score on machines: what a run leaves, and faults in one line each."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors import safe_open

from lightning_modules import fit, predict, score, test, validate
from lightning_modules.config import cli

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_repository(monkeypatch, demo_machines):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("DCASE2020_ROOT", str(demo_machines))


def run(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    cli.one_line_errors(command.main)


def quick(method, tmp_path, *more):
    """A run of seconds on clips of 1 s."""
    return [
        f"--config=configs/asd_{method}.yaml",
        *{
            "proxy_outlier": ["--model.network.channels=8", "--model.window=24", "--data.machine=null"],
            "autoencoder": ["--data.machine=null", "--data.id=null"],
            "maf": ["--model.network.hidden_dim=32", "--model.windows_per_step=64"],
            "arcface": [
                "--model.network.channels=8",
                "--model.objective.embedding_dim=32",
                "--model.window=24",
                "--data.batch_size=8",
            ],
        }[method],
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--trainer.max_epochs=2",
        "--trainer.enable_progress_bar=false",
        "--tracking.wandb=disabled",
        f"--run.root={tmp_path}",
        "--run.id=x",
        *more,
    ]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("method", ["proxy_outlier", "autoencoder", "maf", "arcface"])
def test_a_run_leaves_official_files_and_can_be_scored_again(
    method, monkeypatch, tmp_path, demo_machines, capsys
):
    run(monkeypatch, fit, *quick(method, tmp_path))
    folder = tmp_path / f"asd_{method}" / "x"
    table = rows(folder / "tables/test.csv")
    machines = {(row["machine"], row["section"]) for row in table}
    for machine, section in machines:
        scored = (folder / f"scores/test/anomaly_score_{machine}_{section}.csv").read_text().splitlines()
        decided = (folder / f"scores/test/decision_result_{machine}_{section}.csv").read_text().splitlines()
        names = {path.name for path in (demo_machines / f"dev_data/{machine}/test").glob(f"*{section}*")}
        assert {line.split(",")[0] for line in scored} == names
        assert {line.split(",")[1] for line in decided} <= {"0", "1"}
    (result,) = rows(folder / "results.csv")
    assert float(result["auc"]) == pytest.approx(
        sum(float(row["auc"]) for row in table) / len(table), abs=0.1
    )  # means over machines of means over sections
    assert (folder / "figures/test_roc.png").is_file()
    found = rows(folder / "tables/test_thresholds.csv")
    assert (
        {row["rule"] for row in found} == {result["threshold_rule"]} == {"conformal"}
    )  # of six clips a machine
    assert machines == {tuple(row["instance"].split("/")) for row in found if row["normals"] != "0"}
    decided = "".join(path.read_text() for path in (folder / "scores/test").glob("decision_result_*"))
    decisions = re.findall(r"^normal_.*,(\d)$", decided, re.MULTILINE)
    assert float(result["normal_passed"]) == pytest.approx(decisions.count("0") / len(decisions), abs=1e-6)
    assert float(result["normal_passed_low"]) < float(result["normal_passed"]) <= 1
    held_out = sum(int(row["scores"]) for row in found)
    passed = sum(float(row["passed"]) * int(row["scores"]) for row in found)
    assert float(result["threshold_passed"]) == pytest.approx(passed / held_out, abs=1e-6)

    checkpoint = next(iter((folder / "checkpoints").glob("best*")), folder / "checkpoints/last.ckpt")
    instances = {f"{machine}/{section}" for machine, section in machines}
    (fitted,) = (folder / "fitted").iterdir()
    with safe_open(fitted, "pt") as file:
        assert json.loads(file.metadata()["thresholds"]).keys() >= instances

    monkeypatch.chdir(tmp_path)
    run(monkeypatch, test, f"--ckpt_path={checkpoint}")
    assert list((folder / "fitted").iterdir()) == [fitted]
    again = rows(folder / "results.csv")[-1]
    assert {name: again[name] for name in ("auc", "pauc", "f1")} == {
        name: result[name] for name in ("auc", "pauc", "f1")
    }
    assert score.main(["--scores", str(folder / "scores/test")]) == 0
    assert f"{float(result['auc']):.4f}" in capsys.readouterr().out.replace("%", "")

    machine, section = sorted(machines)[0]
    clip = sorted((demo_machines / f"dev_data/{machine}/test").glob(f"anomaly_{section}*"))[0]
    shutil.copy(clip, tmp_path / "unknown.wav")
    if method in ("proxy_outlier", "autoencoder"):  # the others need to know the machine
        run(
            monkeypatch,
            predict,
            f"--ckpt_path={checkpoint}",
            f"--data.predict=[{tmp_path}/unknown.wav]",
            f"--output={tmp_path}/out",
            f"--instance={machine}/{section}",
        )
        key, value = (tmp_path / "out/scores.csv").read_text().strip().split(",")
        assert key.startswith("unknown")
        lines = (folder / f"scores/test/anomaly_score_{machine}_{section}.csv").read_text().splitlines()
        assert float(value) == pytest.approx(
            float(dict(line.split(",") for line in lines)[clip.name]), rel=1e-3
        )
        (limit,) = (float(row["threshold"]) for row in found if row["instance"] == f"{machine}/{section}")
        assert (tmp_path / "out/decisions.csv").read_text() == f"{key},{int(float(value) > limit)}\n"


def test_validate_says_that_normal_clips_alone_have_no_auc(monkeypatch, tmp_path, capsys):
    run(monkeypatch, fit, *quick("maf", tmp_path))
    run(monkeypatch, validate, *quick("maf", tmp_path))
    assert re.search(
        r"fan id_00: AUC is undefined: none of 1 clips is anomal", capsys.readouterr().out.replace("\n", " ")
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("--data.machine=fann", r"no training clips of machine 'fann': choose one of .*fan"),
        ("--data.id=id_09", r"no training clips of id 'id_09': choose one of .*id_00"),
        ("--data.proxy_outliers=folder", "proxy_root"),
        ("--data.num_proxy_outliers=0", "num_proxy_outliers 0: choose a number from 1"),
        ("--data.root=/nowhere", "/nowhere"),
        ("--model.window=300", "fewer than a window of 300: set model.window"),
    ],
)
def test_a_fault_is_one_line(override, expected, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, fit, *quick("proxy_outlier", tmp_path, "--data.machine=fan", override))
    assert stop.value.code in (1, 2)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert re.search(expected, line), line


def test_an_empty_folder_of_proxies_is_one_line(monkeypatch, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    more = ["--data.machine=fan", "--data.proxy_outliers=folder", f"--data.proxy_root={tmp_path}/empty"]
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, fit, *quick("proxy_outlier", tmp_path, *more))
    assert stop.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert "empty" in line


def test_a_machine_of_several_microphones(demo_machines, monkeypatch, tmp_path):
    """MIMII's own recordings have 8 channels; here the demo's, heard a second time one sample later."""
    root = tmp_path / "MIMII"
    for path in sorted(demo_machines.glob("dev_data/fan/*/*.wav")):
        samples, rate = soundfile.read(path)
        (root / path.relative_to(demo_machines)).parent.mkdir(parents=True, exist_ok=True)
        stereo = np.stack([samples, np.roll(samples, 1)], axis=1)
        soundfile.write(root / path.relative_to(demo_machines), stereo, rate)
    arguments = ["--config=configs/asd_frontend_ensemble.yaml", f"--run.root={tmp_path}", "--run.id=x"]
    arguments += ["--data=datamodules.DCASE", f"--data.root={root}", "--data.mono=false"]
    arguments += ["--data.train_crop_s=1", "--data.eval_crop_s=1", "--data.num_workers=0"]
    arguments += ["--model.front_ends.dereverberation.taps=2", "--model.front_ends.pipelines=AEH"]
    arguments += ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--tracking.wandb=disabled"]
    run(monkeypatch, fit, *arguments)
    tables = rows(tmp_path / "asd_frontend_ensemble" / "x" / "tables" / "test.csv")
    assert {row["system"] for row in tables} >= {"A", "E", "H"}
