"""Arguments that a class takes over from another one are named."""

from pathlib import Path

import pytest

from lightning_modules.config import cli
from lightning_modules.config.inherited import inherited

BASE = """
model:
  class_path: lightning_modules.ssd.SyntheticSpeechDetector
  init_args:
    frontend: {class_path: LFCC, init_args: {n_fft: 512, num_filters: 20}}
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.1}}
data:
  class_path: datamodules.ASVspoof
  init_args: {root: here, batch_size: 8}
"""


def of(name, **arguments):
    return {"class_path": name, "init_args": arguments}


def config(frontend=None, model="lightning_modules.ssd.SyntheticSpeechDetector", data=None):
    optimizer = of("torch.optim.Adam", lr=0.1, betas=[0.9, 0.999])
    frontend = frontend or of("lightning_modules.frontends.LFCC", n_fft=512, num_filters=20)
    data = data or of("datamodules.ssd.asvspoof.ASVspoof", root="here", batch_size=8)
    return {"model": of(model, frontend=frontend, optimizer=optimizer, weights=None), "data": data}


@pytest.mark.parametrize(
    ("words", "found", "expected"),
    [
        ([], config(), []),
        (["--model.optimizer.lr=0.1"], config(), []),
        (
            ["--model.frontend=LogMel"],
            config(of("lightning_modules.frontends.LogMel", n_fft=512, n_mels=80)),
            ["model.frontend: LogMel takes over n_fft=512 of LFCC"],
        ),
        (
            ["--model.frontend.class_path", "LogMel", "--model.frontend.n_fft=400"],
            config(of("lightning_modules.frontends.LogMel", n_fft=400)),
            [],
        ),
        (
            ["--data=AudioFolder", "--data.root", "there"],
            config(data=of("datamodules.AudioFolder", root="there", batch_size=8)),
            ["data: AudioFolder takes over batch_size=8 of ASVspoof"],
        ),
        (
            ["--model=mine.Detector"],
            config(model="mine.Detector"),
            ["model: Detector takes over frontend, optimizer of SyntheticSpeechDetector"],
        ),
        (
            ["--data", "{class_path: AudioFolder, init_args: {root: x, batch_size: 3}}"],
            config(data=of("AudioFolder", root="x", batch_size=3)),
            [],
        ),
    ],
)
def test_what_a_class_takes_over_is_named(words, found, expected, tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    lines = inherited([f"--config={tmp_path}/base.yaml", *words], found)
    assert [line.partition(", whose")[0] for line in lines] == expected


def test_a_file_on_top_is_a_layer_too(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "top.yaml").write_text("model: {init_args: {frontend: {class_path: LogMel}}}")
    found = config(of("lightning_modules.frontends.LogMel", n_fft=512))
    (line,) = inherited(["--config", f"{tmp_path}/base.yaml", "--config", f"{tmp_path}/top.yaml"], found)
    assert line == (
        "model.frontend: LogMel takes over n_fft=512 of LFCC, whose place it takes; set what should differ,"
        " --model.frontend.NAME=VALUE"
    )


def test_commands_tell(monkeypatch, tmp_path):
    monkeypatch.chdir(Path(__file__).parents[2])
    told = []
    monkeypatch.setattr(cli, "rank_zero_info", told.append)
    cli.build("fit", "", ["--config=configs/ssd_lcnn.yaml", "--model.optimizer=torch.optim.SGD"])
    (line,) = (line for line in told if line.startswith("model.optimizer: "))
    assert line.startswith("model.optimizer: SGD takes over lr=0.0003")
    assert ", whose place it takes" in line


def test_an_interval_of_logging_that_is_the_default_makes_no_other_run(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    ids = [
        cli.build("fit", "", ["--config=configs/ssd_lcnn.yaml", *more]).run_folder.id
        for more in ([], ["--trainer.log_every_n_steps=50"], ["--trainer.log_every_n_steps=10"])
    ]
    assert ids[0] == ids[1] != ids[2]
