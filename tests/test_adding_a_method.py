"""The worked example of CONTRIBUTING.md: its blocks are written to files and trained, as the page says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCK = re.compile(r"`(?P<name>[\w.]+)`;[^`]*```(?:python|yaml)\n(?P<text>.*?)```", re.DOTALL)


@pytest.fixture
def blocks():
    return {found["name"]: found["text"] for found in BLOCK.finditer(PAGE.read_text())}


def test_the_example_is_short(blocks):
    assert sorted(blocks) == ["folders.py", "level_net.py", "level_net.yaml"]
    assert sum(len(text.splitlines()) for text in blocks.values()) < 100


def test_following_the_page_trains_a_detector(blocks, tmp_path):
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
    (command,) = re.findall(
        r"`python -m (lightning_modules\.fit --config level_net\.yaml)`", PAGE.read_text()
    )
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), "--trainer.accelerator=cpu"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PAGE.parent)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (results,) = tmp_path.glob("runs/level_net/*/results.csv")
    with results.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["split"], row["clips"]) == ("test", "16")
    assert float(row["eer"]) == 0
    (scores,) = tmp_path.glob("runs/level_net/*/scores/test.txt")
    assert scores.read_text().startswith("test/spoof/0.wav ")
