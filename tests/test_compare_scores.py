"""The compare command on scores: of spoofing detectors and of detectors of anomalous sounds."""

import json

import numpy as np
import pytest

from lightning_modules.compare import main
from lightning_modules.metrics.functional.paired_bootstrap import paired_bootstrap

SIZE = 60
IS_BONAFIDE = np.arange(SIZE) % 3 == 0


@pytest.fixture(autouse=True)
def scores(monkeypatch, tmp_path):
    """Three runs' scores of the same trials, in other orders and of other layouts, with a key."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    runs = rng.normal(size=(3, SIZE)) + [[1.0], [1.5], [0.5]] * IS_BONAFIDE
    (tmp_path / "key.csv").write_text(
        "file_name,label\n" + "".join(f"/d/u{row}.wav,{word(row)}\n" for row in range(SIZE))
    )
    for name, run in zip(("a1.txt", "a2.txt", "b.txt"), runs, strict=True):
        order = rng.permutation(SIZE)
        (tmp_path / name).write_text("".join(f"u{row} {run[row]}\n" for row in order))
    trials = tmp_path / "run/tables/test_trials.csv"
    trials.parent.mkdir(parents=True)
    rows = [f"u{row},{word(row)},{runs[2][row]}\n" for row in range(SIZE)]
    trials.write_text("key,label,score\n" + "".join(rows))
    (tmp_path / "labelled.csv").write_text(
        "utt,score,label\n" + "".join(f"u{row},{runs[0][row]},{word(row)}\n" for row in reversed(range(SIZE)))
    )
    return runs


def word(row):
    return "bonafide" if IS_BONAFIDE[row] else "spoof"


def compare(*arguments):
    assert main([*arguments, "--json", "result.json"]) == 0
    with open("result.json", encoding="utf-8") as file:  # noqa: PTH123
        return json.load(file)


@pytest.mark.parametrize("metric", ["eer", "min_dcf", "auc"])
def test_score_files_with_a_key(scores, metric, capsys):
    found = compare(
        *("--a", "a1.txt", "a2.txt", "--b", "b.txt", "--protocol", "key.csv"),
        *("--metric", metric, "--draws", "50", "--seed", "3"),
    )
    expected = paired_bootstrap(metric, scores[:2], scores[2:], IS_BONAFIDE, draws=50, seed=3)
    assert found["figure"] == list(expected.figure)
    assert found["difference"] == expected.difference
    assert found["interval"] == list(expected.interval)
    assert found["p"] == expected.p
    assert (found["num_bonafide"], found["num_spoof"], found["metric"]) == (20, 40, metric)
    printed = capsys.readouterr().out
    assert "a1.txt and 1 more" in printed
    assert f"p = {expected.p:.3g} for these networks on other trials (50 paired draws)" in printed


def test_runs_and_files_that_carry_their_labels(scores):
    found = compare("--a", "labelled.csv", "--b", "run", "--draws", "5")
    expected = paired_bootstrap("eer", scores[:1][:, ::-1], scores[2:][:, ::-1], IS_BONAFIDE[::-1], draws=5)
    assert found["interval"] == list(expected.interval)


def test_the_key_is_told_once(capsys):
    compare("--a", "a1.txt", "--b", "b.txt", "--protocol", "key.csv", "--draws", "1")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[0].startswith("note: key.csv: file_name is the name, label is the label; a1.txt: u")
    assert told[1].startswith("note: b.txt: u")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "u7,",
            "u99,",
            "labelled.csv has 60 trials, run/tables/test_trials.csv 60, and u7 is only in labelled.csv",
        ),
        (
            "u7,spoof",
            "u7,bonafide",
            "labelled.csv and run/tables/test_trials.csv: u7 is spoofed and bona fide: use one",
        ),
        (
            "u59,spoof",
            "u59,forged",
            "test_trials.csv:61: label 'forged' of u59 is neither 'bonafide' nor 'spoof'",
        ),
    ],
)
def test_other_trials_or_labels_are_refused(tmp_path, capsys, old, new, message):
    path = tmp_path / "run/tables/test_trials.csv"
    path.write_text(path.read_text().replace(old, new))
    assert main(["--a", "labelled.csv", "--b", "run"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_scores_without_labels_need_a_key(capsys):
    assert main(["--a", "a1.txt", "--b", "b.txt"]) == 1
    assert "a1.txt carries no labels: give --protocol" in capsys.readouterr().err


def test_what_is_missing_is_told_as_such(capsys):
    assert main(["--a", "nope", "--b", "b.txt"]) == 1
    assert "nope: no such file or folder" in capsys.readouterr().err


def test_different_things_are_not_compared(tmp_path, capsys):
    (tmp_path / "classifier").mkdir()
    assert main(["--a", "a1.txt", "--b", "classifier"]) == 1
    error = capsys.readouterr().err
    assert "a1.txt holds scores of trials, classifier ranks of classes: compare what is of one kind" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--a", "a1.txt", "--b", "b.txt", "--top", "5"], "a1.txt holds scores of trials: drop --top"),
        (["--a", "a1.txt", "--b", "b.txt", "--year", "2023"], "drop --year"),
        (["--a", "x", "--b", "y", "--metric", "eer"], "x holds ranks of classes: drop --metric"),
        (
            ["--a", "team", "--b", "other", "--metric", "eer"],
            "--metric eer: anomalous sounds are compared by auc",
        ),
    ],
)
def test_options_of_another_kind(tmp_path, capsys, arguments, message):
    submission(tmp_path / "team")
    submission(tmp_path / "other")
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def submission(folder, shift=0.0, *, names=range(8)):
    """Anomaly scores of eight clips of a section of 2023's development set."""
    folder.mkdir(parents=True)
    kinds = ("normal", "anomaly")
    lines = [
        f"section_00_{'source' if n < 4 else 'target'}_test_{kinds[n % 2]}_{n:04}.wav,{n % 5 + shift * (n % 2)}\n"
        for n in names
    ]
    (folder / "anomaly_score_fan_section_00_test.csv").write_text("".join(lines))


def test_folders_of_anomaly_scores_and_runs(tmp_path, capsys):
    submission(tmp_path / "team")
    submission(tmp_path / "run/scores/test", 2.5, names=range(7, -1, -1))
    found = compare("--a", "team", "--b", "run", "--draws", "40")
    # anomalies 1 3 0 2 against the normal clips 0 2 of source and 4 1 of target, then 2.5 higher
    source, target = 5 / 8, 2.5 / 8
    better_source, better_target = 8 / 8, 6 / 8
    expected = [2 / (1 / source + 1 / target), 2 / (1 / better_source + 1 / better_target)]
    assert found["figure"] == pytest.approx(expected)
    assert found["interval"][0] <= found["difference"] <= found["interval"][1] <= 0
    assert found["num_clips"] == 8
    assert "AUC, mean over machines, 8 clips" in capsys.readouterr().out


def test_folders_of_other_clips_are_refused(tmp_path, capsys):
    submission(tmp_path / "team")
    submission(tmp_path / "other", names=range(7))
    assert main(["--a", "team", "--b", "other"]) == 1
    error = capsys.readouterr().err
    assert error.endswith(", unlike team: score both on the same clips\n")
    assert "other: no score for fan/section_00_target_test_anomaly_0007 and 0 others" in error
