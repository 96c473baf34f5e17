"""Checkpoints and a package of an older tree: today's commands score with them and train on, to its own numbers.

``fixtures/before_the_house`` holds them, says how they were made, and has the numbers that the older code gave. The
corpora written here hold whole numbers, the same on every machine. They are not those of the training: what was fitted
then, as thresholds, stands in the checkpoint without its settings, and a test fits it anew.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

import lightning_modules

OLDER = Path(__file__).parent / "fixtures" / "before_the_house"
RATE = 16000


def write(path: Path, seed: Sequence[int], *, dull: bool = False, shift: int = 0) -> None:
    """Half a second of noise in 16 bits, without high frequencies or softer by halves."""
    noise = np.random.default_rng(seed).integers(-8000, 8000, RATE // 2 + 1)
    sound = (noise[1:] + noise[:-1] if dull else noise[1:]) >> shift
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.astype(np.int16), RATE, subtype="PCM_16")


def write_speech(root: Path, seed: int) -> None:
    """Six utterances a split, in the layout of ASVspoof 2019 LA."""
    for number, (part, ending) in enumerate((("train", "trn"), ("dev", "trl"), ("eval", "trl"))):
        lines = []
        for clip in range(6):
            write(
                root / f"ASVspoof2019_LA_{part}/flac/{part}_{clip}.flac",
                [seed, number, clip],
                dull=clip % 2 > 0,
            )
            lines.append(f"LA_0001 {part}_{clip} - {'A01 spoof' if clip % 2 else '- bonafide'}\n")
        protocol = root / f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{part}.{ending}.txt"
        protocol.parent.mkdir(exist_ok=True)
        protocol.write_text("".join(lines))


def write_machines(root: Path, seed: int) -> None:
    """Two fans in the layout of DCASE 2020, of which anomalies lack high frequencies."""
    for fan in (0, 2):
        for clip in range(4):
            write(root / f"fan/train/normal_id_0{fan}_0000000{clip}.wav", [seed, fan, clip])
        for clip in range(2):
            for number, kind in enumerate(("normal", "anomaly"), start=1):
                path = root / f"fan/test/{kind}_id_0{fan}_0000000{clip}.wav"
                write(path, [seed, fan, clip, number], dull=kind == "anomaly")


def write_effect(root: Path, seed: int) -> None:
    """Noise and the same noise softer by halves, whose number is the knob, in SignalTrain's layout."""
    root.mkdir()
    (root / "effect_info.ini").write_text(
        "[effect]\nname = Level\nknob_names = ['halves']\nknob_ranges = [[0, 3]]\n"
    )
    for number, part in enumerate(("Train", "Val", "Test")):
        for clip in range(4):
            write(root / part / f"input_{clip}_.wav", [seed, number, clip])
            write(root / part / f"target_{clip}_Level__{clip}.wav", [seed, number, clip], shift=clip)


CORPORA = {"ssd": write_speech, "asd": write_machines, "production": write_effect}
SPEECH = "ASVspoof2019_LA_eval/flac"


# Each within one process, for a start takes longer than a command; the first is what a user meets.
_COMMANDS = """
import json, runpy, sys
for sys.argv in json.loads(sys.argv[1]):
    runpy.run_module(f"lightning_modules.{sys.argv[0]}", run_name="__main__")
"""


def run(folder: Path, *commands: Sequence[object]) -> None:
    """Runs commands in a folder, each to its success."""
    code = Path(lightning_modules.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(commands, default=str)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_checkpoint(folder: Path, task: str) -> list[str]:
    """Scores with ``last.ckpt``, trains on, scores files; returns the names of the results."""
    root, old = folder / "corpus", "--ckpt_path=last.ckpt"
    CORPORA[task](root, seed=0)
    more = {
        "ssd": ["predict", old, f"--data.predict=[{root / SPEECH}]", "--output=predicted.txt"],
        "production": ["process", old, "--knobs=halves=1", root / "Test/input_1_.wav", "processed.wav"],
    }  # the other detector knows only machines that lie in its corpus
    data = f"--data.root={root}"
    train = ["fit", old, "--trainer.max_epochs=3", "--run.id=continued", data]
    run(folder, ["test", old, data], train, *([more[task]] if task in more else []))
    files = [*folder.glob("runs/*/*/scores/**/*.*"), *folder.glob("pr*ed.*")]
    return sorted(str(path.relative_to(folder)) for path in files)


def run_package(folder: Path) -> list[str]:
    """Scores files with ``package``."""
    write_speech(folder / "corpus", seed=0)
    run(folder, ["predict", "--package=package", "--output=by_package.csv", folder / "corpus" / SPEECH])
    return ["by_package.csv"]


def values(path: Path) -> list[str | float]:
    """Words and numbers of a text, or some samples of a recording."""
    if path.suffix == ".wav":
        return soundfile.read(path)[0][::200].tolist()
    found = re.split(r"[\s,]+", path.read_text().strip())
    return [float(word) if re.fullmatch(r"-?[\d.]+(e-?\d+)?", word) else word for word in found]


def assert_as_of_old(folder: Path, names: Sequence[str], task: str) -> None:
    """Compares results with what the older code gave."""
    expected = json.loads((OLDER / task / "scores.json").read_text())
    for name in names:
        # of decisions the clips alone, for thresholds of older releases were not checked
        every = 2 if "decision_result" in name else 1
        assert values(folder / name)[::every] == [about(value) for value in expected[name][::every]], name


def about(value: str | float) -> object:
    """A number is equal on one processor; another kind adds up in another order."""
    return value if isinstance(value, str) else pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("task", CORPORA)
def test_a_checkpoint_scores_and_trains_on(task, tmp_path):
    shutil.copy(OLDER / task / "last.ckpt", tmp_path)
    names = run_checkpoint(tmp_path, task)
    assert {name.split("/")[2] for name in names if "/" in name} == {"old", "continued"}
    assert_as_of_old(tmp_path, names, task)


def test_a_package_scores(tmp_path):
    shutil.copytree(OLDER / "ssd/package", tmp_path / "package")
    assert_as_of_old(tmp_path, run_package(tmp_path), "ssd")
