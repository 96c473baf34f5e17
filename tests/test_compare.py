"""The compare command: figures by hand, refusals with exit codes and messages, JSON."""

import csv
import json

import pytest

from lightning_modules.compare import main

COLUMNS = ["key", "verb_target", "verb_predicted", "verb_rank", "noun_rank"]


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def add(tmp_path, run, ranks, **changed):
    """Leaves the table of a run whose clips c0, c1, ... have these ranks; `changed` maps a key to its row."""
    rows = {f"c{i}": [i % 3, 0, rank, 1] for i, rank in enumerate(ranks)} | changed
    folder = tmp_path / run / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "test_clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([COLUMNS, *([key, *row] for key, row in rows.items() if row)])


def test_one_run_each(tmp_path, capsys):
    add(tmp_path, "x", [1, 1, 1, 2, 7], c9=[-1, 0, 0, 0])  # c9 is of unknown class
    add(tmp_path, "y", [1, 3, 4, 1, 6], c9=[-1, 0, "", 0])
    arguments = ["--a", "x", "--b", "y", "--head", "verb"]
    assert main([*arguments, "--json", "result.json"]) == 0
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["accuracy"] == [0.6, 0.4]
    assert found["difference"] == pytest.approx(0.2)
    assert found["num_clips"] == 5
    assert found["p_clips"] == pytest.approx(1.0)  # 2 against 1 discordant clips
    assert found["se_seeds"] is None
    assert (found["a"], found["head"], found["top"]) == (["x"], "verb", 1)
    shown = capsys.readouterr().out
    assert "+20.00 %" in shown
    assert "exact, McNemar" in shown
    assert "needs at least two runs of each" in shown
    assert main([*arguments, "--top", "6", "--json", "result.json"]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["accuracy"] == [0.8, 1.0]


def test_several_runs_and_clips_in_any_order(tmp_path, capsys):
    for run, ranks in (
        ("a1", [1, 1, 1, 2]),
        ("a2", [1, 1, 2, 2]),
        ("b1", [1, 2, 2, 2]),
        ("b2", [2, 2, 2, 2]),
    ):
        add(tmp_path, run, ranks)
    path = tmp_path / "b2/tables/test_clips.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]))
    assert main(["--a", "a1", "a2", "--b", "b1", "b2", "--head", "verb", "--json", "result.json"]) == 0
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["accuracy"] == [0.625, 0.125]
    assert found["p_clips"] == pytest.approx(0.25)  # differences of 1, 2, 1 and 0 runs: two of eight flips
    assert found["se_seeds"] == pytest.approx((2 * (0.25**2 / 2) / 2) ** 0.5)
    assert "(Welch)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "arguments", "message"),
    [
        (
            {"c1": None},
            [],
            "x/tables/test_clips.csv has 3 clips, y/tables/test_clips.csv 2, and c1 is only in x/",
        ),
        ({"c9": [1, 0, 1, 1]}, [], "and c9 is only in y/tables/test_clips.csv: test both on the same clips"),
        ({"c1": [2, 0, 1, 1]}, [], "c1 is labelled 1 and 2"),
        (
            {"c1": [1, 0, "first", 1]},
            [],
            "y/tables/test_clips.csv:3: verb_rank 'first' of c1: expected a rank",
        ),
        ({"c2": [2]}, [], "y/tables/test_clips.csv:4: the line of c2 is cut off"),
        ({}, ["--head", "event"], "no head event; it has verb, noun"),
        ({}, ["--split", "validation"], "x/tables/validation_clips.csv: no such file"),
        ({}, ["--b", "x"], "x comes twice"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_code_1(changed, arguments, message, tmp_path, capsys):
    add(tmp_path, "x", [1, 1, 1])
    add(tmp_path, "y", [1, 2, 1], **changed)
    assert main(["--a", "x", "--b", "y", "--head", "verb", *arguments]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert shown.count("\n") == 1
    assert message in shown


def test_several_heads_need_a_name(tmp_path, capsys):
    add(tmp_path, "x", [1])
    add(tmp_path, "y", [1])
    assert main(["--a", "x", "--b", "y"]) == 1
    assert "several heads: name one of verb, noun" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--a", "x"], ["--a", "x", "--b", "y", "--top", "0"]])
def test_wrong_use_is_exit_code_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
