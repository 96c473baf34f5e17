"""The score command on lists of the field's corpora: labels in the scores, foreign thresholds, what is told."""

import csv
import json
from pathlib import Path

import pytest

from lightning_modules.score import main

LANGUAGES = ["de", "de", "de", "ga", "ga", "ga"]
LABELS = [1, 0, 1, 0, 1, 0]
SCORES = [3.0, 1.0, 0.5, -1.0, 2.0, 2.5]
# pooled: misses (0 of 3 at -1 and below, 1 of 3 from 0.5) against false alarms (2/3 from -1, 1/3 from 1)
EER = 1 / 3


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "key.csv", ["file_name,label"] + [f"/a/b/u{row}.wav,{word(row)}" for row in range(6)])
    write(tmp_path / "scores.txt", [f"u{row} {score}" for row, score in enumerate(SCORES)])


def word(row):
    return "bonafide" if LABELS[row] else "spoof"


def write(path, lines):
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return str(path)


def score(*arguments):
    assert main([*arguments, "--json", "results.json"]) == 0
    return json.loads(Path("results.json").read_text(encoding="utf-8"))


def test_an_arena_list_and_ids_without_folders(capsys):
    (pooled,) = score("--scores", "scores.txt", "--protocol", "key.csv")["results"]
    assert (pooled["num_bonafide"], pooled["num_spoof"]) == (3, 3)
    assert pooled["eer"] == pytest.approx(EER)
    (told,) = capsys.readouterr().err.splitlines()
    assert told == (
        "note: key.csv: file_name is the name, label is the label; "
        "scores.txt: u0 is taken for /a/b/u0.wav, as are all others"
    )


@pytest.mark.parametrize(
    "line",
    [
        "u{row} {word} {score}",
        "u{row} A{row} {word} {score}",
        "Output, u{row}, {label}, {score}",
        "u{row},{score},{word}",
    ],
)
def test_scores_that_carry_their_labels_need_no_key(tmp_path, line):
    lines = [
        line.format(row=row, word=word(row), label=LABELS[row], score=value)
        for row, value in enumerate(SCORES)
    ]
    path = write(tmp_path / "labelled.txt", lines)
    assert score("--scores", path)["results"][0]["eer"] == pytest.approx(EER)


def test_a_run_s_table_of_trials_is_broken_down_by_its_columns(tmp_path):
    rows = [f"u{row},{word(row)},{value},x,{LANGUAGES[row]}" for row, value in enumerate(SCORES)]
    path = write(tmp_path / "test_trials.csv", ["key,label,score,corpus,language", *rows])
    found = score("--scores", path, "--csv", "rows.csv")["results"]
    assert [each["condition"] for each in found] == [{}, {"language": "de"}, {"language": "ga"}]
    assert found[2]["eer"] == 0.25  # behind -1 none of one is missed, one of two passes
    with (tmp_path / "rows.csv").open() as file:
        assert [row["language"] for row in csv.DictReader(file)] == ["", "de", "ga"]


def test_what_is_unknown_of_a_trial_is_called_so(tmp_path):
    rows = [f"u{row},{word(row)},{value},{'' if row < 3 else 'en'}," for row, value in enumerate(SCORES)]
    path = write(tmp_path / "test_trials.csv", ["key,label,score,language,attack", *rows])
    conditions = [each["condition"] for each in score("--scores", path)["results"]]
    assert conditions == [{}, {"language": "en"}, {"language": "unknown"}]


def test_without_labels_a_key_is_needed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--scores", "scores.txt"])
    assert stop.value.code == 2
    assert "scores.txt carries no labels: such a score file needs --protocol" in capsys.readouterr().err


def test_labels_as_numbers(tmp_path, capsys):
    path = write(tmp_path / "numbers.csv", ["file,label", *(f"u{row},{LABELS[row]}" for row in range(6))])
    assert main(["--scores", "scores.txt", "--protocol", path]) == 1
    assert "give --bonafide 1, or --bonafide 0" in capsys.readouterr().err
    found = score("--scores", "scores.txt", "--protocol", path, "--bonafide", "1")
    assert found["results"][0]["eer"] == pytest.approx(EER)


def test_contradicting_labels_are_refused_in_any_words(tmp_path, capsys):
    lines = [
        f"u{row} {value} {'real' if LABELS[row] or row == 3 else 'fake'}" for row, value in enumerate(SCORES)
    ]
    path = write(tmp_path / "labelled.txt", lines)
    assert main(["--scores", path, "--protocol", "key.csv"]) == 1
    assert "labelled.txt:4: key 'real' of /a/b/u3.wav, but key.csv says 'spoof'" in capsys.readouterr().err


def test_files_of_one_name_need_their_folders(tmp_path, capsys):
    write(tmp_path / "key.csv", ["file_name,label", "/a/real/1.wav,bonafide", "/a/fake/1.wav,spoof"])
    write(tmp_path / "scores.txt", ["1 0.5", "2 0.1"])
    assert main(["--scores", "scores.txt", "--protocol", "key.csv"]) == 1
    assert (
        "/a/real/1.wav and /a/fake/1.wav have one name: give ids with their folders"
        in capsys.readouterr().err
    )
    write(tmp_path / "scores.txt", ["real/1.wav 0.5", "fake/1.wav 0.1"])
    assert score("--scores", "scores.txt", "--protocol", "key.csv")["results"][0]["eer"] == 0


@pytest.fixture
def spoofed_only(tmp_path):
    """Scores of four spoofed trials of two systems, as MLAAD lists them."""
    folder = tmp_path / "MLAAD"
    for system, names in (("vits", "ab"), ("bark", "cd")):
        (folder / system).mkdir(parents=True)
        rows = [f"./fake/de/{system}/{name}.wav|de|{system}" for name in names]
        write(folder / system / "meta.csv", ["path|language|model_name", *rows])
    write(tmp_path / "mlaad.txt", ["a 1.0", "b 0.4", "c 0.5", "d 3.0"])
    return ["--scores", "mlaad.txt", "--protocol", "MLAAD"]


def test_spoofed_trials_alone_have_no_eer(spoofed_only, capsys):
    assert main(spoofed_only) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        "error: MLAAD: none of the 4 trials is bona fide, so that there is no EER: give the threshold of another set "
        "by --threshold T or --threshold-from SCORES[:KEY]"
    )


def test_spoofed_trials_alone_at_a_threshold(spoofed_only, tmp_path, capsys):
    found = score(*spoofed_only, "--threshold", "0.5", "--csv", "rows.csv")
    assert found["results"] == []
    accepted = {tuple(each["condition"].values()): each for each in found["at_threshold"]["results"]}
    assert {name: each["one_minus_srr"] for name, each in accepted.items()} == {
        (): 0.75,
        ("bark",): 1,
        ("vits",): 0.5,
    }
    assert accepted[()]["miss"] is None
    assert "75.0000" in capsys.readouterr().out
    with (tmp_path / "rows.csv").open() as file:
        assert [row["one_minus_srr"] for row in csv.DictReader(file)] == ["0.75", "1.0", "0.5"]


@pytest.mark.parametrize("source", ["scores.txt:key.csv", "labelled.csv"])
def test_the_threshold_of_another_set(spoofed_only, tmp_path, source):
    rows = [f"u{row},{word(row)},{value}" for row, value in enumerate(SCORES)]
    write(tmp_path / "labelled.csv", ["key,label,score", *rows])
    own = score("--scores", "scores.txt", "--protocol", "key.csv")["results"][0]
    found = score(*spoofed_only, "--threshold-from", source)["at_threshold"]
    assert found["threshold"] == own["threshold"] == 1.0
    assert found["results"][0]["one_minus_srr"] == 0.5


def test_misses_at_a_threshold():
    found = score("--scores", "scores.txt", "--protocol", "key.csv", "--threshold", "2")
    pooled = found["at_threshold"]["results"][0]
    assert (pooled["miss"], pooled["one_minus_srr"]) == pytest.approx((1 / 3, 1 / 3))
    assert found["results"][0]["eer"] == pytest.approx(EER)


@pytest.mark.parametrize(
    "arguments", [["--threshold", "0", "--threshold-from", "scores.txt"], ["--threshold", "nan"]]
)
def test_one_threshold_at_a_time_and_a_number(arguments):
    with pytest.raises(SystemExit) as stop:
        main(["--scores", "scores.txt", "--protocol", "key.csv", *arguments])
    assert stop.value.code == 2


def test_the_t_dcf_of_a_table_is_that_of_the_asv_scores(tmp_path, capsys):
    kinds = ["target", "nontarget", "spoof"]
    write(tmp_path / "asv.txt", [f"{kind} {kind} {score}" for score, kind in enumerate([*kinds, *kinds])])
    assert main(["--scores", "scores.txt", "--protocol", "key.csv", "--asv-scores", "asv.txt"]) == 0
    assert "key.csv, scores.txt, t-DCF 2019" in capsys.readouterr().out


def test_long_breakdowns_are_left_to_the_csv_file(tmp_path, capsys):
    rows = [f"b{row},-,bonafide,{row}" for row in range(3)] + [
        f"s{row},T{row},spoof,{row}" for row in range(31)
    ]
    path = write(tmp_path / "trials.csv", ["key,attack,label,score", *rows])
    assert len(score("--scores", path)["results"]) == 32
    printed = capsys.readouterr().out
    assert "attack: 31 values, see --csv" in printed
    assert "T30" not in printed
