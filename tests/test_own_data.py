"""README, "Your own data": beside folders as it describes, its files and commands lead to result tables."""

import csv
import re
import shlex
import sys
from itertools import cycle
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from datamodules import check
from datamodules.demo.one_shots import write_one_shots
from lightning_modules import fit
from lightning_modules.config import cli
from lightning_modules.metrics.functional import auc, equal_error_rate, partial_auc

REPOSITORY = Path(__file__).parents[1]
(TEXT,) = re.findall(
    r"^## Your own data\n(.*?)^## ", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE
)
FILES = dict(re.findall(r"^```(?:yaml|csv) (\S+)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE))
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for line in block.replace("\\\n", " ").splitlines()
]
FITS = {command[-1]: command[3:] for command in COMMANDS if command[2] == "lightning_modules.fit"}
SPEECH, MACHINE, CLASSES = "speech.yaml", "machine.yaml", "--data.root=samples"
QUICK = [
    "--trainer.accelerator=cpu",
    "--trainer.max_epochs=1",
    "--trainer.enable_progress_bar=false",
    "--tracking.wandb=disabled",
    "--data.num_workers=0",
]
REAL = pytest.param("real", marks=pytest.mark.slow)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def train(monkeypatch, name, *more):
    """Runs the command that ends in `name`; returns the run's folder."""
    monkeypatch.setattr(sys, "argv", ["fit", *FITS[name], *QUICK, *more])
    cli.one_line_errors(fit.main)
    (run,) = Path("runs").glob("*/*")
    return run


def converted(source, path):
    """Writes a sound in the format that the ending of `path` names."""
    samples, rate = soundfile.read(source, dtype="float32")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".m4a":
        soundfile.write(path, samples, rate)
        return
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.asarray(samples[None], np.float32), format="fltp", layout="mono"
        )
        frame.rate = rate
        container.mux([*stream.encode(frame), *stream.encode(None)])


def utterances(root):
    """Split, file, label and system of a few utterances of each system of an ASVspoof 2019 LA corpus."""
    for part, ending, split in (
        ("train", "train.trn", "train"),
        ("dev", "dev.trl", "val"),
        ("eval", "eval.trl", "test"),
    ):
        counts: dict[str, int] = {}
        protocol = root / f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{ending}.txt"
        for line in protocol.read_text().splitlines():
            _, key, _, system, label = line.split()
            counts[system] = counts.get(system, 0) + 1
            if counts[system] <= (12 if label == "bonafide" else 2) // (1 if split == "train" else 2):
                yield split, root / f"ASVspoof2019_LA_{part}/flac/{key}.flac", label, system


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the reader is, with the files of the page."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def corpus(request):
    """A function: the corpus that was made, or the real one."""

    def choose(kind, made, real):
        return request.getfixturevalue(made) if kind == "made" else request.getfixturevalue("corpora") / real

    return choose


def test_an_example_is_of_ten_lines():
    assert set(FITS) == {SPEECH, MACHINE, CLASSES}
    for name, arguments in FITS.items():
        assert len(FILES.get(name, "").splitlines()) + len(arguments) / 2 <= 12


@pytest.mark.parametrize("kind", ["made", REAL])
def test_real_and_fake_speech(kind, place, corpus, monkeypatch, capsys):
    header = (place / "speech/labels.csv").read_text().splitlines()[0].split(",")
    endings, lines = cycle((".wav", ".mp3", ".m4a", ".flac", ".ogg")), []
    for number, (split, source, label, system) in enumerate(
        utterances(corpus(kind, "demo_corpus", "spoof/LA"))
    ):
        name = f"{'studio' if label == 'bonafide' else 'phone'}/{number}{next(endings)}"
        converted(source, place / "speech" / name)
        truth = {"bonafide": "real", "spoof": "fake"}[label]
        lines.append(dict(zip(header, (name, truth, system.strip("-"), split), strict=True)))
    with (place / "speech/labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(lines)
    assert check.main(COMMANDS[0][3:]) == 0
    assert f"train: {sum(line['part'] == 'train' for line in lines)} clips, " in capsys.readouterr().out

    run = train(monkeypatch, SPEECH)
    (result,) = rows(run / "results.csv")
    tested = [line for line in lines if line["part"] == "test"]
    scores = rows(run / "scores/test.csv")
    assert [row["key"] for row in scores] == [line["filename"] for line in tested]
    eer = equal_error_rate(
        [float(row["score"]) for row in scores], [line["truth"] == "real" for line in tested]
    )[0]
    assert float(result["eer"]) == pytest.approx(float(eer), abs=1e-6)
    assert "min_tdcf" not in result
    conditions = [row["condition"] for row in rows(run / "tables/test.csv")]
    assert conditions == ["pooled", *sorted({line["system"] for line in tested} - {""})]


@pytest.mark.parametrize("kind", ["made", REAL])
def test_a_folder_of_normal_sounds_and_a_mixed_one(kind, place, corpus, monkeypatch):
    root = corpus(kind, "demo_machines", "machines")
    machine = sorted(root.rglob("train"))[0].parent
    for folder, pattern in (
        ("good", "train/normal_*"),
        ("mixed/ok", "test/normal_*"),
        ("mixed/worn", "test/anomaly_*"),
    ):
        for number, source in enumerate(sorted(machine.glob(pattern))[:16]):
            converted(source, place / "machine" / folder / f"rec {number}.flac")
    run = train(monkeypatch, MACHINE)
    (result,) = rows(run / "results.csv")
    scores = rows(run / "scores/test.csv")
    values, is_worn = [float(row["score"]) for row in scores], ["/worn/" in row["key"] for row in scores]
    assert float(result["auc"]) == pytest.approx(float(auc(values, is_worn)), abs=1e-6)
    assert float(result["pauc"]) == pytest.approx(float(partial_auc(values, is_worn)), abs=1e-6)
    assert {row["key"].rpartition("/")[0] for row in scores} == {"mixed/ok", "mixed/worn"}
    assert {row["decision"] for row in scores} <= {"0", "1"}
    assert [row["machine"] for row in rows(run / "tables/test.csv")] == ["machine"]


@pytest.fixture(scope="module")
def one_shots(tmp_path_factory):
    root = tmp_path_factory.mktemp("one_shots") / "one_shots"
    write_one_shots(root, num_kits=3, num_hits=3)
    return root


def few_classes(root, target, endings):
    """Copies a dozen sounds of three classes, under names of their own; returns path and class of each."""
    found = []
    folders = [folder for folder in sorted(root.iterdir()) if len(list(folder.glob("*"))) >= 9][:3]
    for folder in folders:
        for number, source in enumerate(sorted(folder.glob("*.*"))[:12]):
            path = target / f"{folder.name} sounds/{number:03d}{next(endings)}"
            converted(source, path)
            found.append((path, folder.name))
    return found


@pytest.mark.parametrize("kind", ["made", REAL])
def test_folders_of_classes(kind, place, corpus, monkeypatch):
    found = few_classes(corpus(kind, "one_shots", "tags"), place / "samples", cycle([".wav"]))
    run = train(monkeypatch, CLASSES)
    (result,) = rows(run / "results.csv")
    classes = sorted({f"{name} sounds" for _, name in found})
    scores = rows(run / "scores/test.csv")
    assert list(scores[0]) == ["key", *classes]
    assert {row["key"].split("/")[0] for row in scores} == set(classes)
    right = [max(classes, key=lambda name: float(row[name])) == row["key"].split("/")[0] for row in scores]
    assert float(result["accuracy"]) == pytest.approx(np.mean(right))
    np.testing.assert_allclose([sum(float(row[name]) for name in classes) for row in scores], 1, atol=1e-5)


@pytest.mark.parametrize("kind", [pytest.param("made", marks=pytest.mark.slow), REAL])
def test_a_list_of_absolute_paths_in_several_formats(kind, place, corpus, monkeypatch):
    source = corpus(kind, "one_shots", "tags")
    found = few_classes(source, place / "far away", cycle([".wav", ".m4a", ".ogg", ".flac", ".mp3"]))
    (place / "list.tsv").write_text(
        "Datei\tKlasse\tKit\n"
        + "".join(f"{path}\t{name}\tkit {n % 12 // 4}\n" for n, (path, name) in enumerate(found))
    )
    monkeypatch.setitem(FITS, "own", [*FITS[CLASSES][:-1], "--data.root=."])
    run = train(
        monkeypatch, "own", "--data.list=list.tsv", "--data.columns={path: Datei, label: Klasse, source: Kit}"
    )
    kits = {str(path): f"kit {n % 12 // 4}" for n, (path, _) in enumerate(found)}
    tested = {kits[str(place / row["key"])] for row in rows(run / "scores/test.csv")}
    assert len(tested) == 1
    table = rows(run / "tables/test.csv")
    assert {row["source"] for row in table} == tested
