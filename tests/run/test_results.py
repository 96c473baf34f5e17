"""results.csv grows by a row an evaluation."""

import csv
from multiprocessing import get_context

from lightning_modules.run.folder import Run
from lightning_modules.run.results import append_row, result_row, show
from lightning_modules.run.rows import Report


def test_rows_are_appended_and_new_columns_added(tmp_path):
    path = tmp_path / "results.csv"
    append_row(path, {"a": 1})
    append_row(path, {"a": 2, "b": 3})
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".results.csv.lock", "results.csv"]


def append_rows(path, name):
    for number in range(30):
        append_row(path, {name: number})


def test_evaluations_that_end_at_once_lose_no_row(tmp_path):
    path = tmp_path / "results.csv"
    processes = [get_context("fork").Process(target=append_rows, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in "abc":
        assert [row[name] for row in rows if row[name]] == [str(number) for number in range(30)]


def test_names_with_brackets_are_shown_as_they_are(capsys):
    rows = [{"class": name, "recall": 0.5} for name in ("[drums]", "voice [/sung]")]
    show("run", Report(keys=["x"], scores=[0.1], metrics={}, table=rows, warnings=["no clips of [bass]"]))
    shown = capsys.readouterr().out
    for name in ("[drums]", "voice [/sung]", "no clips of [bass]"):
        assert name in shown


def test_row_says_what_was_scored_how():
    report = Report(keys=["x", "y"], scores=[0.1, 0.2], metrics={"eer": 0.25})
    row = result_row(Run(experiment="e", id="r"), "test", "runs/best.ckpt", 7, report)
    assert (row["experiment"], row["run"], row["seed"], row["clips"]) == ("e", "r", 7, 2)
    assert (row["checkpoint"], row["eer"]) == ("best.ckpt", "0.250000")
