"""The check of a data set finds what is wrong, and only that."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
