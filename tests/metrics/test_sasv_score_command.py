"""The score command on track 2 of ASVspoof 5: formats, columns that lack, faults of files, results on disk."""

import csv
import json

import pytest
import torch

from lightning_modules.metrics.functional import (
    ASVSPOOF5_ASV,
    ASVSPOOF5_COSTS,
    TrialKind,
    asv_error_rates,
    min_a_dcf,
    min_tdcf,
    tandem_eer,
)
from lightning_modules.score import main

# speaker, file, kind, attack, codec; scores of detector, verification and both
TRIALS = [
    ("E_1", "a", "target", "-", "C01", 2.0, 1.5, 3.0),
    ("E_1", "b", "target", "-", "C02", 1.0, 0.5, 1.5),
    ("E_2", "c", "target", "-", "C01", 0.5, 2.5, 2.5),
    ("E_2", "a", "nontarget", "-", "C01", 2.5, -1.0, 0.5),
    ("E_3", "b", "nontarget", "-", "C02", 0.75, 1.0, 2.0),
    ("E_1", "d", "spoof", "A17", "C01", -1.0, 1.25, 0.25),
    ("E_1", "e", "spoof", "A18", "C02", 0.7, 2.0, 1.0),
    ("E_2", "f", "spoof", "A17", "C02", -2.0, -0.5, -2.5),
]
KINDS = torch.tensor([TrialKind[kind.upper()] for _, _, kind, *_ in TRIALS])
CM, ASV, SASV = (
    torch.tensor([trial[column] for trial in TRIALS], dtype=torch.float64) for column in (5, 6, 7)
)


def write(path, rows):
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))


@pytest.fixture
def files(tmp_path):
    """Writes key and scores as the challenge has them and returns the command's arguments."""
    key = [(*trial[:2], "spoof" if trial[2] == "spoof" else "bonafide", trial[2]) for trial in TRIALS]
    write(tmp_path / "key.tsv", [("spk", "filename", "cm-label", "asv-label"), *key])
    scores = [(*trial[:2], *trial[5:]) for trial in reversed(TRIALS)]
    write(tmp_path / "scores.tsv", [("spk", "filename", "cm-score", "asv-score", "sasv-score"), *scores])
    arguments = ["--scores", tmp_path / "scores.tsv", "--protocol", tmp_path / "key.tsv"]
    return [str(each) for each in (*arguments, "--json", tmp_path / "results.json")]


def results(folder):
    return json.loads((folder / "results.json").read_text())["results"]


def test_pooled_figures_are_those_of_the_functions(files, tmp_path, capsys):
    assert main(files) == 0
    (pooled,) = results(tmp_path)
    cost, threshold = min_a_dcf(SASV, KINDS, costs=ASVSPOOF5_COSTS)
    assert (pooled["min_a_dcf"], pooled["threshold"]) == (float(cost), float(threshold))
    names = ("t_eer", "asv_threshold", "cm_threshold")
    assert [pooled[name] for name in names] == [float(each) for each in tandem_eer(ASV, CM, KINDS)]
    expected = min_tdcf(CM, KINDS != TrialKind.SPOOF, asv=ASVSPOOF5_ASV, revision=2021)
    assert pooled["min_tdcf"] == float(expected)
    assert [pooled[name] for name in ("num_target", "num_nontarget", "num_spoof")] == [3, 2, 3]
    printed = capsys.readouterr().out
    assert f"{float(cost):.4f}" in printed
    assert "organisers' verification on the evaluation trials" in printed


def test_full_table_of_keys_gives_a_breakdown_without_dummies(files, tmp_path):
    names = ["tar_spk_anon", "trial_anon", "cm_label", "asv_label", "attack_anon", "codec", "track_2_tag"]
    rows = [
        (*trial[:2], "spoof" if trial[2] == "spoof" else "bonafide", trial[2], *trial[3:5], "-")
        for trial in TRIALS
    ]
    dummy = ("E_9", "z", "spoof", "spoof", "A17", "C01", "dummy")
    write(tmp_path / "key.tsv", [names, *rows[:4], dummy, *rows[4:]])
    assert main([*files, "--csv", str(tmp_path / "results.csv")]) == 0
    with (tmp_path / "results.csv").open() as file:
        found = {(row["attack"], row["codec"]): row for row in csv.DictReader(file)}
    assert len(found) == 1 + 2 + 2 + 4
    assert int(found["", ""]["num_spoof"]) == 3
    of_attack = (KINDS != TrialKind.SPOOF) | torch.tensor([trial[3] == "A17" for trial in TRIALS])
    cost, _ = min_a_dcf(SASV[of_attack], KINDS[of_attack], costs=ASVSPOOF5_COSTS)
    assert float(found["A17", ""]["min_a_dcf"]) == float(cost)
    assert found["A18", "C01"]["min_a_dcf"] == "", "no spoof of A18 in C01"
    assert int(found["", "C01"]["num_target"]) == 2


def test_error_rates_of_verification_from_scores(files, tmp_path, capsys):
    assert main([*files, "--asv-scores", str(tmp_path / "scores.tsv")]) == 0
    rates = asv_error_rates(
        *(ASV[kind == KINDS] for kind in (TrialKind.TARGET, TrialKind.NONTARGET, TrialKind.SPOOF))
    )
    expected = min_tdcf(CM, KINDS != TrialKind.SPOOF, asv=rates, revision=2021)
    assert results(tmp_path)[0]["min_tdcf"] == float(expected)
    assert "organisers" not in capsys.readouterr().out


@pytest.mark.parametrize("how", ["dashes", "no column"])
@pytest.mark.parametrize(
    ("lacking", "undefined", "told"),
    [
        (
            {"cm-score", "asv-score"},
            {"t_eer", "min_tdcf"},
            "no t-EER: the scores have no cm-score and no asv-score",
        ),
        ({"asv-score"}, {"t_eer"}, "no t-EER: the scores have no asv-score"),
        ({"sasv-score"}, {"min_a_dcf"}, "no min a-DCF: the scores have no sasv-score"),
    ],
)
def test_columns_that_lack_are_told_and_the_rest_is_computed(
    files, tmp_path, capsys, how, lacking, undefined, told
):
    assert main(files) == 0
    whole = results(tmp_path)[0]
    capsys.readouterr()
    header, *rows = [line.split("\t") for line in (tmp_path / "scores.tsv").read_text().splitlines()]
    kept = [at for at, name in enumerate(header) if how == "dashes" or name not in lacking]
    rows = [["-" if header[at] in lacking else row[at] for at in kept] for row in rows]
    write(tmp_path / "scores.tsv", [[header[at] for at in kept], *rows])
    assert main(files) == 0
    (pooled,) = results(tmp_path)
    for name in ("min_a_dcf", "t_eer", "min_tdcf"):
        assert pooled[name] == (None if name in undefined else whole[name])
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "key.tsv",
            "bonafide\ttarget",
            "spoof\ttarget",
            "key.tsv:2: cm-label 'spoof' beside asv-label 'target'",
        ),
        (
            "key.tsv",
            "nontarget",
            "impostor",
            "key.tsv:5: asv-label 'impostor' is neither 'spoof', 'target' nor",
        ),
        ("key.tsv", "E_2\tc", "E_1\ta", "key.tsv:4: E_1 a comes a second time"),
        (
            "key.tsv",
            "spk\t",
            "speaker\t",
            "key.tsv:1: the header 'speaker filename cm-label asv-label' names no column",
        ),
        ("key.tsv", "nontarget", "target", "none of the 8 trials is nontarget"),
        ("scores.tsv", "spk\t", "speaker\t", "names no column 'spk'; track 2 needs spk filename"),
        ("scores.tsv", "E_2\tc\t0.5\t2.5\t2.5\n", "", "scores.tsv: no score for E_2 c and 0 others"),
        ("scores.tsv", "E_2\tc", "E_8\tc", "scores.tsv: no score for E_2 c and 0 others"),
        ("scores.tsv", "E_2\tc\t0.5", "E_2\tc\t-", "scores.tsv:7: score '-' of E_2 c is not a finite number"),
        (
            "scores.tsv",
            "-score",
            "-ratio",
            "scores.tsv: no score stands in it; its header must name one of cm-score",
        ),
        ("scores.tsv", "E_2\tc\t0.5", "E_2\tc", "scores.tsv:7: 4 columns, expected 5"),
    ],
)
def test_faulty_files_are_refused(files, tmp_path, capsys, file, old, new, message):
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert main(files) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_score_of_no_trial_is_refused(files, tmp_path, capsys):
    with (tmp_path / "scores.tsv").open("a") as file:
        file.write("E_9\tz\t1\t1\t1\n")
    assert main(files) == 1
    assert "scores.tsv:10: E_9 z and 0 others are not in" in capsys.readouterr().err


def test_inverted_scores_are_named(files, tmp_path, capsys):
    assert main(files) == 0
    assert "looks inverted" not in capsys.readouterr().out
    rows = [(*trial[:2], -trial[5], *trial[6:]) for trial in TRIALS]
    write(tmp_path / "scores.tsv", [("spk", "filename", "cm-score", "asv-score", "sasv-score"), *rows])
    assert main(files) == 0
    printed = capsys.readouterr().out
    assert "warning: cm-score looks inverted" in printed
    assert printed.count("looks inverted") == 1


def test_verification_without_scores_is_refused(files, tmp_path, capsys):
    write(tmp_path / "asv.tsv", [("spk", "filename", "cm-score"), *((*trial[:2], 1) for trial in TRIALS)])
    assert main([*files, "--asv-scores", str(tmp_path / "asv.tsv")]) == 1
    assert "asv.tsv: has no column asv-score" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--tdcf", "2021"], ["--subset", "eval"], ["--bootstrap", "9"], ["--eer", "asvspoof"]]
)
def test_options_of_track_1_are_refused(files, capsys, option):
    with pytest.raises(SystemExit) as stop:
        main([*files, *option])
    assert stop.value.code == 2
    assert f"is a key of track 2: drop {option[0]}" in capsys.readouterr().err
