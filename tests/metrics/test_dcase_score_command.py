"""The score command on DCASE submissions: files of all years, faults with their messages, results on disk."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_modules.metrics.dcase_files import parse_file_name
from lightning_modules.metrics.dcase_means import FigureRow, all_means, summarise
from lightning_modules.score import main

SCORES = [0.9, 0.2, 0.7, 0.4, 0.8, 0.1, 0.3, 0.6]  # of clips 0 to 7
LABELS = [1, 0, 1, 0, 1, 0, 1, 0]
DOMAINS = [0, 0, 0, 0, 1, 1, 1, 1]


def write(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    """A submission of 2023 with ground truth in the evaluator's folders: two machines of eight clips."""
    for machine in ("fan", "Toy"):
        names = [f"section_00_{number:04}.wav" for number in range(8)]
        end = f"{machine}_section_00_test.csv"
        write(tmp_path / f"team/anomaly_score_{end}", reversed(list(zip(names, SCORES, strict=True))))
        decisions = ["1.0" if score > 0.5 else "0" for score in SCORES]
        write(tmp_path / f"team/decision_result_{end}", zip(names, decisions, strict=True))
        write(tmp_path / f"truth/ground_truth_data/ground_truth_{end}", zip(names, LABELS, strict=True))
        write(tmp_path / f"truth/ground_truth_domain/ground_truth_{end}", zip(names, DOMAINS, strict=True))
    return tmp_path


def score(folder: Path, *more: str, truth: str | None = "truth") -> tuple[int, dict]:
    given = ["--ground-truth", str(folder / truth)] if truth else []
    target = folder / "results.json"
    code = main(["--scores", str(folder / "team"), *given, "--json", str(target), *more])
    return code, json.loads(target.read_text()) if target.exists() else {}


def test_results_derived_by_hand(folder, capsys):
    code, results = score(folder, "--csv", str(folder / "rows.csv"))
    assert code == 0
    source, target = results["rows"][:2]
    # anomalies .9 .7 .8 .3 against the normal clips .2 .4 of source and .1 .6 of target
    assert (source["auc"], target["auc"], source["auc_all"]) == (7 / 8, 7 / 8, 14 / 16)
    assert (source["precision"], source["recall"]) == (1, 1)
    assert (target["precision"], target["recall"], target["f1"]) == (0.5, 0.5, 0.5)
    assert results["summary"]["auc"] == 0.875
    assert [row["machine"] for row in results["rows"]] == ["Toy", "Toy", "fan", "fan"]
    printed = capsys.readouterr().out
    assert "rules of 2022 and later" in printed
    assert "87.50" in printed
    assert "official_score" in printed
    with (folder / "rows.csv").open() as file:
        assert float(next(csv.DictReader(file))["auc"]) == 0.875


@pytest.mark.parametrize("dialect", ["data_folder", "list", "baseline_names", "bom_crlf"])
def test_forms_of_files_agree(folder, dialect):
    expected = score(folder)[1]["summary"]
    truth = "truth"
    if dialect == "data_folder":
        truth = "truth/ground_truth_data"
    elif dialect == "list":
        rows = []
        for machine in ("fan", "Toy"):
            rows += [[machine]]
            for number, (label, domain) in enumerate(zip(LABELS, DOMAINS, strict=True)):
                place, kind = ("source", "target")[domain], ("normal", "anomaly")[label]
                rows += [
                    [f"section_00_{number:04}.wav", f"section_00_{place}_{kind}_{99 - number:04}_vel_2.wav"]
                ]
        truth = "eval_data_list.csv"
        write(folder / truth, rows)
    elif dialect == "baseline_names":
        for path in list((folder / "team").iterdir()):
            prefix, what, rest = path.stem.split("_", 2)
            path.rename(path.with_name(f"{prefix}_{what}_DCASE2024T2{rest}_seed13711_id(0_)_Eval.csv"))
    else:
        for path in (folder / "team").iterdir():
            path.write_text("\r\n" + path.read_text().replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    code, results = score(folder, truth=truth)
    assert (code, results["summary"]) == (0, expected)


@pytest.mark.parametrize("truth", ["evaluator", "list"])
def test_original_names_as_the_baseline_scores_them(folder, truth, capsys):
    expected = score(folder)[1]["summary"]
    names = [
        f"section_00_{('source', 'target')[domain]}_test_{('normal', 'anomaly')[label]}_{99 - number:04}_vel_2"
        for number, (label, domain) in enumerate(zip(LABELS, DOMAINS, strict=True))
    ]
    hidden = [f"section_00_{number:04}.wav" for number in range(8)]
    for machine in ("fan", "Toy"):
        attributes = f"truth/ground_truth_attributes/ground_truth_{machine}_section_00_test.csv"
        write(folder / attributes, [(*pair, "more.wav") for pair in zip(hidden, names, strict=True)])
    if truth == "list":
        rows = [(number, f"{name}.wav") for number, name in zip(hidden, names, strict=True)]
        write(folder / "list.csv", [["fan"], *rows, ["Toy"], *rows])
    for path in (folder / "team").iterdir():
        text = path.read_text()
        for number, name in zip(hidden, names, strict=True):
            text = text.replace(number, f"{name}.wav")
        path.write_text(text)
    code, results = score(folder, truth="list.csv" if truth == "list" else "truth")
    assert (code, results["summary"]) == (0, expected)
    with (folder / TEAM).open("a") as file:
        file.write("section_00_0003.wav,0.4\n")
    (folder / DECISIONS).write_text((folder / DECISIONS).read_text() + "section_00_0003.wav,0\n")
    assert score(folder, truth="list.csv" if truth == "list" else "truth")[0] == 1
    assert "fan/section_00_0003 already has a score" in capsys.readouterr().err


def test_2020_with_its_list(folder):
    names = [f"id_01_{number:08}.wav" for number in range(8)]
    originals = [f"{('normal', 'anomaly')[label]}_id_01_{7:08}.wav" for label in LABELS]
    write(folder / "list.csv", [["pump"], *zip(names, originals, LABELS, strict=True)])
    for path in (folder / "team").iterdir():
        path.unlink()
    write(folder / "team/anomaly_score_pump_id_01.csv", zip(names, SCORES, strict=True))
    code, results = score(folder, truth="list.csv")
    assert code == 0
    assert results["summary"]["auc"] == 0.875
    assert "precision" not in results["summary"]
    assert "official_score" not in results["summary"]


def test_2021_and_labels_in_names(folder):
    for path in (folder / "team").iterdir():
        path.unlink()
    for domain, numbers in (("source", range(4)), ("target", range(4, 8))):
        rows = [
            (
                f"section_00_{domain}_test_{('normal', 'anomaly')[LABELS[row]]}_{row:04}_strength_1.wav",
                SCORES[row],
            )
            for row in numbers
        ]
        write(folder / f"team/anomaly_score_fan_section_00_{domain}_test.csv", rows)
    code, results = score(folder, truth=None)
    assert code == 0
    assert [row["auc"] for row in results["rows"]] == [1, 0.75], "each domain by itself"
    code, results = score(folder, "--year", "2023", truth=None)
    assert [row["auc"] for row in results["rows"]] == [0.875, 0.875], "all anomalies meet each domain"


def test_undefined_figures_are_reported(folder, capsys):
    write(folder / "truth/ground_truth_data/ground_truth_fan_section_00_test.csv", truth_of([0] * 8))
    code, results = score(folder)
    assert code == 0
    assert results["rows"][2]["auc"] is None
    assert "fan section_00 source: AUC is undefined: none of 4 clips is anomalous" in capsys.readouterr().out


def truth_of(values):
    return [(f"section_00_{number:04}.wav", value) for number, value in enumerate(values)]


TEAM = "team/anomaly_score_fan_section_00_test.csv"
TRUTH = "truth/ground_truth_data/ground_truth_fan_section_00_test.csv"
DECISIONS = "team/decision_result_fan_section_00_test.csv"
DOMAIN = "truth/ground_truth_domain/ground_truth_fan_section_00_test.csv"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            TEAM,
            "0003.wav,0.4\n",
            "0003.wav,0.4\nsection_00_0003.wav,1\n",
            ":6: section_00_0003.wav comes a second",
        ),
        (TEAM, "section_00_0007", "section_00_0009", f"{TEAM}:1: fan/section_00_0009 is not in"),
        (TEAM, "section_00_0007", "section_01_0007", ":1: 'section_01_0007.wav' is no clip of section_00"),
        (TEAM, "0.6", "high", ":1: score 'high' of section_00_0007.wav is not a finite number"),
        (TEAM, "0.6", "nan", ":1: score 'nan' of section_00_0007.wav"),
        (TEAM, "wav,0.6", "wav;0.6", ":1: 1 fields, expected two: 'name.wav,value'"),
        (TEAM, None, "", f"{TEAM}: the file is empty"),
        (TEAM, "section_00_0007", "section_00_\xe9", f"{TEAM}: not UTF-8 text"),
        (
            DECISIONS,
            "0001.wav,0",
            "0001.wav,2",
            ":2: decision of section_00_0001.wav is '2', expected 0 or 1",
        ),
        (
            DECISIONS,
            "section_00_0001.wav,0\n",
            "",
            f"{DECISIONS}: no decision on section_00_0001.wav and 0 others",
        ),
        (
            DECISIONS,
            "_0001",
            "_0011",
            f"{DECISIONS}:2: section_00_0011.wav and 0 others have no score in anomaly_score",
        ),
        (
            TRUTH,
            "0001.wav,0",
            "0001.wav,normal",
            ":2: label of section_00_0001.wav is 'normal', expected 0 or 1",
        ),
        (DOMAIN, "0001.wav,0", "0001.wav,source", ":2: domain of section_00_0001.wav is 'source', expected"),
        (DOMAIN, "_0001", "_0011", f"{DOMAIN}: no domain for section_00_0001.wav and 0 others"),
    ],
)
def test_faulty_files_are_refused(folder, capsys, file, old, new, message):
    path = folder / file
    text = path.read_text()
    assert old is None or old in text
    path.write_bytes((new if old is None else text.replace(old, new, 1)).encode("latin-1"))
    assert score(folder)[0] == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_missing_clips_are_named(folder, capsys):
    for path in (folder / "team").iterdir():
        if "decision" in path.name:
            path.unlink()
        else:
            path.write_text(path.read_text().replace("section_00_0003.wav,0.4\n", ""))
    assert score(folder)[0] == 1
    assert (
        "_Toy_section_00_test.csv: no score for Toy/section_00_0003 and 1 others of"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        (
            [TEAM],
            "team: no anomaly_score_fan_section_00_test.csv: no score for fan/section_00_0000 and 7 others",
        ),
        ([DECISIONS], f"{DECISIONS}: no such file"),
        ([TEAM, TEAM.replace("fan", "Toy")], "team: no anomaly_score_<machine>_<section>_test.csv in it"),
        ([TRUTH, TRUTH.replace("fan", "Toy")], "truth: no ground_truth_<machine>_<section>_test.csv in it"),
    ],
)
def test_missing_files_are_named(folder, capsys, remove, message):
    for name in remove:
        (folder / name).unlink()
    assert score(folder)[0] == 1
    assert message in capsys.readouterr().err


def test_two_systems_in_a_folder_are_refused(folder, capsys):
    scores = (folder / TEAM).read_text()
    for seed in (1, 2):
        (folder / f"team/anomaly_score_DCASE2023T2fan_section_00_test_seed{seed}_Eval.csv").write_text(scores)
    for path in (folder / "team").glob("decision_*"):
        path.unlink()
    assert score(folder)[0] == 1
    assert (
        "seed2_Eval.csv: fan/section_00_0007 already has a score in anomaly_score_DCASE2023T2fan_section_00_test"
        "_seed1_Eval.csv" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["section_00_0000.wav", "section_00_normal_0000.wav"]], ":1: expected the machine's name or"),
        ([["fan"], ["section_00_0000.wav", "section_00_0000.wav"]], ":2: section_00_0000.wav tells no label"),
        (
            [["fan"], *[["section_00_0000.wav", "section_00_normal_0000.wav"]] * 2],
            ":3: fan/section_00_0000 comes a",
        ),
        (
            [["fan"], ["id_01_0.wav", "normal_id_01_0.wav", "2"]],
            ":2: label of id_01_0.wav is '2', expected 0 or 1",
        ),
        (
            [
                ["ToyCar"],
                ["section_03_0004.wav", "section_03_source_test_anomaly_0001.wav"],
                ["ToyTrain"],
                ["section_03_0001.wav", "section_03_source_test_anomaly_0001.wav"],
            ],
            "608 wrong labels",
        ),
    ],
)
def test_faulty_lists_are_refused(folder, capsys, rows, message):
    write(folder / "list.csv", rows)
    assert score(folder, truth="list.csv")[0] == 1
    assert message in capsys.readouterr().err


def test_names_without_labels_ask_for_the_ground_truth(folder, capsys):
    assert score(folder, truth=None)[0] == 1
    assert "section_00_test.csv:1: section_00_0007.wav does not tell" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("anomaly_score_fan_id_00.csv", ("fan", "id_00", "", "")),
        ("anomaly_score_ToyCar_section_03_target_test.csv", ("ToyCar", "section_03", "target", "")),
        ("anomaly_score_3DPrinter_section_00_test.csv", ("3DPrinter", "section_00", "", "")),
        (
            "anomaly_score_DCASE2024T23DPrinter_section_00_test_seed1_Eval.csv",
            ("3DPrinter", "section_00", "", "2024"),
        ),
        ("anomaly_score_own_machine_section_00_test.csv", ("own_machine", "section_00", "", "")),
    ],
)
def test_names_of_files(name, part):
    assert parse_file_name(Path(name), "anomaly_score") == part
    with pytest.raises(ValueError, match="cannot tell machine and section"):
        parse_file_name(Path(name.replace("_id_", "_").replace("_section_", "_")), "anomaly_score")


def test_wrong_use_exits_2(folder, capsys):
    team, file = str(folder / "team"), str(folder / TEAM)
    for arguments, message in (
        (["--scores", team, "--protocol", file], "is a folder: drop --protocol"),
        (["--scores", file, "--protocol", file, "--year", "2023"], "is no folder: drop --year"),
        (["--scores", file], "a score file needs --protocol"),
        (["--scores", team, "--year", "2019"], "invalid choice"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_command_is_light(folder):
    code = (
        "import sys; from lightning_modules.score import main; code = main(sys.argv[1:]);"
        "assert not {'lightning', 'torchaudio', 'torchmetrics'} & set(sys.modules); sys.exit(code)"
    )
    arguments = ["--scores", str(folder / "team"), "--ground-truth", str(folder / "truth")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ["section_00_0000.wav", "section_00_source_test_anomaly_0009.wav", "0"],
            ":2: section_00_0000.wav is section_00, source, normal by the ground truth, and is anomalous by the name"
            " section_00_source_test_anomaly_0009.wav: take",
        ),
        (
            ["section_00_0000.wav", "section_01_source_test_anomaly_0009.wav"],
            "is of section_01 by the name section_01_source_test_anomaly_0009.wav",
        ),
        (
            ["section_00_source_test_0000.wav", "section_00_target_test_anomaly_0000.wav"],
            "is section_00, source, anomalous by the ground truth, and is of the domain target by the name",
        ),
    ],
)
def test_a_list_that_contradicts_the_names_of_clips_is_not_believed(folder, capsys, row, message):
    write(folder / "list.csv", [["fan"], row])
    assert score(folder, truth="list.csv")[0] == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("true_name", "message"),
    [
        (
            "section_00_target_test_normal_0001.wav",
            "is section_00, source, normal by the ground truth, and is of the",
        ),
        (
            "section_00_source_test_anomaly_0001.wav",
            "is anomalous by the name section_00_source_test_anomaly_0001",
        ),
    ],
)
def test_official_domains_and_labels_that_contradict_true_names_are_told(folder, capsys, true_name, message):
    attributes = "truth/ground_truth_attributes/ground_truth_fan_section_00_test.csv"
    write(folder / attributes, [("section_00_0001.wav", "section_00_source_test_normal_0007.wav")])
    assert score(folder)[0] == 0
    write(folder / attributes, [("section_00_0001.wav", true_name)])
    assert score(folder)[0] == 1
    error = capsys.readouterr().err
    assert f"{attributes}:1: section_00_0001.wav is" in error
    assert message in error


def test_scores_of_another_set_are_told_by_their_names(folder, capsys):
    name = "section_00_source_test_anomaly_0000.wav"
    write(folder / "truth/ground_truth_data/ground_truth_fan_section_00_test.csv", [(name, 1)])
    (folder / "truth/ground_truth_domain/ground_truth_fan_section_00_test.csv").unlink()
    assert score(folder)[0] == 1
    capsys.readouterr()
    write(folder / "truth/ground_truth_data/ground_truth_fan_section_00_test.csv", [(name, 0)])
    assert score(folder)[0] == 1
    assert f"{name} is section_00, normal by the ground truth, and is anomalous" in capsys.readouterr().err


def test_a_clip_in_the_file_of_another_domain_is_told(folder, capsys):
    for path in (folder / "team").iterdir():
        path.unlink()
    rows = [(f"section_00_target_test_{label}_0000.wav", 1) for label in ("normal", "anomaly")]
    write(folder / "team/anomaly_score_fan_section_00_source_test.csv", rows)
    assert score(folder, truth=None)[0] == 1
    assert "is of the domain target, and the file of source: move the line" in capsys.readouterr().err


def test_the_official_score_of_the_baseline_of_2026():
    """Figures that the README of the organisers' evaluator prints, from AUC and pAUC of the five machines."""
    auc_source = [0.7126, 0.5902, 0.6484, 0.6948, 0.6714]
    auc_target = [0.468, 0.6434, 0.6142, 0.8838, 0.4402]
    pauc = [
        0.5510526315789473,
        0.5978947368421053,
        0.5810526315789474,
        0.6178947368421053,
        0.5089473684210526,
    ]
    machines = ("ToyDrone", "ToothBrush", "SewingMachine", "BlowerDustCollector", "Sander")
    rows: list[FigureRow] = [
        {"machine": machine, "section": "section_00", "domain": domain, "auc": area, "pauc": partial}
        for machine, *areas, partial in zip(machines, auc_source, auc_target, pauc, strict=True)
        for domain, area in zip(("source", "target"), areas, strict=True)
    ]
    summary = summarise(rows, all_means(rows, year=2026), year=2026)
    assert summary["official_score"] == pytest.approx(0.5980289616592438, rel=0, abs=1e-15)
    assert summary["auc_source"] == pytest.approx(0.6606242657626471, rel=0, abs=1e-15)
    assert summary["auc_target"] == pytest.approx(0.5732431794118468, rel=0, abs=1e-15)
    assert summary["pauc"] == pytest.approx(0.568731371472361, rel=0, abs=1e-15)
