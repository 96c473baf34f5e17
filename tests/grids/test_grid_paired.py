"""Tables with a baseline: paired differences by hand, what cannot be compared, wrong grid files."""

import csv
from pathlib import Path

import pytest
import yaml

from lightning_modules import report
from lightning_modules.grids.cells import expand
from lightning_modules.grids.grid_file import read_grid

OUTPUT = {"name": "t", "title": "T", "values": ["top1", "top5"], "baseline": "AST"}
# ranks of four clips, a list a seed
RANKS = {"AST": [[1, 2, 9, 9], [1, 9, 9, 9]], "DATAR": [[1, 1, 1, 9], [1, 1, 5, 9]]}


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()


def write(*names, seeds=2, **output):
    axes = {"seed_everything": list(range(seeds))}
    blocks = [{"name": name, "config": ["config.yaml"], "set": {"a": name}, "axes": axes} for name in names]
    content = {"experiment": "e", "blocks": blocks, "report": {"outputs": [OUTPUT | output]}}
    Path("grid.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return "grid.yaml"


def finish(path, *, skip=(), clips=4):
    """Leaves what tested runs leave; `clips` of AST's can be fewer."""
    for cell in expand(read_grid(path)):
        name, seed = cell.block.name, cell.values["seed_everything"]
        if name in skip:
            continue
        ranks = RANKS[name][seed][: clips if name == "AST" else None]
        row = {"split": "test", "seed": seed, "clips": len(ranks)}
        row |= {f"top{k}": sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5)}
        put(cell.run.folder / "results.csv", [row])
        rows = [{"key": f"c{i}", "event_target": 0, "event_rank": rank} for i, rank in enumerate(ranks)]
        put(cell.run.folder / "tables/test_clips.csv", rows)


def put(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def table():
    with Path("reports/grid/t.csv").open(newline="") as file:
        return {(row["block"], row["column"]): row for row in csv.DictReader(file)}


def test_differences_over_seeds_and_clips(capsys):
    path = write("DATAR", "AST")
    finish(path)
    assert report.main([path]) == 0
    top1 = table()["DATAR", "top1"]
    assert float(top1["mean"]) == 0.625
    assert float(top1["difference"]) == 0.375
    # by clip 0, 1, 1/2, 0; flips of 2 and 1: two of four reach the sum
    assert float(top1["se_clips"]) == pytest.approx((0.6875 / 3 / 4) ** 0.5)
    assert float(top1["se_seeds"]) == pytest.approx(0.125)  # accuracies 3/4 and 2/4, 1/4 and 1/4
    assert float(top1["p_clips"]) == pytest.approx(0.5)
    assert 0 < float(top1["p"]) < 1
    assert table()["AST", "top1"]["difference"] == ""
    shown = capsys.readouterr().out
    figures, differences = shown.split(
        "difference to AST ± standard error with p of chance: accuracies on the same"
    )
    error = (float(top1["se_clips"]) ** 2 + 0.125**2) ** 0.5
    assert "| DATAR | 0.6250 ± 0.1768 (± 1.5883) | 0.7500 ± 0.0000 (± 0.0000) |\n" in figures
    assert "| AST | 0.2500 ± 0.0000 (± 0.0000) | 0.3750 ± 0.1768 (± 1.5883) |\n" in figures
    assert f"|  | top1 | top5 |\n| --- | ---: | ---: |\n| DATAR | +0.3750 ± {error:.4f}, p = " in differences
    assert "| AST |" not in differences
    assert Path("reports/grid/t.tex").read_text().count(r"\toprule") == 2


def test_single_runs_are_compared_by_clips(capsys):
    path = write("DATAR", "AST", seeds=1, values=["top1"])
    finish(path)
    assert report.main([path]) == 0
    row = table()["DATAR", "top1"]
    assert (float(row["difference"]), float(row["p_clips"])) == pytest.approx(
        (0.5, 0.5)
    )  # 2 against 0 discordant clips
    assert (row["se_seeds"], row["p"]) == ("", "")
    assert "| DATAR | +0.5000 ± 0.2887, p = 0.5 |" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said(capsys):
    path = write("DATAR", "AST", values=["top1"])
    finish(path, clips=3)  # of AST, for both seeds
    assert report.main([path]) == 0
    shown = capsys.readouterr().out
    assert (
        "- DATAR: no difference in top1 to AST: runs/e/DATAR-seed_0/tables/test_clips.csv has 4 clips"
        in shown
    )
    assert "| DATAR | 0.6250 ± 0.1768 (± 1.5883) |" in shown
    assert "difference to AST" not in shown


def test_an_unfinished_baseline_is_said(capsys):
    path = write("DATAR", "AST", values=["top1"])
    finish(path, skip=["AST"])
    assert report.main([path]) == 0
    assert "- no run of the baseline AST is finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"baseline": "none"}, "report output 't': no block is the baseline 'none'"),
        ({"rows": "machine"}, "baseline goes with blocks as rows: drop rows or kind: curve"),
    ],
)
def test_a_wrong_output_is_one_line(output, message, capsys):
    assert report.main([write("DATAR", "AST", **output)]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert message in shown


EER = {"DATAR": [0.25, 0.5, 0.125], "AST": [0.5, 1.0, 0.25]}


def test_other_figures_are_compared_seed_by_seed(capsys):
    path = write("DATAR", "AST", seeds=3, values=["eer"])
    for cell in expand(read_grid(path)):
        name, seed = cell.block.name, cell.values["seed_everything"]
        put(
            cell.run.folder / "results.csv",
            [{"split": "test", "seed": seed, "clips": 4, "eer": EER[name][seed]}],
        )
    assert report.main([path]) == 0
    row = table()["DATAR", "eer"]
    assert float(row["difference"]) == pytest.approx(-0.875 / 3)
    assert float(row["se"]) == pytest.approx(7**0.5 / 24)  # of -2/8, -4/8, -1/8
    assert float(row["p_wilcoxon"]) == pytest.approx(0.25)  # the best that three seeds can do
    assert row["num_pairs"] == "3"
    shown = capsys.readouterr().out
    assert (
        "difference to AST ± standard error with p of chance: over common seeds by the paired t test" in shown
    )
    assert "| DATAR | -0.2917 ± 0.1102, p = 0.12 (0.25) |" in shown


def test_an_average_is_compared_over_machines(capsys):
    output = {"kind": "bars", "values": ["auc"], "per": "machine", "over": ["section"]}
    path = write("DATAR", "AST", seeds=2, **output)
    aucs = {"DATAR": {"fan": 0.75, "pump": 0.5}, "AST": {"fan": 0.5, "pump": 0.5}}
    for cell in expand(read_grid(path)):
        seed = cell.values["seed_everything"]
        put(cell.run.folder / "results.csv", [{"split": "test", "seed": seed, "clips": 4}])
        rows = [{"machine": m, "section": "", "auc": a} for m, a in aucs[cell.block.name].items()]
        put(cell.run.folder / "tables/test.csv", rows)
    assert report.main([path]) == 0
    with Path("reports/grid/t_auc.csv").open(newline="") as file:
        rows = {(row["block"], row["column"]): row for row in csv.DictReader(file)}
    average = rows["DATAR", "average"]
    assert [float(average[key]) for key in ("difference", "se")] == pytest.approx([0.125, 0.125])
    assert (float(average["p"]), average["p_wilcoxon"], average["num_pairs"]) == (
        pytest.approx(0.5),
        "1.0",
        "2",
    )
    assert rows["DATAR", "fan"]["difference"] == "0.25"
    assert Path("reports/grid/t_auc.png").is_file()
