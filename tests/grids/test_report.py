"""Reports: averages over sections and seeds against hand-derived values, and honesty about what is missing."""

import csv
import math
import re
import statistics
from pathlib import Path

import pytest
from report_runs import OUTPUT, PLACES, auc, block, cells_of, finish, per_instance, put, table, write

from lightning_modules import report

pytestmark = pytest.mark.usefixtures("in_folder")


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
