"""The check of a data set finds what is wrong, and only that."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from bad_files import BAD, GOOD, write_folder

from datamodules.check import main


@pytest.fixture
def corpus(demo_corpus, tmp_path) -> Path:
    return Path(shutil.copytree(demo_corpus, tmp_path / "LA"))


def _config(folder: Path, root: Path, **extra) -> str:
    path = folder / "experiment.yaml"
    section = {
        "class_path": "datamodules.ssd.asvspoof.ASVspoof",
        "init_args": {"root": "${run.root}", **extra},
    }
    path.write_text(
        yaml.safe_dump({"run": {"root": str(root)}, "trainer": {"max_epochs": 1}, "data": section})
    )
    return str(path)


def test_sound_corpus_passes(demo_corpus, tmp_path, capsys) -> None:
    report = tmp_path / "report.json"
    assert main(["--config", _config(tmp_path, demo_corpus), "--json", str(report)]) == 0
    splits = json.loads(report.read_text())["splits"]
    assert splits["train"]["classes"] == {"bonafide": 28, "spoof": 32}
    assert splits["test"]["sample_rates"] == {"16000": 80}
    assert 80 < splits["test"]["seconds"]["total"] < 160
    assert len({split["sha256"] for split in splits.values()}) == 3
    output = capsys.readouterr().out
    assert "ok" in output
    assert splits["train"]["sha256"] in output
    assert "train: 60 clips, bonafide x 28, spoof x 32" in output


def _files(corpus: Path, part: str) -> list[Path]:
    return sorted((corpus / f"ASVspoof2019_LA_{part}" / "flac").iterdir())


def test_every_fault_is_found(corpus, tmp_path, capsys) -> None:
    train, test = _files(corpus, "train"), _files(corpus, "eval")
    train[0].unlink()
    train[1].write_bytes(b"")
    train[2].write_bytes(train[2].read_bytes()[:5000])
    shutil.copy(train[3], test[0])
    protocol = corpus / "ASVspoof2019_LA_cm_protocols" / "ASVspoof2019.LA.cm.dev.trl.txt"
    protocol.write_text(protocol.read_text().replace("bonafide", "real", 1))
    report = tmp_path / "report.json"
    assert main(["--config", _config(tmp_path, corpus), "--json", str(report)]) == 1
    content = json.loads(report.read_text())
    problems = content["splits"]["train"]["problems"]
    assert len(problems) == 3
    assert f"{train[0]}: no such file" in problems
    assert any(f"{train[1]}: is empty" in problem for problem in problems)
    assert any(str(train[2]) in problem for problem in problems)
    (problem,) = content["splits"]["validation"]["problems"]
    assert f"{protocol}:" in problem
    assert content["splits"]["test"]["problems"] == []
    assert content["leaks"] == [f"{test[0]} (test) sounds exactly like {train[3]} (train)"]
    assert "something is wrong" in capsys.readouterr().out


def test_id_in_two_splits_is_a_leak(corpus, tmp_path) -> None:
    protocols = corpus / "ASVspoof2019_LA_cm_protocols"
    line = (protocols / "ASVspoof2019.LA.cm.train.trn.txt").read_text().splitlines()[0]
    with (protocols / "ASVspoof2019.LA.cm.eval.trl.txt").open("a") as file:
        file.write(line + "\n")
    shutil.copy(
        corpus / f"ASVspoof2019_LA_train/flac/{line.split()[1]}.flac", corpus / "ASVspoof2019_LA_eval/flac"
    )
    report = tmp_path / "report.json"
    assert main(["--config", _config(tmp_path, corpus), "--json", str(report)]) == 1
    leaks = json.loads(report.read_text())["leaks"]
    assert f"id {line.split()[1]} is in train and in test" in leaks


def test_overrides_replace_the_config(demo_corpus, tmp_path, capsys) -> None:
    config = _config(tmp_path, tmp_path / "nowhere")
    assert main(["--config", config]) == 1
    assert main(["--config", config, "--data.root", str(demo_corpus)]) == 0
    assert main(["--config", config, f"--data.init_args.root={demo_corpus}"]) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("trainer: {}", "no configuration: give --config FILE"),
        ("data: {class_path: datamodules.nothing.Nothing}", "data: datamodules has no nothing"),
        ("data: {class_path: datamodules.ssd.asvspoof.ASVspoof, init_args: {rot: x}}", "rot"),
        (
            "data: {class_path: datamodules.EffectPairs}",
            "data: EffectPairs is no ClipDataModule: name one of ASVspoof, AudioFolder, ",
        ),
        ("data: {class_path: datamodules.ssd.asvspoof.ASVspoof, init_args: {root: '${unknown}'}}", "unknown"),
    ],
)
def test_faulty_config_is_wrong_use(content, message, tmp_path, capsys) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(SystemExit, match="2"):
        main(["--config", str(path)])
    assert message in capsys.readouterr().err


def test_command_runs_without_lightning_modules(demo_corpus, tmp_path) -> None:
    config = _config(tmp_path, demo_corpus)
    code = (
        "import sys; from datamodules.check import main; status = main(['--config', sys.argv[1]]);"
        "assert not any(name.startswith('lightning_modules') for name in sys.modules); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, config], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def listed(tmp_path):
    """Writes sounds and a list of them; returns the report of the check, and its exit code."""

    def check(rows, sounds, *words):
        for name, (samples, rate) in sounds.items():
            soundfile.write(tmp_path / name, samples, rate)
        (tmp_path / "list.csv").write_text("\n".join(["path,label,split,speaker", *rows]) + "\n")
        config, report = tmp_path / "own.yaml", tmp_path / "report.json"
        init_args = {"root": str(tmp_path), "list": "list.csv"}
        config.write_text(
            yaml.safe_dump({"data": {"class_path": "datamodules.ClipList", "init_args": init_args}})
        )
        code = main(["--config", str(config), "--json", str(report), *words])
        return json.loads(report.read_text()), code

    return check


def _noise(seed, rate=8000):
    return 0.1 * np.random.default_rng(seed).normal(size=rate // 4), rate


ROWS = ["a.wav,x,train,p1", "b.wav,y,train,p2", "c.wav,x,val,p1", "d.wav,y,test,p3", "e.wav,y,test,p2"]
FIVE = {f"{name}.wav": _noise(number) for number, name in enumerate("abcde")}


def test_speakers_of_two_splits_are_noted(listed) -> None:
    report, code = listed(ROWS, FIVE)
    assert (code, report["ok"]) == (0, True)
    notes = {name: split["notes"] for name, split in report["splits"].items()}
    assert notes == {
        "train": [],
        "validation": ["speaker p1 of validation is in train too: figures may be too good"],
        "test": ["speaker p2 of test is in train too: figures may be too good"],
    }
    assert report["splits"]["test"]["odd"] == {}


def test_equal_sounds_are_told_and_of_two_classes_a_problem(listed) -> None:
    report, code = listed([*ROWS, "f.wav,y,test,p9"], FIVE | {"f.wav": FIVE["d.wav"]})
    (line,) = report["splits"]["test"]["odd"]["twice"]
    assert line.endswith("/f.wav: sounds exactly like " + line.partition(": ")[0].replace("f.wav", "d.wav"))
    assert code == 0
    report, code = listed([*ROWS, "f.wav,x,test,p9"], FIVE | {"f.wav": FIVE["d.wav"]})
    (problem,) = report["splits"]["test"]["problems"]
    assert "/f.wav: sounds exactly like " in problem
    assert problem.endswith("/d.wav, and is x where that is y")
    assert code == 1


def test_odd_rates_are_told_and_those_that_give_classes_away(listed, capsys) -> None:
    report, _ = listed([*ROWS, "f.wav,y,test,p9"], FIVE | {"e.wav": _noise(9, 11025)})
    (line,) = report["splits"]["test"]["odd"]["rate"]
    assert line.endswith("/e.wav: 11025 Hz, where most files have 8000")
    assert report["splits"]["test"]["notes"][0].startswith("speaker p2")
    assert "  rate: " in capsys.readouterr().out
    report, _ = listed(ROWS, FIVE | {"b.wav": _noise(9, 11025)})
    assert report["splits"]["train"]["notes"] == [
        "the sample rate alone tells the classes apart (x 8000 Hz; y 11025 Hz): figures may be too good"
    ]


def test_a_missing_file_of_a_list_is_told_with_its_row_and_can_be_excluded(listed, tmp_path) -> None:
    report, code = listed([*ROWS, "gone.wav,y,test,p9"], FIVE, "--exclude", str(tmp_path / "excluded.csv"))
    assert report["splits"]["test"]["problems"] == [
        f"{tmp_path}/list.csv:7: {tmp_path}/gone.wav: no such file"
    ]
    assert code == 1
    assert (tmp_path / "excluded.csv").read_text() == "key,reason\ngone.wav,no such file\n"
    report, code = listed([*ROWS, "gone.wav,y,test,p9"], FIVE)
    assert (code, report["splits"]["test"]["left_out"]) == (0, {"gone.wav": "no such file"})


def test_a_clip_that_begins_behind_the_end_of_its_file_is_told_and_can_be_excluded(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", *_noise(0))
    (tmp_path / "list.csv").write_text("path,label,start,end\na.wav,x,0,0.2\na.wav,y,0.25,0.5\n")
    report, excluded = tmp_path / "report.json", tmp_path / "excluded.csv"
    data = ["--data=ClipList", f"--data.root={tmp_path}", "--data.list=list.csv", "--data.validation=0"]
    words = [*data, "--data.test=0", "--json", str(report), "--exclude", str(excluded)]
    assert main(words) == 1
    assert json.loads(report.read_text())["splits"]["train"]["problems"] == [
        f"{tmp_path}/list.csv:3: {tmp_path}/a.wav: clip a.wav@0.25-0.5 begins at 0.25 s, and its file lasts 0.25 s"
    ]
    assert main(words) == 0
    assert json.loads(report.read_text())["splits"]["train"]["left_out"].keys() == {"a.wav@0.25-0.5"}


def test_all_of_two_hundred_files_are_handled_and_the_twenty_bad_ones_named(tmp_path, capsys) -> None:
    bad = write_folder(tmp_path / "sounds")
    init_args = {
        "root": str(tmp_path / "sounds"),
        "folders": ["-"],
        "label": "hit",
        "validation": 0,
        "test": 0,
    }
    data = {"class_path": "datamodules.ClipList", "init_args": init_args}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"data": data}))
    report = tmp_path / "report.json"
    assert main(["--config", str(tmp_path / "own.yaml"), "--json", str(report)]) == 1
    found = json.loads(report.read_text())["splits"]["train"]
    odd = {kind: lines for kind, lines in found["odd"].items() if kind != "twice"}  # at 16 bit some are alike
    lines = [*found["problems"], *found["left_out"], *(line for kind in odd.values() for line in kind)]
    named = {
        name
        for name in bad
        if any(line.removeprefix(f"{tmp_path}/sounds/").startswith(name) for line in lines)
    }
    assert named == set(bad)
    assert len({line.partition(": ")[0].removeprefix(f"{tmp_path}/sounds/") for line in lines}) == BAD
    assert sum(found["sample_rates"].values()) == GOOD + BAD - len(found["faulty"]) - len(found["left_out"])
    output = capsys.readouterr().out
    assert all(f"  {kind}: " in output for kind in ("problem", "left out", "silent", "short", "anti-phase"))
