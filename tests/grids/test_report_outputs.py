"""What a report shows: bars, curves, rows of tables, published figures beside ours, some of the blocks."""

import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from report_runs import OUTPUT, PLACES, auc, block, cells_of, finish, per_instance, table, write

from lightning_modules import report
from lightning_modules.grids.estimates import Estimate, Series, Table
from lightning_modules.grids.figures import draw
from lightning_modules.grids.grid_file import read_grid

pytestmark = pytest.mark.usefixtures("in_folder")


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
