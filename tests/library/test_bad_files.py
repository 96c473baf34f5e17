"""A folder of 200 files of which 20 are bad in ten ways: each command handles 180, names 20 with their reasons."""

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from bad_files import BAD, GOOD, write_folder
from library_samples import run

from datamodules.hearing import Listening
from lightning_modules import predict, select, sort
from lightning_modules.config import cli
from lightning_modules.library.listening import Listener
from lightning_modules.package import command
from lightning_modules.package.folder import Package

REPOSITORY = Path(__file__).parents[2]
OF_RANKS = {"LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
"""What Lightning leaves behind in a process that was one of several: another waits for ranks that nobody starts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("two hundred")
    return root, write_folder(root)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_prediction(output, root, bad, shown):
    """What `predict` has written and said."""
    assert len(table(output)) == GOOD
    files = table(output.with_name(f"{output.stem}_files.csv"))
    faults = {row["path"].removeprefix(f"{root}/"): row["fault"] for row in files if row["fault"]}
    assert len(files) == GOOD + BAD
    assert faults.keys() == bad.keys()
    for name, word in bad.items():
        assert word in faults[name]
        assert f"{root}/{name}: not scored: {faults[name]}" in shown.err
    assert f"{BAD} of {GOOD + BAD} files were not scored" in shown.err


def test_predict(folder, ckpt_path, tmp_path, monkeypatch, capsys):
    root, bad = folder
    quiet = ["--trainer.accelerator=cpu", "--data.num_workers=0", "--trainer.enable_progress_bar=false"]
    arguments = [f"--ckpt_path={ckpt_path}", f"--data.predict=[{root}]", f"--output={tmp_path}/s.csv", *quiet]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    cli.one_line_errors(predict.main)
    check_prediction(tmp_path / "s.csv", root, bad, capsys.readouterr())
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"data"} == {"s.csv", "s_files.csv"}  # and no run


def test_package_predict(folder, ckpt_path, tmp_path, monkeypatch, capsys):
    root, bad = folder
    listener = Listener(ckpt_path, device="cpu", num_workers=0)
    package = Package(scorer=listener.model.scorer(), listening=Listening.of(listener.data))
    monkeypatch.setattr(command, "read_package", lambda _: package)
    arguments = ["--package=x", f"--output={tmp_path}/s.csv", "--device=cpu", str(root)]
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    command.main()
    check_prediction(tmp_path / "s.csv", root, bad, capsys.readouterr())


def test_select(folder, ckpt_path, tmp_path, capsys):
    root, bad = folder
    files = sorted(path for path in root.rglob("*") if not path.is_dir())
    index = ["--library", root, "--index", tmp_path / "index.npz", "--json", "--top=1"]
    queries = [path for path in files if path.name != "pipe.wav"]  # nobody asks by a pipe
    assert run(select, "--ckpt_path", ckpt_path, *index, *queries) == 1
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) == GOOD
    for name, word in bad.items():
        (library,) = [line for line in shown.err.splitlines() if line.startswith(f"  {name}: ")]
        assert word in library
    assert shown.err.count("error: ") == len(queries) - GOOD


def test_sort(folder, ckpt_path, tmp_path):
    root, bad = folder
    assert run(sort, "--ckpt_path", ckpt_path, "--into", tmp_path / "into", "--mode=symlink", root) == 1
    rows = table(tmp_path / "into" / "sorted.csv")
    assert sum(bool(row["filed"]) for row in rows) == GOOD
    unsorted = {row["path"]: row["unsorted"] for row in rows if row["unsorted"]}
    assert unsorted.keys() == bad.keys()
    assert all(word in unsorted[name] for name, word in bad.items())


@pytest.mark.slow
def test_ranks_share_the_files(folder, ckpt_path, tmp_path):
    root, _ = folder
    ranks = [
        "--trainer.accelerator=cpu",
        "--trainer.devices=2",
        "--trainer.strategy=ddp",
        "--data.num_workers=1",
    ]
    arguments = [f"--ckpt_path={ckpt_path}", f"--data.predict=[{root}]", f"--output={tmp_path}/s.csv", *ranks]
    environment = {name: value for name, value in os.environ.items() if name not in OF_RANKS}
    # A file, for a pipe is open as long as any rank or worker has it.
    with (tmp_path / "shown.txt").open("w") as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", "lightning_modules.predict", *arguments, "--strict"],
            cwd=REPOSITORY,
            env=environment | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            stdout=shown,
            stderr=shown,
            start_new_session=True,
        )
    try:
        code = process.wait(timeout=280)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    remarks = (tmp_path / "shown.txt").read_text()
    assert code == 1, remarks[-3000:]
    assert f"error: predict: {BAD} of {GOOD + BAD} files were not scored (--strict)" in remarks
    keys = [row["key"] for row in table(tmp_path / "s.csv")]
    assert len(keys) == GOOD
    assert keys == sorted(keys)
    assert sum(bool(row["fault"]) for row in table(tmp_path / "s_files.csv")) == BAD
