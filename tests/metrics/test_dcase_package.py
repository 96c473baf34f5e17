"""The zip that is submitted to DCASE Task 2: what is in it, and what is refused before it is written."""

from zipfile import ZipFile

import pytest

from lightning_modules.submit import main

NAMES = [f"section_00_{number:04d}.wav" for number in range(200)]


@pytest.fixture
def systems(tmp_path):
    """Two systems that score two machines of 2026."""
    for system in "ab":
        (tmp_path / system).mkdir()
        for machine in ("Sander", "ToyDrone"):
            for kind, value in (("anomaly_score", "0.5"), ("decision_result", "1")):
                path = tmp_path / system / f"{kind}_{machine}_section_00_test.csv"
                path.write_text("".join(f"{name},{value}\n" for name in NAMES))
    return tmp_path


def submit(folder, *more, label="Lee_KUL", scores="ab") -> int:
    arguments = ["--year", "2026", "--label", label, "--scores", *(str(folder / name) for name in scores)]
    return main([*arguments, "--into", str(folder / "out.zip"), *more])


def test_what_is_in_it(systems, capsys):
    for number, system in enumerate("ab", start=1):
        (systems / f"{system}.yaml").write_text(f"submission:\n  label: Lee_KUL_task2_{number}\n")
    (systems / "report.pdf").write_bytes(b"%PDF-1.7 report")
    more = [
        "--meta",
        *(str(systems / f"{name}.yaml") for name in "ab"),
        "--report",
        str(systems / "report.pdf"),
    ]
    assert submit(systems, *more) == 0
    with ZipFile(systems / "out.zip") as archive:
        names = archive.namelist()
        folder = "Lee_KUL/task2/Lee_KUL_task2_2"
        score = archive.read(f"{folder}/anomaly_score_Sander_section_00_test.csv").decode()
        assert archive.read(f"{folder}/Lee_KUL_task2_2.meta.yaml") == (systems / "b.yaml").read_bytes()
        assert archive.read("Lee_KUL/task2/Lee_KUL_task2_1.technical_report.pdf") == b"%PDF-1.7 report"
    assert len(names) == 2 * (4 + 1) + 1
    assert score.splitlines()[199] == "section_00_0199.wav,0.5"
    assert f"{folder}/decision_result_ToyDrone_section_00_test.csv" in names
    printed = capsys.readouterr().out
    assert (
        "warning: no scores of BlowerDustCollector, SewingMachine, ToothBrush, which 2026 evaluates"
        in printed
    )
    assert "asks for" not in printed


def test_meta_data_and_report_may_come_later(systems, capsys):
    assert submit(systems, scores="a") == 0
    assert "warning: the challenge asks for --meta and --report too" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "b/anomaly_score_Sander_section_00_test.csv",
            "_0007.wav,0.5",
            "_0007.wav,nan",
            ":8: score 'nan' of section_00",
        ),
        (
            "b/decision_result_Sander_section_00_test.csv",
            "_0007.wav,1",
            "_0007.wav,0.4",
            ":8: decision of section_00_0007",
        ),
        (
            "b/decision_result_Sander_section_00_test.csv",
            "_0007.wav,1",
            "_0700.wav,1",
            "decides on other clips than",
        ),
        (
            "a/anomaly_score_Sander_section_00_test.csv",
            "section_00_0000",
            "section_00_source_test_normal_0000",
            ":1: section_00_source_test_normal_0000.wav tells its label, as no clip to be submitted does",
        ),
        (
            "a/anomaly_score_Sander_section_00_test.csv",
            "section_00_0000",
            "id_00_0",
            ":1: 'id_00_0.wav' is no clip of",
        ),
    ],
)
def test_a_wrong_file_is_named(systems, capsys, file, old, new, message):
    path = systems / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert submit(systems) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (systems / "out.zip").exists()


def test_systems_of_other_clips_are_refused(systems, capsys):
    for path in (systems / "b").glob("*ToyDrone*"):
        path.unlink()
    assert submit(systems) == 1
    assert "b: scores other clips than " in (error := capsys.readouterr().err)
    assert "ToyDrone section_00 is in one alone" in error
    for path in (systems / "b").iterdir():
        path.unlink()
    assert submit(systems) == 1
    assert "no anomaly_score_<machine>_<section>_test.csv in it; test writes them" in capsys.readouterr().err


def test_labels_numbers_meta_data_and_reports_are_checked(systems, capsys):
    assert submit(systems, label="Lee KUL") == 1
    assert "label 'Lee KUL': expected LASTNAME_INSTITUTE" in capsys.readouterr().err
    assert submit(systems, scores="ababa") == 1
    assert "5 systems: a team submits one to 4" in capsys.readouterr().err
    (systems / "m.yaml").write_text("submission: {label: Lee_KUL_task2_2}\n")
    assert submit(systems, "--meta", str(systems / "m.yaml"), scores="a") == 1
    assert (
        "m.yaml: submission.label is 'Lee_KUL_task2_2', expected Lee_KUL_task2_1" in capsys.readouterr().err
    )
    assert submit(systems, "--report", str(systems / "m.yaml")) == 1
    assert "m.yaml: no PDF" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        submit(systems, "--meta", str(systems / "m.yaml"))
    assert "--meta: 1 files for 2 systems: name one for each" in capsys.readouterr().err
