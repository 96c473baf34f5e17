"""results.csv grows by a row an evaluation; one that is made anew takes the place of the earlier one."""

import csv
from multiprocessing import get_context

from lightning_modules.run.evaluations import Evaluation
from lightning_modules.run.folder import Run
from lightning_modules.run.results import SAME, put_row, result_row, show
from lightning_modules.run.rows import Report


def test_rows_are_appended_and_new_columns_added(tmp_path):
    path = tmp_path / "results.csv"
    put_row(path, {"a": 1}, same=["a"])
    put_row(path, {"a": 2, "b": 3}, same=["a"])
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".results.csv.lock", "results.csv"]


def put_rows(path, name):
    for number in range(30):
        put_row(path, {name: number}, same=[name])


def test_evaluations_that_end_at_once_lose_no_row(tmp_path):
    path = tmp_path / "results.csv"
    processes = [get_context("fork").Process(target=put_rows, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in "abc":
        assert [row[name] for row in rows if row[name]] == [str(number) for number in range(30)]


EVALUATION = Evaluation("test", "test", "Corpus-2", "abcd", "12")


def test_the_same_evaluation_replaces_its_row_and_others_stand_beside_it(tmp_path):
    path, run = tmp_path / "results.csv", Run(experiment="e", id="r")
    # of an earlier version, whose rows do not tell what they are of
    path.write_text("experiment,run,split,seed,checkpoint,clips,eer\ne,r,test,7,last.ckpt,2,0.900000\n")

    def put(eer, evaluation=EVALUATION, checkpoint="last.ckpt"):
        report = Report(keys=["x", "y"], scores=[0.1, 0.2], metrics={"eer": eer})
        put_row(path, result_row(run, evaluation, checkpoint, 7, report), same=SAME)

    put(0.1)
    put(0.2, checkpoint="best.ckpt")
    put(0.3, EVALUATION._replace(name="test@Other-1", data_set="Other", data_hash="ef"))
    put(0.4, EVALUATION._replace(settings="13"))
    put(0.5)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["eer"], row["files"], row["data_set"]) for row in rows] == [
        ("0.900000", "", ""),
        ("0.200000", "test", "Corpus-2"),
        ("0.300000", "test@Other-1", "Other"),
        ("0.400000", "test", "Corpus-2"),
        ("0.500000", "test", "Corpus-2"),
    ]


def test_names_with_brackets_are_shown_as_they_are(capsys):
    rows = [{"class": name, "recall": 0.5} for name in ("[drums]", "voice [/sung]")]
    show("run", Report(keys=["x"], scores=[0.1], metrics={}, table=rows, warnings=["no clips of [bass]"]))
    shown = capsys.readouterr().out
    for name in ("[drums]", "voice [/sung]", "no clips of [bass]"):
        assert name in shown


def test_row_says_what_was_scored_how():
    report = Report(keys=["x", "y"], scores=[0.1, 0.2], metrics={"eer": 0.25})
    row = result_row(Run(experiment="e", id="r"), EVALUATION, "runs/best.ckpt", 7, report)
    assert (row["experiment"], row["run"], row["seed"], row["clips"]) == ("e", "r", 7, 2)
    assert (row["checkpoint"], row["eer"]) == ("best.ckpt", "0.250000")
