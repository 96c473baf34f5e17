"""What scoring fits goes into the run's folder with what it comes from; no command writes into a checkpoint."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from datamodules.pack.writer import pack
from lightning_modules import export, fit, predict, test, validate
from lightning_modules.config import cli
from lightning_modules.run.fitted import Fitted, Origin, read_fitted, write_fitted

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {
    "autoencoder": ["--data.machine=fan", "--data.id=null"],
    "arcface": [
        "--data.machine=fan",
        "--model.network.channels=8",
        "--model.objective.embedding_dim=32",
        "--model.window=24",
        "--data.batch_size=8",
    ],
}
QUICK = [
    "--data.num_workers=0",
    "--data.validation_fraction=0.34",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
]


@pytest.fixture(autouse=True)
def in_a_folder(monkeypatch, tmp_path, demo_machines):
    """A corpus of its own, which a test may change."""
    shutil.copytree(demo_machines, tmp_path / "machines")
    monkeypatch.setenv("DCASE2020_ROOT", str(tmp_path / "machines"))
    monkeypatch.chdir(tmp_path)


def run(monkeypatch, command, *arguments):
    more = ["--trainer.limit_test_batches=1.0"] if command is test else []
    monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, arguments), *more])
    cli.one_line_errors(command.main)


def trained(monkeypatch, method) -> Path:
    """A checkpoint that was not tested."""
    config = f"--config={REPOSITORY}/configs/asd_{method}.yaml"
    more = ["--trainer.max_epochs=1", "--trainer.limit_test_batches=0", "--tracking.wandb=disabled"]
    run(monkeypatch, fit, config, *SETTINGS[method], *QUICK, *more, "--run.id=x")
    return Path(f"runs/asd_{method}/x/checkpoints/last.ckpt").resolve()


def fitted(folder) -> list[dict[str, str]]:
    """What the files in a run's folder say of themselves, the oldest first."""
    paths = sorted(Path(folder, "fitted").glob("*"), key=lambda path: path.stat().st_mtime_ns)
    found = []
    for path in paths:
        with safe_open(path, "pt") as file:
            found.append(file.metadata())
    return found


def decisions(folder, name="test") -> str:
    return "".join(path.read_text() for path in sorted(Path(folder).glob(f"scores/{name}/decision_result_*")))


@pytest.mark.parametrize("method", SETTINGS)
def test_no_command_changes_a_checkpoint(method, monkeypatch, tmp_path, capsys):
    checkpoint = trained(monkeypatch, method)
    before = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    named = f"--ckpt_path={checkpoint}"
    clip = next((tmp_path / "machines/dev_data/fan/test").glob("anomaly*"))
    run(monkeypatch, validate, named)
    run(monkeypatch, test, named)
    if method == "autoencoder":  # a distance needs the machine
        capsys.readouterr()
        run(monkeypatch, predict, named, f"--data.predict=[{clip}]")
        (undecided,) = capsys.readouterr().out.splitlines()
        run(monkeypatch, predict, named, f"--data.predict=[{clip}]", "--instance=fan/id_00")
        (line,) = capsys.readouterr().out.splitlines()
        run(monkeypatch, export, named)
        package = json.loads((checkpoint.parents[1] / "package/package.json").read_text())
        (found,) = fitted(checkpoint.parents[1])
        assert package["thresholds"] == json.loads(found["thresholds"])
        score = float(undecided.split()[-1])
        assert line == f"{undecided} {int(score > package['thresholds']['fan/id_00'])}"
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() == before


def test_a_setting_counts_though_the_checkpoint_was_tested_without_it(monkeypatch):
    tested = trained(monkeypatch, "autoencoder")
    fresh = tested.parents[2] / "fresh/checkpoints/last.ckpt"
    fresh.parent.mkdir(parents=True)
    shutil.copy(tested, fresh)
    lenient = "--model.threshold_quantile=0.5"
    run(monkeypatch, test, f"--ckpt_path={tested}")
    by_default = decisions(tested.parents[1])
    run(monkeypatch, test, f"--ckpt_path={fresh}", lenient, "--run.id=fresh")
    run(monkeypatch, test, f"--ckpt_path={tested}", lenient)
    assert decisions(tested.parents[1], "test@*") == decisions(fresh.parents[1]) != by_default
    assert decisions(tested.parents[1]) == by_default != ""
    settings = [json.loads(each["settings"])["model"] for each in fitted(tested.parents[1])]
    assert [(each["threshold"], each["threshold_quantile"]) for each in settings] == [
        ("gamma", 0.9),
        ("gamma", 0.5),
    ]


def test_what_fits_is_taken_and_changed_clips_are_fitted_to_anew(monkeypatch, tmp_path):
    checkpoint = trained(monkeypatch, "arcface")
    folder, named = checkpoint.parents[1], f"--ckpt_path={checkpoint}"
    run(monkeypatch, test, named)
    (first,) = fitted(folder)

    path = next((folder / "fitted").iterdir())
    written = path.stat().st_mtime_ns
    run(monkeypatch, test, named)
    assert path.stat().st_mtime_ns == written

    clips = sorted((tmp_path / "machines/dev_data/fan/train").glob("*id_00*"))
    for clip in clips[1:]:
        shutil.copy(clips[0], clip)
    run(monkeypatch, test, named)
    _, second = fitted(folder)
    assert first["clips"] != second["clips"]
    assert first["thresholds"] != second["thresholds"]
    assert (first["settings"], first["weights"]) == (second["settings"], second["weights"])


def test_a_machine_without_the_training_clips_takes_what_was_fitted(monkeypatch, tmp_path):
    checkpoint = trained(monkeypatch, "arcface")
    run(monkeypatch, test, f"--ckpt_path={checkpoint}")
    scores = decisions(checkpoint.parents[1])
    for folder in (tmp_path / "machines").glob("*/fan/train"):
        shutil.rmtree(folder)
    run(monkeypatch, test, f"--ckpt_path={checkpoint}", "--run.root=elsewhere")
    assert decisions("elsewhere/asd_arcface/x") == scores


def test_thresholds_that_an_older_release_did_not_check_count_without_the_clips_alone(tmp_path):
    origin = Origin("{}", "weights", "clips")
    write_fitted(tmp_path, origin, Fitted({"fan/id_00": 0.5}, found={"fan/id_00": {"rule": "gamma"}}))
    checked = read_fitted([tmp_path], origin, lambda: None)
    assert checked is not None
    assert checked.found == {"fan/id_00": {"rule": "gamma"}}
    (path,) = (tmp_path / "fitted").iterdir()
    with safe_open(path, "pt") as file:
        older = {name: text for name, text in file.metadata().items() if name != "found"}
    save_file({}, path, older)
    assert read_fitted([tmp_path], origin, lambda: None) is None
    known = read_fitted([tmp_path], origin._replace(clips=None), lambda: None)
    assert known is not None
    assert (known.thresholds, known.found) == ({"fan/id_00": 0.5}, {})


def test_a_damaged_file_is_named(monkeypatch, capsys):
    checkpoint = trained(monkeypatch, "autoencoder")
    run(monkeypatch, test, f"--ckpt_path={checkpoint}")
    (path,) = (checkpoint.parents[1] / "fitted").iterdir()
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(SystemExit):
        run(monkeypatch, test, f"--ckpt_path={checkpoint}")
    assert f"{path.name}: damaged" in capsys.readouterr().err


def test_a_checkpoint_on_a_read_only_disk_is_tested(monkeypatch, tmp_path):
    checkpoint = trained(monkeypatch, "autoencoder")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a disk: {mounted.stderr.decode().strip()}")
    try:
        shutil.copy(checkpoint, disk)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        shutil.rmtree("runs")
        run(monkeypatch, test, f"--ckpt_path={disk}/last.ckpt")
        folder = Path("runs/asd_autoencoder/x")
        assert decisions(folder)
        assert (folder / "results.csv").is_file()
        assert [path.name for path in disk.iterdir()] == ["last.ckpt"]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_changed_clips_of_a_pack_are_fitted_to_anew(monkeypatch, tmp_path):
    checkpoint = trained(monkeypatch, "autoencoder")
    pack(tmp_path / "machines", tmp_path / "first")
    clips = sorted((tmp_path / "machines/dev_data/fan/train").glob("*id_00*"))
    for clip in clips[1:]:
        shutil.copy(clips[0], clip)
    pack(tmp_path / "machines", tmp_path / "second")
    for root in ("first", "second"):
        run(monkeypatch, test, f"--ckpt_path={checkpoint}", f"--data.root={root}")
    first, second = fitted(checkpoint.parents[1])
    assert first["thresholds"] != second["thresholds"]
    run(monkeypatch, export, f"--ckpt_path={checkpoint}", "--data.root=first")  # not what was tested last
    package = json.loads((checkpoint.parents[1] / "package/package.json").read_text())
    assert package["thresholds"] == json.loads(first["thresholds"])


def test_an_older_checkpoint_decides_where_training_clips_are_not_at_hand(monkeypatch, tmp_path):
    checkpoint = trained(monkeypatch, "arcface")
    folder = checkpoint.parents[1]
    run(monkeypatch, test, f"--ckpt_path={checkpoint}")
    expected = decisions(folder)
    (path,) = (folder / "fitted").iterdir()
    with safe_open(path, "pt") as file:
        thresholds = json.loads(file.metadata()["thresholds"])
    entry = {"fitted": {"thresholds": thresholds, "backend": load_file(path)}}
    torch.save(torch.load(checkpoint, weights_only=True) | entry, checkpoint)
    path.unlink()
    for training in (tmp_path / "machines").glob("*/fan/train"):
        training.rename(training.with_name("elsewhere"))
    run(monkeypatch, test, f"--ckpt_path={checkpoint}")
    assert decisions(folder) == expected
    assert not list((folder / "fitted").iterdir())


def test_a_validation_decides_as_the_test(monkeypatch):
    checkpoint = trained(monkeypatch, "autoencoder")
    folder, named = checkpoint.parents[1], f"--ckpt_path={checkpoint}"
    run(monkeypatch, validate, named)
    assert not list(folder.glob("scores/validation/decision_result_*"))
    run(monkeypatch, test, named)
    run(monkeypatch, validate, named)
    assert list(folder.glob("scores/validation/decision_result_*"))
