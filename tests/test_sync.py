"""Parts of offline runs are uploaded in their order, each run by one command."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from wandb_file import history, records

from lightning_modules.run.folder import WAITING
from lightning_modules.sync import main, parts_of_runs

FAKE = """
import json, os, sys
with open(os.environ["FAKE_WANDB_LOG"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("FAKE_WANDB_EXIT", 0)))
"""


def part(run_folder, start, id, *, synced=False):  # noqa: A002
    folder = run_folder / "wandb" / f"offline-run-{start}-{id}"
    folder.mkdir(parents=True)
    (folder / f"run-{id}.wandb").touch()
    if synced:
        (folder / f"run-{id}.wandb.synced").touch()
    return str(folder)


@pytest.fixture
def wandb_log(tmp_path, monkeypatch):
    """A package `wandb` that writes down how it was called."""
    (tmp_path / "fake/wandb").mkdir(parents=True)
    (tmp_path / "fake/wandb/__init__.py").touch()
    (tmp_path / "fake/wandb/__main__.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_WANDB_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_parts_of_a_requeued_run_follow_each_other(tmp_path, wandb_log, capsys):
    runs = tmp_path / "runs"
    second = part(runs / "e/x", "20261124_080000", "e-x")
    first = part(runs / "e/x", "20261123_120000", "e-x")
    part(runs / "e/x", "20261122_120000", "e-x", synced=True)
    other = part(runs / "e/y", "20261123_130000", "e-y")
    assert main([str(runs)]) == 0
    calls = [json.loads(line) for line in wandb_log.read_text().splitlines()]
    assert calls == [
        ["sync", "--yes", "--include-synced", "--id", "e-x", first, second],
        ["sync", "--yes", "--include-synced", "--id", "e-y", other],
    ]
    assert "2 runs" in capsys.readouterr().out


def test_parts_of_one_second_are_of_one_run(tmp_path):
    folders = []
    for number in (0, 1, 2, 10):
        folder = tmp_path / f"wandb/offline-run-20261123_120000-e-x{f'-{number}' if number else ''}"
        folder.mkdir(parents=True)
        (folder / "run-e-x.wandb").touch()
        folders.append(folder)
    later = part(tmp_path, "20261123_120001", "e-x")
    assert parts_of_runs(tmp_path) == {"e-x": [*folders, Path(later)]}


def test_the_real_client_names_its_parts_so(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    clock = SimpleNamespace(**vars(time) | {"time": lambda: 1.8e9})  # all begin within a second
    monkeypatch.setattr("wandb.sdk.wandb_init.time", clock)
    silent = wandb.Settings(silent=True)
    for step in range(3):
        with wandb.init(dir=tmp_path, id="e-x.1", project="p", resume="allow", settings=silent) as run:
            run.log({"loss": 1.0}, step=step)
    wandb.teardown()
    ((name, folders),) = parts_of_runs(tmp_path).items()
    assert name == "e-x.1"
    first = folders[0].name
    assert [folder.name for folder in folders] == [first, f"{first}-1", f"{first}-2"]
    steps = [history(records(next(folder.glob("*.wandb"))))["_step"] for folder in folders]
    assert steps == [[0], [1], [2]]
    (told,) = {
        record.run.run_id
        for folder in folders
        for record in records(next(folder.glob("*.wandb")))
        if record.HasField("run")
    }
    assert told == name


def test_a_part_that_grew_since_its_upload_is_uploaded_again(tmp_path):
    folder = Path(part(tmp_path / "e/x", "20261123_120000", "e-x", synced=True))
    assert parts_of_runs(tmp_path) == {}
    (file,) = folder.glob("*.wandb")
    os.utime(file, (2e9, 2e9))
    os.utime(file.with_suffix(".wandb.synced"), (1e9, 1e9))
    assert parts_of_runs(tmp_path) == {"e-x": [folder]}


@pytest.mark.parametrize("code", [0, 1])
def test_files_that_waited_go_once_they_are_uploaded(code, tmp_path, wandb_log, monkeypatch):
    part(tmp_path / "runs/e/x", "20261123_120000", "e-x")
    waiting = tmp_path / "runs/e/x" / WAITING / "1-2/last.ckpt"
    waiting.parent.mkdir(parents=True)
    waiting.touch()
    monkeypatch.setenv("FAKE_WANDB_EXIT", str(code))
    assert main([str(tmp_path / "runs")]) == code
    assert waiting.exists() == bool(code)


def test_listing_uploads_nothing(tmp_path, wandb_log, capsys):
    part(tmp_path / "e/x", "20261123_120000", "e-x")
    assert main([str(tmp_path), "--list"]) == 0
    assert "e-x: 1 parts" in capsys.readouterr().out
    assert not wandb_log.exists()


def test_failure_names_the_run(tmp_path, wandb_log, monkeypatch, capsys):
    part(tmp_path / "e/x", "20261123_120000", "e-x")
    monkeypatch.setenv("FAKE_WANDB_EXIT", "1")
    assert main([str(tmp_path)]) == 1
    assert "not uploaded: e-x" in capsys.readouterr().err


def test_missing_folder_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    assert "none: no such folder" in capsys.readouterr().err
    assert parts_of_runs(tmp_path) == {}
