"""Every task's data is probed in its own figures, whatever method the configuration names."""

import csv
import sys
from pathlib import Path

import pytest
import torch
from probed_encoder import ProbedEncoder
from tagged_sounds import write_tagged_sounds

from datamodules.cache import VARIABLE
from lightning_modules import probe
from lightning_modules.config import cli
from lightning_modules.networks import AST

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL_AST = [
    f"--config={CONFIGS}/event_ast.yaml",
    "--model.network.embed_dim=24",
    "--model.network.depth=1",
    "--model.network.num_heads=2",
    "--model.network.stride=16",
    "--model.network.input_size=[128,64]",
    "--model.frontend.num_frames=64",
    "--data.num_workers=0",
]
ENCODER = """
seed_everything: 3
run: {experiment: tiny}
model:
  class_path: lightning_modules.ssd.SyntheticSpeechDetector
  init_args:
    network:
      class_path: lightning_modules.networks.encoder_classifier.EncoderClassifier
      init_args:
        encoder: {class_path: probed_encoder.ProbedEncoder}
        back_end: {class_path: lightning_modules.networks.back_ends.PooledLinear, init_args: {dim: 8}}
data:
  class_path: datamodules.ASVspoof
  init_args: {root: ROOT, eval_crop_s: 0.3, num_workers: 0}
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command in an empty folder; returns the rows of its file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["probe", *words, "--output=probes.csv"])
        cli.one_line_errors(probe.main)
        with Path("probes.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return command


@pytest.fixture
def events(demo_events, monkeypatch) -> None:
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))


def other_data(kind: str, root: Path) -> list[str]:
    """The data of another task in the configuration of AST."""
    name = {"speech": "ASVspoof", "machines": "DCASE", "tags": "AudioFolder"}[kind]
    path = Path("data.yaml")
    path.write_text(
        f"data:\n  class_path: datamodules.{name}\n  init_args: {{root: {root}, num_workers: 0}}\n"
    )
    return [*SMALL_AST[:-1], f"--config={path}"]


def probes(rows) -> list[str]:
    return list(dict.fromkeys(row["probe"].partition(",")[0] for row in rows))


def test_ast_on_events_a_second_time_is_not_asked_and_gives_the_same_bytes(run, events, monkeypatch, capsys):
    calls = []
    forward = AST.forward
    monkeypatch.setattr(AST, "forward", lambda self, x: calls.append(len(x)) or forward(self, x))
    first = run(*SMALL_AST)
    content, num_calls = Path("probes.csv").read_bytes(), len(calls)
    assert num_calls > 0
    assert run(*SMALL_AST) == first
    assert Path("probes.csv").read_bytes() == content
    assert len(calls) == num_calls
    assert probes(first) == ["linear", "k-NN", "baseline"]
    assert {row["split"] for row in first} == {"validation", "test"}
    shown = capsys.readouterr().out
    assert "event_ast: probes of AST of random weights" in shown
    assert all(f"{float(row['top1']):.4f}" in shown for row in first)


@pytest.mark.parametrize(
    ("kind", "corpus", "figure", "expected"),
    [
        ("speech", "demo_corpus", "eer", ["linear", "k-NN", "baseline"]),
        ("machines", "demo_machines", "auc", ["k-NN", "baseline"]),
    ],
)
def test_data_of_other_tasks_are_probed_in_their_figures(
    run, request, capsys, kind, corpus, figure, expected
):
    rows = run(*other_data(kind, request.getfixturevalue(corpus)))
    assert ("linear: left out" in " ".join(capsys.readouterr().out.split())) == (kind == "machines")
    assert probes(rows) == expected
    assert all(0 <= float(row[figure]) <= 1 for row in rows)


def test_tags_and_a_tagger_without_encoder(run, tmp_path):
    root = write_tagged_sounds(tmp_path / "sounds", num_hits=2)
    rows = run(f"--config={CONFIGS}/production_tagger.yaml", f"--data.root={root}", "--data.num_workers=0")
    assert probes(rows) == ["linear", "k-NN", "baseline"]
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)


def test_layers_of_an_encoder_each(run, demo_corpus, monkeypatch):
    Path("tiny.yaml").write_text(ENCODER.replace("ROOT", str(demo_corpus)))
    monkeypatch.setattr(ProbedEncoder, "calls", 0)
    rows = run("--config=tiny.yaml", "--layers", "--pooling=class")
    assert list(dict.fromkeys(row["layer"] for row in rows)) == ["0", "1", "2", ""]
    neighbours = {
        (row["layer"], row["split"]): float(row["eer"]) for row in rows if row["probe"] == "k-NN, k=5"
    }
    assert (
        neighbours["0", "test"] == 1.0
    )  # the input's class token is that of all clips, whose scores are all tied
    assert neighbours["2", "test"] != 1.0
    calls = ProbedEncoder.calls
    assert run("--config=tiny.yaml", "--layers", "--pooling=class") == rows
    assert ProbedEncoder.calls == calls > 0


def test_wrong_use_is_told_in_one_line(run, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*SMALL_AST, "--layers")
    assert ended.value.code == 1
    assert "--layers: AST has one embedding: it is for networks of an encoder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(f"--config={CONFIGS}/production_denoiser.yaml")
    assert "Denoiser on NoisyMixtures: probes are of clips with classes" in capsys.readouterr().err


def test_what_differs_is_told_apart(run, tmp_path):
    """Tones and noises, by an encoder of random weights."""
    import soundfile

    for number in range(30):
        torch.manual_seed(number)
        time = torch.arange(8000) / 16000
        sounds = {
            "tone": 0.3 * (2 * torch.pi * (300 + 300 * torch.rand(1)) * time).sin(),
            "noise": 0.1 * torch.randn(8000),
        }
        for name, sound in sounds.items():
            path = tmp_path / "two" / name / f"{name}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound.numpy(), 16000)
    rows = run(*other_data("tags", tmp_path / "two"), "--data.near_duplicates=null")
    assert [float(row["top1"]) for row in rows if row["split"] == "test"] == [1.0, 1.0, 1.0]
