"""Files from elsewhere run nothing and exhaust nothing; the W&B key stays where it was."""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_modules.config import cli
from lightning_modules.networks.weights import read_weights

REPOSITORY = Path(__file__).parents[2]
KEY = "0123456789abcdef" * 2 + "deadbeef"


def test_code_in_a_weights_file_is_refused_and_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    for name, write in (("pickled.pth", pickle.dump), ("saved.pth", torch.save)):
        with (tmp_path / name).open("wb") as file:
            write({"weight": Payload()}, file)
        with pytest.raises(ValueError, match=name):
            read_weights(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("leaf", ['["x", "x", "x"]', "[*a0]"])
def test_alias_bomb_is_refused_before_it_unfolds(tmp_path, leaf, capsys):
    bomb = tmp_path / "bomb.yaml"
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    bomb.write_text("\n".join([f"a0: &a0 {leaf}", *lines]))
    with pytest.raises(SystemExit, match="2"):
        cli.build("fit", "", [f"--config={bomb}"])
    assert re.search(r"bomb\.yaml: its aliases unfold to (inf|\d+) values", capsys.readouterr().err)


@pytest.mark.slow
def test_the_key_is_written_nowhere(tmp_path, demo_corpus):
    command = [sys.executable, "-m", "lightning_modules.fit", "--config=configs/ssd_lcnn.yaml"]
    command += ["--model.network.num_frames=63", f"--data.root={demo_corpus}", "--data.train_crop_s=0.5"]
    command += [
        "--data.eval_crop_s=0.5",
        "--data.batch_size=8",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
    ]
    command += ["--trainer.max_steps=1", "--tracking.wandb=offline", f"--run.root={tmp_path / 'runs'}"]
    environment = os.environ | {"WANDB_API_KEY": KEY, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert process.returncode == 0, process.stderr[-3000:]
    written = [path for path in tmp_path.rglob("*") if path.is_file() and demo_corpus not in path.parents]
    assert {".wandb", ".ckpt", ".yaml", ".csv"} <= {path.suffix for path in written}
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert KEY not in process.stdout + process.stderr
