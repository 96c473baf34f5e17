"""The commands: configuration, overrides, one-line errors, dry run of every shipped configuration."""

import csv
import re
import sys
from pathlib import Path
from typing import Any, Optional, Union

import pytest
import torch
import yaml

from datamodules.config.errors import one_line
from lightning_modules import fit, predict, test, validate
from lightning_modules.config import cli
from lightning_modules.run.checkpoints import read_checkpoint

REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted(path.name for path in (REPOSITORY / "configs").glob("*.yaml"))
NEED_MORE = {  # overlays that this corpus or one process is not enough for, and what tests them
    "ssd_2021_la": "test_overlays.py",
    "ssd_2021_df": "test_overlays.py",
    "ssd_asvspoof5": "test_overlays.py",
    "cuda_graphs": "tests/callbacks/test_network.py",
    "fsdp": "test_fsdp.py",
    "production_multi_tag": "test_tagger.py",
    "production_spectrograms": "tests/library",
    **dict.fromkeys((f"asd_dcase{year}" for year in range(2021, 2025)), "tests/asd/test_enter_dcase.py"),
    "ssd_small_encoder": "test_check_passes_and_writes_nothing",
}
LONG = {  # overlays, or one of their configurations of which others are like it; up to half a minute each
    "compile",
    "production_specgan",
    "event_datar_small",
    ("activation_checkpointing", "event_ast"),
    ("event_43khz", "event_ast"),
    ("event_epic_kitchens", "event_ast"),
}
LIKE_OTHERS = {  # and up to a minute each
    "asd_dcase2025.yaml",
    "event_audio_slowfast_epic_kitchens.yaml",
    "production_denoiser_wavenet.yaml",
    "production_effect_signaltrain.yaml",
    "production_wavegan.yaml",
    "ssd_aasist_inf_ini.yaml",
    "ssd_corpora.yaml",
    "ssd_xlsr_aasist.yaml",
    "ssd_xlsr_nes2net.yaml",
    "ssd_xlsr_sls.yaml",
}
ENCODER = [
    *("--model.network.encoder.depth=2", "--model.network.encoder.width=48"),
    *("--model.network.encoder.num_heads=4", "--model.network.back_end.dim=48"),
]
ON_ENCODERS = ("ssd_xlsr", "ssd_wavlm")
SHORT = {  # configuration -> what makes it fit clips of 1 s
    "ssd_lcnn": ["--model.network.num_frames=126"],
    "ssd_lcnn_inf_ini": ["--model.network.num_frames=126"],
    "asd_proxy_outlier": ["--model.window=24"],
    "asd_arcface": ["--model.window=24"],
    "asd_dcase2025": ["--model.window=24", "--data.channel=near"],  # on the corpus of 2026
    "asd_dcase2026": ["--model.window=24"],
    "asd_maf": ["--model.network.hidden_dim=64"],
    "event_datar": [
        "--model.network.dim=32",
        "--model.network.group_dim=32",
        "--model.network.depths=[2,2,2,2]",
    ],
    "event_ast": ["--model.network.embed_dim=48", "--model.network.depth=2", "--model.network.num_heads=3"],
    "event_beats": ENCODER,
    "event_eat": ENCODER,
    "event_passt": ENCODER,
}


@pytest.fixture(autouse=True)
def in_repository(monkeypatch, demo_corpus, demo_machines, demo_machines_2026, demo_events):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))
    monkeypatch.setenv("DCASE2020_ROOT", str(demo_machines))
    for year in (2025, 2026):
        monkeypatch.setenv(f"DCASE{year}_ROOT", str(demo_machines_2026))
    monkeypatch.setenv("MACHINES_ROOT", str(demo_machines))
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
    monkeypatch.setenv("KINETICS_SOUNDS_ROOT", str(demo_events / "KineticsSounds"))
    monkeypatch.setenv("EPIC_ROOT", str(demo_events / "EPIC-KITCHENS-100"))


def run(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", [command.__name__, *arguments])
    cli.one_line_errors(command.main)


def quick(tmp_path, demo_corpus, *more):
    """A run of seconds: LCNN without its big head on short crops."""
    return [
        "--config=configs/ssd_lcnn.yaml",
        "--model.network.num_frames=63",
        f"--data.root={demo_corpus}",
        "--data.train_crop_s=0.5",
        "--data.eval_crop_s=0.5",
        "--data.batch_size=8",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        "--trainer.max_steps=2",
        "--trainer.enable_progress_bar=false",
        "--tracking.wandb=disabled",
        f"--run.root={tmp_path}",
        "--run.id=x",
        *more,
    ]


def bases():
    """Overlays, each with a configuration that its header names; one that names none is for all."""
    for path in sorted((REPOSITORY / "configs/overlays").glob("*.yaml")):
        header = "".join(line for line in path.read_text().splitlines() if line.startswith("#"))
        named = [name for name in CONFIGS if re.search(rf"\b{name.removesuffix('.yaml')}\b", header)]
        for config in named or ["ssd_lcnn_inf_ini.yaml"]:
            if path.stem not in NEED_MORE:
                pair = path.stem, config.removesuffix(".yaml")
                marks = [pytest.mark.slow] if LONG & {path.stem, pair} else []
                yield pytest.param(*pair, marks=marks)


def folder_state(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if ".pytest_cache" not in path.parts}


@pytest.mark.parametrize(
    "config",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LIKE_OTHERS else []) for name in CONFIGS],
)
def test_check_passes_and_writes_nothing(config, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    short = [] if config.startswith("ssd") else SHORT.get(config.removesuffix(".yaml"), [])
    if config.startswith(ON_ENCODERS):
        short = [f"--config={REPOSITORY}/configs/overlays/ssd_small_encoder.yaml"]
        short += ["--data.root=${oc.env:ASVSPOOF2019_LA_ROOT}"]
        short += ["--model.network.back_end.num_frames=49"] if "sls" in config else []
    run(monkeypatch, fit, f"--config={REPOSITORY}/configs/{config}", *short, "--check")
    shown = capsys.readouterr().out
    assert "check passed" in shown
    assert "total" in shown
    assert not folder_state(tmp_path)


@pytest.mark.parametrize(("overlay", "config"), bases())
def test_check_passes_with_overlays(overlay, config, monkeypatch, capsys):
    files = [f"--config=configs/{config}.yaml", f"--config=configs/overlays/{overlay}.yaml"]
    short = ["--data.train_crop_s=1", "--data.eval_crop_s=1"] if config.startswith("ssd") else []
    run(monkeypatch, fit, *files, *short, *SHORT.get(config, []), "--check")
    assert "check passed" in capsys.readouterr().out


def test_train_test_validate_and_predict(monkeypatch, tmp_path, demo_corpus, capsys):
    run(monkeypatch, fit, *quick(tmp_path, demo_corpus))
    folder = tmp_path / "ssd_lcnn" / "x"
    names = {path.name for path in folder.rglob("*")}
    assert {
        "config.yaml",
        "metrics.csv",
        "results.csv",
        "last.ckpt",
        "test.txt",
        "test_det.png",
        "test_scores.png",
    } <= names
    protocol = demo_corpus / "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt"
    expected = {(row[1], row[3], row[4]) for row in map(str.split, protocol.read_text().splitlines())}
    lines = [line.split() for line in (folder / "scores/test.txt").read_text().splitlines()]
    assert {tuple(line[:3]) for line in lines} == expected
    assert len(lines) == len(expected)

    with (folder / "results.csv").open(newline="") as file:
        (tested,) = csv.DictReader(file)
    checkpoint = f"--ckpt_path={folder}/checkpoints/last.ckpt"  # carries its configuration
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, test, checkpoint)
    run(monkeypatch, validate, checkpoint)
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["test", "validation"], "the same evaluation is one row"
    assert rows[0] | {"date": tested["date"]} == tested

    wanted = lines[0][0]
    clip = demo_corpus / f"ASVspoof2019_LA_eval/flac/{wanted}.flac"
    run(monkeypatch, predict, checkpoint, f"--data.predict=[{clip}]", f"--output={tmp_path}/out.txt")
    key, score = (tmp_path / "out.txt").read_text().split()
    assert key == wanted
    assert float(score) == pytest.approx(float(lines[0][3]), abs=1e-5)


def test_overrides_and_printed_config(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run(
            monkeypatch,
            fit,
            "--config=configs/ssd_aasist.yaml",
            "--data.batch_size=7",
            "--seed_everything=5",
            "--print_config",
        )
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["data"]["init_args"]["batch_size"] == 7
    assert printed["seed_everything"] == 5


def test_interpolation_follows_overrides(demo_corpus, tmp_path):
    platform = cli.build("fit", "", quick(tmp_path, demo_corpus, "--seed_everything=5"))
    assert platform.datamodule.seed == 5


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--data.bach_size=3", "unknown key data.bach_size; did you mean batch_size"),
        ("--model.network.ratio=3", "unknown key model.network.ratio; did you mean pool_ratios"),
        ("--model.optimizer.betaz=3", "unknown key model.optimizer.betaz; did you mean betas"),
        ("--data.batch_size=many", "data.batch_size: Expected a int. Got value: many"),
        ("--data.edition=2018", "data.edition: Expected one of 2019_LA, .* 5. Got value: 2018"),
        ("--model.optimizer.lr=fast", "model.optimizer.lr: Expected a float. Got value: fast"),
        ("--model.network=LCNNN", "model.network: no class LCNNN; did you mean LCNN"),
        (
            "--model.network.class_path=lightning_modules.networks.LCNNN",
            "networks has no LCNNN; did you mean LCNN",
        ),
        ("--model=lightning_modules.sdd.Detector", "model: lightning_modules has no sdd; did you mean ssd"),
        ("--trainer.max_epoch=3", "unknown key .*max_epoch; did you mean trainer.max_epochs"),
        ("--modle.x=1", "unknown key modle.x"),
        ("--data.root=${a", "no viable alternative at input '\\${a'"),
        ("--cfg=a.yaml", "unknown key cfg; did you mean config"),
        ("a.yaml", "a.yaml: did you mean --config a.yaml?"),
        ("--data=CLASS", "data: no class CLASS; did you mean DCASE"),
        ("--trainer.max_epochs=1:30", "trainer.max_epochs: 1:30 is 90, a number to the base of 60 in YAML"),
        ("--config=configs/none.yaml", "none.yaml"),
    ],
)
def test_wrong_configuration_is_one_line_and_exit_code_2(argument, expected, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, fit, "--config=configs/ssd_aasist.yaml", argument)
    assert stop.value.code == 2
    message = capsys.readouterr().err.strip()
    assert "\n" not in message
    assert re.search(expected, message), message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"x\.yaml: expected keys and values"),
        ("- trainer\n", r"x\.yaml: expected keys and values"),
        ("trainer:\n  callbacks: [a\n  max_epochs: 1\n", r"x\.yaml, line 3, column \d+: no YAML"),
        ("run:\n\tid: a\n", r"x\.yaml, line 2, column 1: no YAML"),
        ("# caf\xe9\n", r"x\.yaml: no text in UTF-8"),
        (
            "run: {id: a}\ntrainer:\n  max_epochs: 1\n  max_epochs: 2\n",
            r"x\.yaml, line 4: key max_epochs comes",
        ),
        ("trainer:\n  max_epoch: 3\n", "unknown key trainer.max_epoch; did you mean trainer.max_epochs"),
        ("run:\n  experimant: a\n", "unknown key run.experimant; did you mean run.experiment"),
    ],
)
def test_wrong_file_is_one_line_and_exit_code_2(text, expected, monkeypatch, tmp_path, capsys):
    (tmp_path / "x.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, fit, "--config=configs/ssd_aasist.yaml", f"--config={tmp_path}/x.yaml")
    assert stop.value.code == 2
    message = capsys.readouterr().err.strip()
    assert "\n" not in message
    assert re.search(expected, message), message


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--trainer.max_epochs=-5", "`max_epochs` must be a non-negative integer or -1. You passed in -5"),
        ("--trainer.max_time=xx", "`Timer\\(duration='xx'\\)` is not a valid duration"),
        (
            "--checkpoints.every_n_train_steps=0",
            "checkpoints.every_n_train_steps: expected at least 1, found 0",
        ),
        ("--checkpoints.save_top_k=-3", "checkpoints.save_top_k: expected at least -1, found -3"),
        (
            "--checkpoints.monitor=val/err --trainer.limit_train_batches=1",
            "checkpoints.monitor: nothing is logged as 'val/err'; did you mean 'val/eer'",
        ),
        ("--data=null", "data: no data module; name one"),
    ],
)
def test_wrong_value_is_one_line(argument, expected, monkeypatch, capsys, tmp_path, demo_corpus):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, fit, *quick(tmp_path, demo_corpus), *argument.split())
    assert stop.value.code == 1
    *_, message = capsys.readouterr().err.strip().splitlines()
    assert message.startswith("error: ")
    assert re.search(expected, message), message


def test_null_for_a_part_of_a_part_has_a_way_out(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, fit, "--config=configs/event_datar.yaml", "--model.network.adaptor=null")
    assert "adaptor: no option can set a part of a part to null" in capsys.readouterr().err


def test_yaml_tags_are_not_executed(monkeypatch, tmp_path, capsys):
    evil = tmp_path / "evil.yaml"
    evil.write_text(f"run: !!python/object/apply:os.mkdir ['{tmp_path}/executed']\n")
    with pytest.raises(SystemExit):
        run(monkeypatch, fit, f"--config={evil}")
    assert not (tmp_path / "executed").exists()


def test_missing_checkpoint_is_one_line_and_exit_code_1(monkeypatch, capsys, tmp_path, demo_corpus):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, test, *quick(tmp_path, demo_corpus), "--ckpt_path=none.ckpt")
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip().endswith("error: none.ckpt: no such checkpoint")


def test_checkpoint_of_another_model_is_refused(monkeypatch, capsys, tmp_path, demo_corpus):
    run(monkeypatch, fit, *quick(tmp_path, demo_corpus))
    checkpoint = tmp_path / "ssd_lcnn/x/checkpoints/last.ckpt"
    with pytest.raises(SystemExit) as stop:
        run(
            monkeypatch,
            test,
            "--config=configs/ssd_aasist.yaml",
            f"--ckpt_path={checkpoint}",
            "--tracking.wandb=disabled",
        )
    assert stop.value.code == 1
    assert "checkpoint of another model" in capsys.readouterr().err


def test_training_goes_on_from_no_other_model(monkeypatch, capsys, tmp_path, demo_corpus):
    run(monkeypatch, fit, *quick(tmp_path, demo_corpus))
    weights = tmp_path / "weights.pth"
    torch.save(read_checkpoint(tmp_path / "ssd_lcnn/x/checkpoints/last.ckpt")["state_dict"], weights)
    for more, expected in (
        (["--model.network.num_frames=73"], "last.ckpt: checkpoint of another model or configuration: size"),
        (["--run.id=y", f"--ckpt_path={weights}"], "weights.pth: no checkpoint to continue from"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(monkeypatch, fit, *quick(tmp_path, demo_corpus), *more)
        assert stop.value.code == 1
        assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_scores_of_no_batch_are_no_result(monkeypatch, capsys, tmp_path, demo_corpus):
    epoch = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    run(monkeypatch, fit, *quick(tmp_path, demo_corpus), *epoch, "--trainer.limit_test_batches=0")
    assert not (tmp_path / "ssd_lcnn/x/results.csv").exists()
    checkpoint = f"--ckpt_path={tmp_path}/ssd_lcnn/x/checkpoints/last.ckpt"
    for command, loop in ((test, "test"), (validate, "val")):
        with pytest.raises(SystemExit):
            run(monkeypatch, command, checkpoint, f"--trainer.limit_{loop}_batches=0")
        assert "no batch to score" in capsys.readouterr().err


def test_one_line_finds_the_deepest_cause():
    report = """Parser key "model":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'LightningModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'lightning_modules.networks.AASIST':
        Parser key "width":
          Expected a <class 'int'>. Got value: abc
    - Expected a <class 'NoneType'>
  Given value: NestedArg"""
    assert one_line(report, ()) == "model.width: Expected a int. Got value: abc"


def test_one_batch_is_not_all_of_them():
    """``typing`` keeps unions by what they hold, so that an earlier Union[float, int] made 1 a share of 100 %."""
    parser = cli.Parser()
    union: Any = type(Optional[int])  # noqa: UP045
    parser.add_argument("--limit", type=union(Union, (float, int, type(None))))
    assert repr(parser.parse_args(["--limit=1"]).limit) == "1"
    assert repr(parser.parse_args(["--limit=0.5"]).limit) == "0.5"
