"""Another checkout against this one: what is compared, and what is said of a side that fails."""

import json
from pathlib import Path

import pytest

from lightning_modules.benchmark import __main__ as command
from lightning_modules.benchmark import checkouts

REPOSITORY = Path(__file__).parents[2]

CLI = """
import sys
def build(command, description, arguments):
    {body}
def one_line_errors(run):
    try:
        run()
    except ValueError as error:
        sys.exit(f"error: {{error}}")
"""


@pytest.fixture
def checkout(tmp_path):
    """Makes the folder of a checkout whose configurations are built by the given line."""

    def made(name: str, body: str) -> Path:
        root = tmp_path / name
        for package in ("", "config", "benchmark"):
            (root / "lightning_modules" / package).mkdir(parents=True, exist_ok=True)
            (root / "lightning_modules" / package / "__init__.py").touch()
        (root / "lightning_modules" / "config" / "cli.py").write_text(CLI.format(body=body))
        return root

    return made


def measure(baseline, tmp_path, *arguments):
    folder = tmp_path / "measured"
    folder.mkdir()
    return checkouts.against(baseline, arguments, predict=[], rounds=1, budget_s=1.0, folder=folder)


def test_a_folder_without_the_project_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=f"--baseline {tmp_path}: no checkout of this project: name its folder"
    ):
        measure(tmp_path, tmp_path)


def test_the_side_that_fails_is_named(checkout, tmp_path, monkeypatch, capfd):
    broken = checkout("older", "raise ValueError('unknown key model.engine')")
    monkeypatch.setattr(checkouts, "_HERE", checkout("here", "pass"))
    with pytest.raises(ValueError, match="--baseline: the baseline ended with exit code 1; see above"):
        measure(broken, tmp_path)
    assert "error: unknown key model.engine" in capfd.readouterr().err


def test_either_side_reads_its_own_configuration(checkout, tmp_path, monkeypatch):
    here, older = checkout("here", "pass"), checkout("older", "pass")
    monkeypatch.setattr(checkouts, "_HERE", here)
    for root in (here, older):
        (root / "both.yaml").touch()
    (here / "new.yaml").touch()
    words = [f"--config={here}/both.yaml", "-c", f"{here}/new.yaml", "--data.root=x", f"{tmp_path}/own.yaml"]
    assert checkouts._of_checkout(words, older) == [f"--config={older}/both.yaml", *words[1:]]


def test_ratios_are_those_of_rounds():
    rounds = {
        "baseline": [
            {"wall_s": 2.0, "cpu_s": 4.0},
            {"wall_s": 30.0, "cpu_s": 4.0},
            {"wall_s": 3.0, "cpu_s": 5.0},
        ],
        "here": [
            {"wall_s": 1.0, "cpu_s": 2.0},
            {"wall_s": 10.0, "cpu_s": 4.0},
            {"wall_s": 2.0, "cpu_s": 2.0},
        ],
    }
    assert checkouts._ratios("steps", rounds) == {
        "steps_wall_s": {"baseline": 3.0, "here": 2.0, "ratio": 2.0, "lowest": 1.5, "highest": 3.0},
        "steps_cpu_s": {"baseline": 4.0, "here": 2.0, "ratio": 2.0, "lowest": 1.0, "highest": 2.5},
    }


def test_scores_differ_by_a_share_of_the_largest():
    one, other = {"scores": [[1.0, -4.0], None, [2.0]]}, {"scores": [[1.0, -4.0], None, [1.0]]}
    assert checkouts._difference(one, other) == 0.25
    assert checkouts._difference(one, one) == 0.0


@pytest.mark.slow  # four starts of either side
def test_a_checkout_against_itself(monkeypatch, tmp_path, demo_corpus):
    monkeypatch.chdir(REPOSITORY)
    arguments = (
        "benchmark",
        *("--config=configs/ssd_lcnn.yaml", "--model.network.num_frames=63", f"--data.root={demo_corpus}"),
        *("--data.train_crop_s=0.5", "--data.eval_crop_s=0.5", "--data.batch_size=4", "--data.num_workers=0"),
        *("--trainer.accelerator=cpu", "--budget_s=1", "--rounds=1", f"--baseline={REPOSITORY}"),
        *(f"--json={tmp_path / 'figures.json'}", f"--score={demo_corpus / 'ASVspoof2019_LA_dev'}"),
    )
    monkeypatch.setattr("sys.argv", arguments)
    command.main()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["losses_differ_by"] == figures["scores_differ_by"] == 0
    assert {name for name, figure in figures.items() if isinstance(figure, dict)} == {
        *(f"{part}_{clock}_s" for part in ("start", "steps", "scoring") for clock in ("wall", "cpu")),
        "steps_peak_gib",
    }
    assert all(figure["ratio"] > 0 for figure in figures.values() if isinstance(figure, dict))
