"""Reports: averages over sections and seeds against hand-derived values, and honesty about what is missing."""

import csv
import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.patches import Rectangle

from lightning_modules import report
from lightning_modules.grids.cells import expand
from lightning_modules.grids.estimates import Estimate, Series, Table
from lightning_modules.grids.figures import draw
from lightning_modules.grids.grid_file import read_grid

OUTPUT = {"name": "fig", "kind": "bars", "title": "A figure", "values": ["auc", "pauc"], "per": "machine"}
OUTPUT |= {"over": ["section", "domain"], "origin": 0.5}
PLACES = [("fan", "id_00"), ("fan", "id_02"), ("pump", "id_00")]


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").touch()


def write(blocks, *outputs, **layout):
    content = {"experiment": "e", "blocks": blocks, "report": {"outputs": list(outputs)} | layout}
    Path("grid.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return "grid.yaml"


def block(name, axes=None, **settings):
    return {"name": name, "config": ["config.yaml"], "set": {"a.x": name} | settings, "axes": axes or {}}


def per_instance(name, seeds=(1, 2, 3), **axes):
    joint = {"data.machine,data.id": [list(place) for place in PLACES]}
    return block(name, {**axes, **joint, "seed_everything": list(seeds)})


def auc(machine, section, seed):
    """Any numbers that differ."""
    return 0.5 + 0.4 * math.sin(len(machine) + int(section[-1]) + seed * 0.1) ** 2


def finish(cell, places=None, clips=None, data_hash="", **config):
    """Leaves what a tested run leaves; an earlier test row of the same run must not count."""
    values = cell.values
    seed = values["seed_everything"]
    places = places or [(values["data.machine"], values["data.id"])]
    rows = [
        {"machine": m, "section": s, "domain": "", "auc": repr(auc(m, s, seed)), "pauc": "0.6"}
        for m, s in places
    ]
    folder = cell.run.folder
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    put(folder / "tables/test.csv", rows)
    row = {"split": "test", "seed": seed, "clips": clips or 10 * len(places), "eer": f"{seed / 100:.6f}"}
    more = {"data_hash": data_hash, "commit": "abc", "date": "2026-01-02T03:04:05+00:00"}
    old = {**row, "eer": "0.9"}
    put(folder / "results.csv", [old | more, row | more, row | more | {"split": "validation", "eer": "0.8"}])
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"data": {"init_args": {"seed": seed}}, "run": {"id": cell.run.id}} | config)
    )


def put(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def cells_of(path):
    return expand(read_grid(path))


def table(name):
    with Path(f"reports/grid/{name}.csv").open(newline="") as file:
        return {(row["block"], row["x"], row["column"]): row for row in csv.DictReader(file)}


def test_averages_sections_within_a_seed_then_seeds(capsys):
    path = write([per_instance("a"), block("flow", {"seed_everything": [1, 2, 3]})], OUTPUT)
    for cell in cells_of(path):
        finish(cell, places=PLACES if cell.block.name == "flow" else None)
    assert report.main([path]) == 0
    shown = capsys.readouterr().out
    assert shown == Path("reports/grid/README.md").read_text()
    assert "12 of 12 runs are finished" in shown
    assert "over 3 seeds" in shown
    assert "warning" not in shown
    fan = [(auc("fan", "id_00", seed) + auc("fan", "id_02", seed)) / 2 for seed in (1, 2, 3)]
    pump = [auc("pump", "id_00", seed) for seed in (1, 2, 3)]
    both = [
        (f + p) / 2 for f, p in zip(fan, pump, strict=True)
    ]  # machines weigh the same, however many sections
    for name in ("a", "flow"):  # one run an instance, or one for all
        for column, seeds in (("fan", fan), ("pump", pump), ("average", both)):
            row = table("fig_auc")[name, "", column]
            assert float(row["mean"]) == pytest.approx(statistics.fmean(seeds), abs=1e-12)
            sd = math.sqrt(sum((each - statistics.fmean(seeds)) ** 2 for each in seeds) / 2)
            assert float(row["sd"]) == pytest.approx(sd, abs=1e-12)
            assert row["seeds"] == "3"
    row = table("fig_auc")["a", "", "fan"]
    assert f"{float(row['mean']):.4f} ± {float(row['sd']):.4f}" in shown
    for value in ("auc", "pauc"):
        assert Path(f"reports/grid/fig_{value}.png").stat().st_size > 10_000


def test_incomplete_seeds_are_left_out_and_said(capsys):
    path = write([per_instance("a"), per_instance("b")], OUTPUT)
    for cell in cells_of(path):
        if cell.run.id not in ("a-fan-id_02-seed_2", "b-pump-id_00-seed_1", "b-pump-id_00-seed_2"):
            finish(cell)
    assert report.main([path]) == 0
    shown = capsys.readouterr().out
    assert "15 of 18 runs are finished; missing: a-fan-id_02-seed_2, b-pump-id_00-seed_1" in shown
    assert "a, fan, seed 2: has 1 of 2 figures of auc; left out" in shown
    assert [table("fig_auc")["a", "", column]["seeds"] for column in ("fan", "pump", "average")] == [
        "2",
        "3",
        "2",
    ]
    assert table("fig_auc")["b", "", "pump"]["sd"] == ""  # one seed has no deviation
    assert "(n=2)" in shown
    assert "(n=1)" in shown


def test_undefined_figures_are_no_zeros(capsys):
    path = write([per_instance("a", seeds=[1])], OUTPUT)
    for cell in cells_of(path):
        finish(cell)
    undefined = [{"machine": "pump", "section": "id_00", "domain": "", "auc": "", "pauc": "nan"}]
    put(Path("runs/e/a-pump-id_00-seed_1/tables/test.csv"), undefined)
    assert report.main([path]) == 0
    shown = capsys.readouterr().out
    assert "a, pump, seed 1: has 0 of 1 figures of auc; left out" in shown
    assert re.search(r"\| a \| 0\.\d{4} \| – \| – \|", shown)
    assert "auc, one seed:" in shown


def test_a_curve_has_levels_for_blocks_without_its_axis(capsys):
    output = OUTPUT | {"kind": "curve", "values": ["auc"], "x": "data.num", "log_base": 2}
    curve = per_instance("some", **{"data.num": [4, 1024, 32]})
    path = write([per_instance("level"), curve], output, colors={"some": "#d95f02"})
    for cell in cells_of(path):
        finish(cell)
    assert report.main([path]) == 0
    assert {key[:2] for key in table("fig_auc")} == {
        ("level", ""),
        ("some", "4.0"),
        ("some", "1024.0"),
        ("some", "32.0"),
    }
    assert "| some, 1024 |" in capsys.readouterr().out


@pytest.mark.parametrize("value", [None, [4, 8], "few"])
def test_the_x_of_a_curve_is_a_number(value, capsys):
    output = OUTPUT | {"kind": "curve", "x": "data.num"}
    path = write([per_instance("a", **{"data.num": [value]})], output)
    for cell in cells_of(path):
        finish(cell)
    assert report.main([path]) == 1
    assert f"the x of a curve, data.num, {value!r}: expected a number\n" in capsys.readouterr().err


def test_names_are_shown_as_they_are(capsys):
    name = r"a|b_c % & $x$ ~ ^ \ <y>"
    path = write([block(name, {"seed_everything": [1]})], {"name": "t", "title": "T", "values": ["eer"]})
    for cell in cells_of(path):
        finish(cell, places=PLACES)
    assert report.main([path]) == 0
    assert r"| a\|b_c % & $x$ ~ ^ \ <y> | 0.0100 |" in capsys.readouterr().out
    assert table("t")[name, "", "eer"]["mean"] == "0.01"
    text = Path("reports/grid/t.tex").read_text()
    assert r"a\textbar{}b\_c \% \& \$x\$ \textasciitilde{} \textasciicircum{} \textbackslash{}" in text
    assert r"\textless{}y\textgreater{} & 0.0100" in text


def test_a_table_of_results(capsys):
    path = write(
        [block("a", {"seed_everything": [1, 2, 3]})], {"name": "t", "title": "T", "values": ["eer", "clips"]}
    )
    for cell in cells_of(path):
        finish(cell, places=PLACES)
    assert report.main([path]) == 0
    # the last test row; t of two degrees of freedom is 4.3027, times 0.01 / sqrt(3)
    assert "| a | 0.0200 ± 0.0100 (± 0.0248) | 30.0000 ± 0.0000 (± 0.0000) |" in capsys.readouterr().out
    assert float(table("t")["a", "", "eer"]["ci95"]) == pytest.approx(0.0248413771, abs=1e-10)
    assert not list(Path("reports/grid").glob("*.png"))


@pytest.mark.parametrize(
    ("hashes", "scored"), [(("", "x"), ("", "")), (("x", "y"), (", list x,", ", list y,"))]
)
def test_refuses_to_average_over_different_clips(hashes, scored, capsys):
    path = write([per_instance("a"), per_instance("b")], OUTPUT)
    for cell in cells_of(path):
        trial = cell.run.id == "a-fan-id_00-seed_1"
        finish(cell, clips=9 if trial else None, data_hash=hashes[trial])
    assert report.main([path]) == 1
    assert capsys.readouterr().err == (
        "error: a, fan id_00: runs on different clips have no common mean: "
        f"9 clips{scored[1]} in a-fan-id_00-seed_1 and 10 clips{scored[0]} in a-fan-id_00-seed_2; "
        "test them on one list again\n"
    )
    assert not Path("reports").exists()


def test_equally_many_clips_of_different_lists_are_not_averaged(capsys):
    path = write([per_instance("a")], OUTPUT)
    for cell in cells_of(path):
        finish(cell, data_hash="old" if cell.run.id == "a-pump-id_00-seed_2" else "new")
    assert report.main([path]) == 1
    assert "a, pump id_00: runs on different clips" in capsys.readouterr().err


def test_warns_of_blocks_on_different_clips_and_of_settings(capsys):
    path = write([per_instance("a"), per_instance("b")], OUTPUT)
    for cell in cells_of(path):
        fewer = cell.block.name == "a" and "fan-id_00" in str(cell.run.id)
        trial = cell.run.id == "a-fan-id_00-seed_1"
        finish(cell, clips=9 if fewer else None, trainer={"max_epochs": 1 if trial else 100})
    assert report.main([path]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert lines == [
        "- warning: runs of a differ in trainer.max_epochs: 1 in a-fan-id_00-seed_1, 100 in a-fan-id_00-seed_2",
        "- warning: fan id_00: scored on different clips, not comparable: "
        "9 clips in a-fan-id_00-seed_1 and 10 clips in b-fan-id_00-seed_1",
    ]


def test_settings_that_a_block_ties_to_an_axis_may_differ(capsys):
    path = write([per_instance("a") | {"set": {"data.root": "rooms/${seed_everything}"}}], OUTPUT)
    for cell in cells_of(path):
        finish(cell, data={"init_args": {"root": f"rooms/{cell.values['seed_everything']}"}})
    assert report.main([path]) == 0
    assert "warning" not in capsys.readouterr().out


def test_refuses_an_axis_that_the_report_would_average_away(capsys):
    path = write([per_instance("a", **{"data.num": [4, 8]})], OUTPUT)
    for cell in cells_of(path):
        finish(cell)
    assert report.main([path]) == 1
    message = capsys.readouterr().err
    assert re.match(
        r"error: runs a-num_4-fan-\S+ and a-num_8-fan-\S+ are one series, seed and fan id_00: make", message
    )


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            OUTPUT | {"values": ["f1"]},
            "tables/test.csv: no column f1; it has machine, section, domain, auc, pauc",
        ),
        (OUTPUT | {"per": "codec"}, "no column codec"),
        ({"name": "t", "title": "T", "values": ["cllr"]}, "results.csv: no column cllr"),
        ({"name": "t", "title": "T", "values": ["commit"]}, "results.csv: commit 'abc': expected a number"),
    ],
)
def test_a_missing_column_is_one_line(output, message, capsys):
    path = write([per_instance("a")], output)
    for cell in cells_of(path):
        finish(cell)
    assert report.main([path]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert message in shown


def test_nothing_to_report_is_one_line(capsys):
    assert report.main([write([per_instance("a")], OUTPUT)]) == 1
    assert "none of 9 runs is finished in runs/e" in capsys.readouterr().err
    assert report.main([write([per_instance("a")])]) == 1
    assert "no report.outputs" in capsys.readouterr().err
    assert not Path("reports").exists()


def test_bars_show_the_means_from_the_origin():
    row = {"fan": Estimate(mean=0.4, sd=0.1, n=3), "pump": Estimate(mean=0.9, sd=math.nan, n=1)}
    made = Table(value="auc", columns=["fan", "pump"], estimates={("a", None): row}, left_out=[])
    output = read_grid(write([block("a")], OUTPUT)).report.outputs[0]
    axes = draw(made, output, {"a": "red"}).axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [bar.get_y() for bar in bars] == [0.5, 0.5]
    heights = [bar.get_height() for bar in bars]
    assert heights == pytest.approx([-0.1, 0.4])


def test_odd_names_are_in_the_legend(tmp_path):
    path = write([block("_b", {"seed_everything": [1]}), block("$_$", {"seed_everything": [1]})], OUTPUT)
    for cell in cells_of(path):
        finish(cell, places=PLACES)
    assert report.main([path]) == 0
    output = read_grid(path).report.outputs[0]
    estimates: dict[Series, dict[str, Estimate]] = {
        (name, None): {"fan": Estimate(mean=0.5, sd=math.nan, n=1)} for name in ("_b", "$_$")
    }
    table = Table(value="auc", columns=["fan"], estimates=estimates, left_out=[])
    figure = draw(table, output, {"_b": "C0", "$_$": "C1"})
    assert [each.get_text().strip() for each in figure.legends[0].get_texts()] == ["_b", r"\$_\$"]


def test_panels_of_curves_fill_their_rows_and_leave_no_empty_one(tmp_path):
    row = {machine: Estimate(mean=0.5, sd=0.1, n=2) for machine in ("a", "b", "c", "d", "e")}
    estimates: dict[Series, dict[str, Estimate]] = {("some", x): row for x in (4.0, 16.0)}
    made = Table(value="auc", columns=list(row), estimates=estimates, left_out=[])
    output = OUTPUT | {"kind": "curve", "values": ["auc"], "x": "data.num"}
    path = write([per_instance("some", **{"data.num": [4, 16]})], output)
    figure = draw(made, read_grid(path).report.outputs[0], {"some": "red"})
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == list(row)
    with_labels = [axes.get_title() for axes in figure.axes if axes.xaxis.get_tick_params()["labelbottom"]]
    assert with_labels == ["c", "d", "e", ""]


def test_rows_of_the_runs_tables_become_rows_of_the_report(capsys):
    output = {"name": "rows", "kind": "lines", "rows": "machine", "title": "T", "values": ["auc", "pauc"]}
    path = write([block("one", {"seed_everything": [1, 2]})], output)
    for cell in cells_of(path):
        finish(cell, places=[("fan", "id_00"), ("pump", "id_02")])
    assert report.main([path]) == 0
    text = capsys.readouterr().out
    mean = statistics.fmean(auc("pump", "id_02", seed) for seed in (1, 2))
    deviation = statistics.stdev(auc("pump", "id_02", seed) for seed in (1, 2))
    assert f"| pump | {mean:.4f} ± {deviation:.4f} (± " in text
    assert "| 0.6000 ± 0.0000 (± 0.0000) |" in text
    assert Path("reports/grid/rows.png").is_file()


def test_rows_and_per_exclude_each_other(capsys):
    path = write([block("one")], OUTPUT | {"rows": "machine"})
    assert report.main([path]) == 1
    assert "rows goes with kind table or lines, and without per" in capsys.readouterr().err


PUBLISHED = {"source": "A paper, Table 1", "rows": {"a": {"eer": 0.5}, "b_2": {"eer": 0.25}}}


def test_published_figures_stand_beside_ours(capsys):
    output = {"name": "t", "title": "100 % & more", "values": ["eer", "clips"], "published": PUBLISHED}
    path = write([block("a", {"seed_everything": [1]}), block("b_2", {"seed_everything": [1]})], output)
    finish(cells_of(path)[0], places=PLACES)
    assert report.main([path]) == 0
    shown = capsys.readouterr().out
    assert "one seed [published: A paper, Table 1]:" in shown
    assert "| a | 0.0100 [0.5000] | 30.0000 |" in shown
    assert "- published, and not among the finished runs: b_2" in shown
    assert [row["published"] for row in table("t").values()] == ["0.5", ""]
    assert [row["ci95"] for row in table("t").values()] == ["", ""]  # one seed has no interval
    made = Path("reports/grid/t.tex").read_text()
    assert r"\caption{100 \% \& more: one seed [published: A paper, Table 1].}" in made
    assert "\\begin{tabular}{lrr}\n\\toprule\n & eer & clips \\\\\n\\midrule\n" in made
    assert "\\midrule\na & 0.0100 [0.5000] & 30.0000 \\\\\n\\bottomrule" in made


def test_published_figures_of_columns_are_marked_on_bars(capsys):
    published = {"source": "S", "rows": {"a": {"fan": {"auc": 0.75, "pauc": 0.7}}}}
    path = write([per_instance("a")], OUTPUT | {"published": published})
    for cell in cells_of(path):
        finish(cell)
    assert report.main([path]) == 0
    assert table("fig_auc")["a", "", "fan"]["published"] == "0.75"
    assert table("fig_pauc")["a", "", "fan"]["published"] == "0.7"
    row = {"fan": Estimate(mean=0.4, sd=0.1, n=3), "pump": Estimate(mean=0.9, sd=math.nan, n=1)}
    made = Table(value="auc", columns=["fan", "pump"], estimates={("a", None): row}, left_out=[])
    lines = draw(made, read_grid(path).report.outputs[0], {"a": "red"}).axes[0].lines
    (mark,) = [line for line in lines if line.get_label() == "published"]
    assert np.asarray(mark.get_xydata()).tolist() == [[pytest.approx(0.0), 0.75]]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"published": {"rows": {}}}, "published: source is missing"),
        (
            {"published": PUBLISHED | {"rows": {"c": {"eer": 1}}}},
            "published: no block is named 'c'; blocks: a, b_2",
        ),
        (
            {"published": PUBLISHED | {"rows": {"a": {"eer": "4 %"}}}},
            "published: a, eer: '4 %': expected a number",
        ),
        ({"blocks": ["c"]}, "no block is named 'c'; blocks: a, b_2"),
        ({"blocks": ["a"], "baseline": "b_2"}, "no block is the baseline 'b_2'"),
    ],
)
def test_a_wrong_output_is_one_line(output, message, capsys):
    path = write([block("a"), block("b_2")], {"name": "t", "title": "T", "values": ["eer"]} | output)
    assert report.main([path]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert message in shown


def test_an_output_can_show_some_blocks(capsys):
    path = write(
        [block(name, {"seed_everything": [1]}) for name in "abc"],
        {"name": "t", "title": "T", "values": ["eer"], "blocks": ["a", "c"]},
    )
    for cell in cells_of(path):
        finish(cell, places=PLACES)
    assert report.main([path]) == 0
    assert {name for name, _, _ in table("t")} == {"a", "c"}


def test_other_data_are_no_result_and_other_checkpoints_are_told(capsys):
    path = write([block("a", {"seed_everything": [1, 2]})], {"name": "t", "title": "T", "values": ["eer"]})
    for cell, name in zip(cells_of(path), ("best=0.1-epoch=0003.ckpt", "last.ckpt"), strict=True):
        finish(cell, places=PLACES)
        file = cell.run.folder / "results.csv"
        with file.open(newline="") as opened:
            own = [row | {"checkpoint": name, "files": row["split"]} for row in csv.DictReader(opened)]
        put(file, [*own, own[0] | {"files": "test@Other-1a2b3c", "clips": "7", "eer": "0.7"}])
    assert report.main([path]) == 0
    assert float(table("t")["a", "", "eer"]["mean"]) == pytest.approx((0.01 + 0.02) / 2)
    shown = capsys.readouterr().out
    first, second = (cell.run.id for cell in cells_of(path))
    assert (
        f"runs of a were tested with its best checkpoint in {first} and last.ckpt in {second}: test them alike"
        in shown
    )
