"""The score command: formats, faults of files with exit codes and messages, results on disk."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from lightning_modules.score import main

LA_2019 = [("LA_1", "-", "bonafide", 2.0), ("LA_2", "-", "bonafide", 0.5), ("LA_3", "A07", "spoof", 1.0)]
LA_2019 += [("LA_4", "A07", "spoof", -1.0), ("LA_5", "A08", "spoof", -2.0), ("LA_6", "A08", "spoof", -1.6e-1)]
ASV = [("bonafide", "target", x) for x in (1, 2, 3, 4)] + [
    ("bonafide", "nontarget", x) for x in (0, 0.5, 2.5)
]
ASV += [("A07", "spoof", 3), ("A07", "spoof", 0), ("A08", "spoof", 4)]


@pytest.fixture
def files(tmp_path):
    """Writes a tiny 2019 partition and returns the command's arguments."""
    write(tmp_path / "protocol.txt", [f"S {key} - {attack} {label}" for key, attack, label, _ in LA_2019])
    write(tmp_path / "scores.txt", [f"{key} {score}" for key, *_, score in reversed(LA_2019)])
    write(tmp_path / "asv.txt", [f"{source} {kind} {score}" for source, kind, score in ASV])
    arguments = ["--scores", tmp_path / "scores.txt", "--protocol", tmp_path / "protocol.txt"]
    return [str(each) for each in (*arguments, "--json", tmp_path / "results.json")]


def write(path, lines, *, newline="\n", encoding="utf-8"):
    path.write_bytes(newline.join([*lines, ""]).encode(encoding))


def results(folder):
    return json.loads((folder / "results.json").read_text())["results"]


def test_results_derived_by_hand(files, tmp_path, capsys):
    asv = ["--asv-scores", str(tmp_path / "asv.txt"), "--csv", str(tmp_path / "results.csv")]
    assert main([*files, *asv, "--bootstrap", "20"]) == 0
    pooled, a07, a08 = results(tmp_path)
    # (miss, false alarm) is (0, 1/4) after LA_5, LA_4, LA_6 and (1/2, 1/4) after LA_2: the first counts
    assert pooled["eer"] == 0.125
    assert (pooled["num_bonafide"], pooled["num_spoof"]) == (2, 4)
    assert (a07["condition"], a07["eer"]) == ({"attack": "A07"}, 0.5)
    assert (a08["condition"], a08["eer"], a08["min_tdcf"]) == ({"attack": "A08"}, 0, 0)
    assert pooled["min_tdcf"] > 0
    printed = capsys.readouterr().out
    assert "12.5000" in printed
    assert "t-DCF 2019" in printed
    assert "95 % interval" in printed
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["attack"] for row in rows] == ["", "A07", "A08"]
    assert float(rows[0]["eer"]) == 0.125


def test_rule_of_the_eer(files, tmp_path, capsys):
    write(tmp_path / "scores.txt", [f"{key} {round(score)}" for key, *_, score in LA_2019])
    found = {}
    for rule in (None, "asvspoof", "interpolated"):
        assert main([*files, *(["--eer", rule] if rule else []), "--bootstrap", "5"]) == 0
        found[rule] = results(tmp_path)[0]["eer"]
    # rounded, LA_2 (bona fide) ties with LA_6: rejected first, miss and false alarm rate are (1/2, 1/2) after it; with
    # one threshold for both, the line from (0, 1/2) to (1/2, 1/4) meets their equality at 1/3
    assert found == {None: 0.5, "asvspoof": 0.5, "interpolated": pytest.approx(1 / 3, abs=1e-15)}
    assert "EER interpolated" in capsys.readouterr().out


def test_without_asv_scores_tdcf_is_left_out(files, tmp_path):
    assert main(files) == 0
    assert all(each["min_tdcf"] is None for each in results(tmp_path))


@pytest.mark.parametrize("dialect", ["bom_crlf", "with_keys", "tsv", "blank_lines"])
def test_formats_of_score_files_agree(files, tmp_path, dialect):
    assert main(files) == 0
    expected = results(tmp_path)
    path = tmp_path / "scores.txt"
    plain = [f"{key} {score}" for key, *_, score in LA_2019]
    if dialect == "bom_crlf":
        write(path, plain, newline="\r\n", encoding="utf-8-sig")
        protocol = tmp_path / "protocol.txt"
        write(protocol, protocol.read_text().splitlines(), newline="\r\n", encoding="utf-8-sig")
    elif dialect == "with_keys":
        write(path, [f"{key} {attack} {label} {score}" for key, attack, label, score in LA_2019])
    elif dialect == "tsv":
        write(path, ["filename\tcm-score", *(line.replace(" ", "\t") for line in plain)])
    else:
        write(path, ["", *plain, "", ""])
    assert main(files) == 0
    assert results(tmp_path) == expected


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("scores.txt", "LA_3 1.0\n", "", "no score for LA_3 and 0 others of"),
        ("scores.txt", "LA_3 1.0\n", "LA_3 1.0\nLA_3 1.0\n", "scores.txt:5: LA_3 comes a second time"),
        ("scores.txt", "LA_3 1.0\n", "LA_3 1.0\nLA_9 1.0\n", "scores.txt:5: LA_9 and 0 others are not in"),
        ("scores.txt", "LA_3 1.0", "LA_3 high", "scores.txt:4: score 'high' of LA_3 is not a finite number"),
        ("scores.txt", "LA_3 1.0", "LA_3 nan", "scores.txt:4: score 'nan' of LA_3"),
        ("scores.txt", "LA_3 1.0", "LA_3 inf", "scores.txt:4: score 'inf' of LA_3"),
        ("scores.txt", "LA_3 1.0", "\n\nLA_3 x", "scores.txt:6: score 'x' of LA_3"),
        ("scores.txt", "LA_3 1.0", "LA_3 1.0 0", "scores.txt:4: 3 columns, expected 2"),
        (
            "scores.txt",
            "LA_6 -0.16",
            "LA_6,-0.16",
            "scores.txt:2: 1 columns, expected 2 as in the first line",
        ),
        ("scores.txt", "LA_6 -0.16", "LA_6", "scores.txt:1: 1 columns; expected 'UTT SCORE'"),
        (
            "scores.txt",
            "LA_",
            "7 LA_",
            "scores.txt:1: cannot tell what the columns of '7 LA_6 -0.16' are; begin",
        ),
        (
            "scores.txt",
            "LA_6 -0.16",
            "sound number\nLA_6 -0.16",
            "scores.txt:1: 'sound number' is no score; remove the header, or name its columns filename and cm-score",
        ),
        ("scores.txt", "LA_3", "LA_é", "scores.txt:4: not UTF-8 text"),
        ("scores.txt", None, "", "scores.txt: the file is empty"),
        ("scores.txt", None, "filename\tcm-score\n", "scores.txt: the file has no trials"),
        ("scores.txt", "LA_3", "LA_\0", "scores.txt: no score for LA_3"),
        ("protocol.txt", "A07 spoof", "A07 forged", "protocol.txt:3: label 'forged' of LA_3 is neither"),
        ("protocol.txt", "LA_4 - ", "LA_3 - ", "protocol.txt:4: LA_3 comes a second time"),
        ("protocol.txt", "S LA_1 - -", "S LA_1 -", "protocol.txt:1: 4 columns fit no ASVspoof protocol"),
        ("protocol.txt", "S LA_2 -", "S LA_2", "protocol.txt:2: 4 columns, expected 5"),
        ("protocol.txt", "bonafide", "spoof", "none of the 6 trials is bona fide"),
        ("asv.txt", "A08 spoof 4", "A08 fake 4", "asv.txt:10: key 'fake' is neither 'target'"),
        ("asv.txt", "A08 spoof 4", "A08 spoof x", "asv.txt:10: score 'x' of A08"),
        ("asv.txt", None, "spoof 4\n", "asv.txt:1: expected three columns"),
    ],
)
def test_faulty_files_are_refused(files, tmp_path, capsys, file, old, new, message):
    path = tmp_path / file
    text = path.read_text() if old is None else path.read_text().replace(old, new)
    path.write_bytes((new if old is None else text).encode("latin-1"))
    assert main([*files, "--asv-scores", str(tmp_path / "asv.txt")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["{}.flac", "{}.wav", "ASVspoof2019_LA_eval/flac/{}.flac"])
def test_names_of_files_are_taken_for_utterances_in_one_line(files, tmp_path, capsys, name):
    assert main(files) == 0
    expected = results(tmp_path)
    capsys.readouterr()
    write(tmp_path / "scores.txt", [f"{name.format(key)} {score}" for key, *_, score in LA_2019])
    assert main(files) == 0
    assert results(tmp_path) == expected
    (told,) = capsys.readouterr().err.splitlines()
    assert told.endswith(f"{name.format('LA_1')} is taken for LA_1, as are all others")


def test_contradicting_keys_are_refused(files, tmp_path, capsys):
    lines = [f"{key} {attack} bonafide {score}" for key, attack, _, score in LA_2019]
    write(tmp_path / "scores.txt", lines)
    assert main(files) == 1
    assert "scores.txt:3: key 'bonafide' of LA_3, but" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing.txt", "LA-C012-eval.npy"])
def test_asv_scores_that_cannot_be_used(files, capsys, name):
    assert main([*files, "--asv-scores", name]) == 1
    expected = "no such file" if name == "missing.txt" else "pickled C012 tables can run code"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["target", "nontarget", "spoof"])
def test_asv_scores_without_a_kind_of_trials_are_refused(files, tmp_path, capsys, kind):
    write(tmp_path / "asv.txt", [f"{source} {each} {score}" for source, each, score in ASV if each != kind])
    assert main([*files, "--asv-scores", str(tmp_path / "asv.txt")]) == 1
    assert f" 0 {kind}" in capsys.readouterr().err


def test_undefined_intervals_are_null(files, tmp_path):
    rejected = [f"{source} {kind} {score - 9 * (kind == 'spoof')}" for source, kind, score in ASV]
    write(tmp_path / "asv.txt", rejected)
    assert main([*files, "--asv-scores", str(tmp_path / "asv.txt"), "--bootstrap", "2"]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["intervals_95"]["min_tdcf"] is None


def test_inverted_scores_are_noticed(files, tmp_path, capsys):
    write(tmp_path / "scores.txt", [f"{key} {-score}" for key, *_, score in LA_2019])
    assert main(files) == 0
    assert "the scores look inverted" in capsys.readouterr().out


def write_2021(folder):
    """Six trials of eval and two of progress, as in trial_metadata.txt, with an ASV folder."""
    rows = [("none", "bonafide"), ("none", "A07"), ("alaw", "bonafide"), ("alaw", "A07"), ("alaw", "A08")]
    rows += [("none", "A08")]
    lines = [
        f"S E_{number} {codec} - {attack} {'bonafide' if attack == 'bonafide' else 'spoof'} notrim eval"
        for number, (codec, attack) in enumerate(rows)
    ]
    lines += ["S P_0 none - bonafide bonafide notrim progress", "S P_1 none - A07 spoof notrim progress"]
    write(folder / "protocol.txt", lines)
    write(folder / "scores.txt", [f"E_{number} {score}" for number, score in enumerate([3, 1, 2, 4, 0, -1])])
    kinds = ["target", "nontarget", "spoof"] * 8
    asv = [
        f"S T_{row} {'none' if row % 2 else 'alaw'} - A07 {kind} notrim eval"
        for row, kind in enumerate(kinds)
    ]
    (folder / "ASV/ASVTorch_Kaldi").mkdir(parents=True)
    write(folder / "ASV/trial_metadata.txt", asv)
    scores = [f"S T_{row} {row % 3 + row / 10}" for row in range(len(kinds))]
    write(folder / "ASV/ASVTorch_Kaldi/score.txt", scores)


def test_2021_subset_codecs_and_asv_folder(files, tmp_path, capsys):
    write_2021(tmp_path)
    asv = tmp_path / "ASV"
    assert main([*files, "--asv-scores", str(asv)]) == 0  # without a line for the progress subset
    found = {tuple(each["condition"].values()): each for each in results(tmp_path)}
    assert set(found) >= {(), ("A07",), ("A08",), ("alaw",), ("none",), ("A07", "alaw"), ("A08", "none")}
    assert (found["alaw",]["num_bonafide"], found["alaw",]["num_spoof"]) == (1, 2)
    assert (found["A07",]["num_bonafide"], found["A07",]["num_spoof"]) == (2, 2)
    assert found["A08",]["min_tdcf"] is None, "no ASV trial of A08"
    assert found["A07",]["min_tdcf"] is not None
    assert "t-DCF 2021" in capsys.readouterr().out
    assert main([*files, "--subset", "progress"]) == 1
    assert "no score for P_0 and 1 others" in capsys.readouterr().err
    write(tmp_path / "scores.txt", [*(tmp_path / "scores.txt").read_text().splitlines(), "P_0 3.5", "P_1 -2"])
    assert main([*files, "--asv-scores", str(asv), "--subset", "all"]) == 0
    assert (results(tmp_path)[0]["num_bonafide"], results(tmp_path)[0]["num_spoof"]) == (3, 5)
    write(asv / "ASVTorch_Kaldi/score.txt", ["S T_1 0.5"])
    assert main([*files, "--asv-scores", str(asv)]) == 1
    assert "score.txt:1: trial S T_1, but" in capsys.readouterr().err


def write_asv_folder(folder, columns):
    """ASV scores of 2021 with these columns between the utterance and the key, and behind it."""
    kinds = ["target", "nontarget", "spoof"]
    (folder / "ASV").mkdir()
    write(folder / "ASV/trial_metadata.txt", [columns.format(row, kind) for row, kind in enumerate(kinds)])
    write(folder / "ASV/score.txt", [f"S T_{row} {row}" for row in range(3)])
    return str(folder / "ASV")


def test_asv_scores_of_other_data_are_never_scored(files, tmp_path, capsys):
    dev = [f"{source.replace('7', '1').replace('8', '2')} {kind} {score}" for source, kind, score in ASV]
    write(tmp_path / "asv.txt", dev)
    assert main([*files, "--asv-scores", str(tmp_path / "asv.txt")]) == 1
    message = "ASV scores of the attacks A01 to A02, but the trials are of A07 to A08; give those of the same partition"
    assert message in capsys.readouterr().err
    of_pa = write_asv_folder(tmp_path, "S T_{} R1 M1 d2 r1 m1 s2 c2 {} notrim eval")
    assert main([*files, "--asv-scores", of_pa]) == 1
    error = capsys.readouterr().err
    assert "ASV/trial_metadata.txt: ASV scores of ASVspoof 2021 PA, but" in error
    assert "protocol.txt is of ASVspoof 2019; give its own, or drop --asv-scores" in error
    assert not (tmp_path / "results.json").exists()


def test_asv_scores_of_2019_are_none_of_2021(files, tmp_path, capsys):
    write_2021(tmp_path)
    assert main([*files, "--asv-scores", str(tmp_path / "asv.txt")]) == 1
    assert "asv.txt: ASV scores of ASVspoof 2019, but" in capsys.readouterr().err


def test_a_score_file_of_another_key_is_refused(files, tmp_path, capsys):
    write(tmp_path / "scores.txt", [f"DF_E_{row} {row}" for row in range(6)])
    assert main(files) == 1
    assert "scores.txt: no score for LA_1 and 5 others of" in capsys.readouterr().err


def test_subset_of_another_edition_is_refused(files, capsys):
    assert main([*files, "--subset", "progress"]) == 1
    assert "drop --subset progress" in capsys.readouterr().err


@pytest.mark.parametrize("header", [True, False])
def test_asvspoof5_protocols(files, tmp_path, header):
    trials = [(key, attack, label) for key, attack, label, _ in LA_2019]
    if header:
        lines = ["filename\tcm-label", *(f"{key}\t{label}" for key, _, label in trials)]
    else:
        lines = [f"S {key} F - - - AC1 {attack} {label} -" for key, attack, label in trials]
    write(tmp_path / "protocol.txt", lines)
    assert main(files) == 0
    conditions = [each["condition"] for each in results(tmp_path)]
    assert conditions == ([{}] if header else [{}, {"attack": "A07"}, {"attack": "A08"}])
    assert results(tmp_path)[0]["eer"] == 0.125


def test_wrong_use_exits_2_and_help_shows_an_example(files, capsys):
    for arguments in ([], [*files, "--tdcf", "2020"], [*files, "--bootstrap", "-1"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "python -m lightning_modules.score --scores" in capsys.readouterr().out


def test_command_is_light_and_large_files_take_seconds(files, tmp_path):
    size = 200_000
    rng = np.random.default_rng(0)
    bonafide = rng.random(size) < 0.1
    scores = (rng.normal(size=size) + 3 * bonafide).tolist()
    labels = ["- bonafide" if each else "A07 spoof" for each in bonafide]
    write(tmp_path / "protocol.txt", [f"S U_{row} - {label}" for row, label in enumerate(labels)])
    write(tmp_path / "scores.txt", [f"U_{row} {score}" for row, score in enumerate(scores)])
    code = (
        "import sys, time; from lightning_modules.score import main; start = time.process_time();"
        "code = main(sys.argv[1:]); assert time.process_time() - start < 15;"
        "assert not {'lightning', 'torchaudio', 'torchmetrics'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert results(tmp_path)[0]["num_bonafide"] == bonafide.sum()
