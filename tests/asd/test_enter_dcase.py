"""The commands of the page that enter DCASE 2026, from its text, on a tiny corpus: fit, test, submit, score."""

import csv
import re
import shlex
import sys
from pathlib import Path
from pkgutil import resolve_name
from zipfile import ZipFile

import pytest

from lightning_modules.config import cli

PAGE = Path(__file__).parents[2] / "lightning_modules/asd/README.md"
QUICK = {
    "fit": [
        *("--model.network.channels=8", "--model.objective.embedding_dim=32", "--model.window=24"),
        *(
            "--data.batch_size=8",
            "--data.num_workers=0",
            "--trainer.accelerator=cpu",
            "--trainer.max_epochs=1",
        ),
        *("--trainer.enable_progress_bar=false", "--tracking.wandb=disabled"),
    ],
    "test": ["--trainer.enable_progress_bar=false"],
}


def commands(root: Path) -> list[tuple[str, list[str]]]:
    """Name and words of the page's commands, with `root` in the place of its variable."""
    block = re.findall(r"## Enter DCASE 2026\n\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    lines = block.replace("$DCASE2026_ROOT", str(root)).splitlines()
    assert lines.pop(0).startswith("export DCASE2026_ROOT=data/demo/DCASE2026 ")
    found = []
    for line in lines:
        python, module, name, *words = shlex.split(line)
        assert (python, module) == ("python", "-m")
        found.append((name.removeprefix("lightning_modules."), words))
    return found


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_from_the_data_to_the_submission(demo_machines_2026, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCASE2026_ROOT", str(demo_machines_2026))
    names = []
    for name, words in commands(demo_machines_2026):
        names.append(name)
        main = resolve_name(f"lightning_modules.{name}:main")
        if name in ("submit", "score"):
            assert main(words) == 0
            continue
        monkeypatch.setattr(sys, "argv", [name, *words, *QUICK[name]])
        cli.one_line_errors(main)
    assert names == ["fit", "test", "submit", "score"]
    printed = capsys.readouterr().out
    assert "DCASE Task 2, rules of 2022 and later" in printed
    official = re.findall(r"^official_score: ([\d.]+)%$", printed, re.MULTILINE)
    assert len(official) == 1
    assert 20 < float(official[0]) <= 100

    run = tmp_path / "runs/asd_dcase2026/a"
    assert {row[0] for row in rows(run / "tables/test.csv")[1:]} == {"ToyCar", "fan", "valveEmu"}
    folder = "Lee_KUL/task2/Lee_KUL_task2_1"
    with ZipFile(tmp_path / "submission.zip") as archive:
        assert sorted(archive.namelist()) == [
            f"{folder}/{kind}_{machine}_section_00_test.csv"
            for kind in ("anomaly_score", "decision_result")
            for machine in ("Sander", "ToyDrone")
        ]
        scored = archive.read(f"{folder}/anomaly_score_Sander_section_00_test.csv").decode().splitlines()
    assert [line.split(",")[0] for line in scored] == [f"section_00_{number:04d}.wav" for number in range(8)]


@pytest.mark.parametrize("year", [2021, 2022, 2023, 2024])
def test_overlays_of_earlier_years(year, monkeypatch, tmp_path):
    monkeypatch.chdir(PAGE.parents[2])
    monkeypatch.setenv(f"DCASE{year}_ROOT", "/data/there")
    files = ["--config=configs/asd_dcase2025.yaml", f"--config=configs/overlays/asd_dcase{year}.yaml"]
    data = cli.build("fit", "", [*files, "--tracking.wandb=disabled", f"--run.root={tmp_path}"]).datamodule
    assert (data.year, str(data.root)) == (year, "/data/there")
