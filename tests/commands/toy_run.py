"""How the commands of this folder are run, and on what."""

import csv
import sys
from pathlib import Path

import pytest

from lightning_modules.config import cli

QUICK = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--data.num_workers=0"]
TOY = """
run: {{experiment: toy, id: x}}
model:
  class_path: lightning_modules.ssd.SyntheticSpeechDetector
  init_args:
    network: {{class_path: level_net.LevelNet, init_args: {{embedding_dim: 8}}}}
    optimizer: {{class_path: torch.optim.Adam, init_args: {{lr: 0.03}}}}
data:
  class_path: datamodules.ASVspoof
  init_args: {{root: {root}, train_crop_s: 0.2, eval_crop_s: 0.5, batch_size: 20}}
trainer: {{max_epochs: 3}}
"""


def run_command(command, *arguments: str) -> None:
    """Runs a command in this process, its errors as of a shell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [command.__name__, *arguments])
        cli.one_line_errors(command.main)


def rows(path: Path) -> list[dict[str, str]]:
    """Of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def best(folder: Path) -> str:
    """Names the best checkpoint of a run on a command line."""
    return f"--ckpt_path={next(folder.glob('checkpoints/best*'))}"


def write_la(folder: Path, demo: Path) -> Path:
    """Links the demo corpus, with 16 clips to test on and 12 to validate on; returns the folder."""
    folder.mkdir(parents=True)
    for path in demo.iterdir():
        (folder / path.name).symlink_to(path)
    protocols = folder / "ASVspoof2019_LA_cm_protocols"
    protocols.unlink()
    protocols.mkdir()
    for path in (demo / protocols.name).iterdir():
        lines = path.read_text().splitlines(keepends=True)
        count = {"eval": 8, "dev": 6}.get(path.name.split(".")[-3], len(lines))
        kept = [
            [line for line in lines if line.endswith(f"{kind}\n")][:count] for kind in ("spoof", "bonafide")
        ]
        (protocols / path.name).write_text("".join(kept[0] + kept[1]))
    return folder


def write_df(folder: Path, demo: Path, *, count: int = 12) -> Path:
    """Writes a corpus in the layout of ASVspoof 2021 DF, half bona fide, of the demo's development clips."""
    audio, keys = folder / "ASVspoof2021_DF_eval/flac", folder / "keys/DF/CM"
    audio.mkdir(parents=True)
    keys.mkdir(parents=True)
    protocol = demo / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.dev.trl.txt"
    found = [line.split() for line in protocol.read_text().splitlines()]
    chosen = [[row for row in found if row[4] == label][: count // 2] for label in ("bonafide", "spoof")]
    lines = []
    for number, (speaker, key, _, attack, label) in enumerate(chosen[0] + chosen[1]):
        new = f"DF_E_{number:07d}"
        (audio / f"{new}.flac").symlink_to(demo / f"ASVspoof2019_LA_dev/flac/{key}.flac")
        lines.append(f"{speaker} {new} nocodec asvspoof {attack} {label} notrim eval neural - - - -\n")
    (keys / "trial_metadata.txt").write_text("".join(lines))
    return folder
