"""A checkpoint, and a package, score as the test command does: to the bit, and without a trainer."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from trained_cases import CASES

from datamodules.clips.recordings import decode, span
from lightning_modules import load_model

OLDER = Path(__file__).parents[1] / "fixtures" / "before_the_house"


def load(source):
    """On the CPU, where no trainer can be built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "__init__", None)
        return load_model(source, device="cpu")


def values(score) -> list[float]:
    """A score's numbers in their order."""
    return [each for part in score.values() for each in values(part)] if isinstance(score, dict) else [score]


def expected(run, case) -> list[list[float]]:
    """What the test gave each clip; of tags, that they are there."""
    scores = run.scores.reshape(len(run.clips), -1)
    return (scores[:, 1::2] if case == "tags" else scores).tolist()


def sound_of(clip):
    """A file, or the waveform of a part of one."""
    if "video" not in clip.attributes:
        return {"sound": clip.path}
    part = span(clip)
    return {"sound": decode(clip.path, part, mono=True), "sample_rate": part.rate}


@pytest.mark.parametrize("case", sorted(CASES.keys() - {"batches"}))
def test_a_checkpoint_scores_as_its_test_did(case, tested):
    run = tested(case)
    model = load(run.checkpoint)
    scores = [model.score(**sound_of(clip), instance=clip.attributes.get("instance")) for clip in run.clips]
    assert [values(score) for score in scores] == expected(run, case)


def test_files_are_scored_in_the_batches_of_the_test(tested):
    run = tested("batches")
    scores = load(run.checkpoint).score_files([clip.path for clip in run.clips])
    assert [[score] for score in scores] == expected(run, "batches")


@pytest.mark.parametrize("case", ["aasist", "whole", "views", "machines", "classes", "tags"])
def test_a_package_scores_as_the_test_did(case, tested, package):
    run, model = tested(case), load(package(case))
    assert [values(model.score(clip.path)) for clip in run.clips] == expected(run, case)


def test_classes_are_named_as_the_heads_of_the_data_are(tested):
    for case, names in {
        "classes": ["clap", "hihat", "kick", "snare", "tom"],
        "tags": ["bright", "dark", "metal", "skin"],
    }.items():
        run = tested(case)
        model = load(run.checkpoint)
        score = model.score(run.clips[0].path)
        assert model.classes == list(score) == names
    run = tested("heads")
    model = load(run.checkpoint)
    score = model.score(np.zeros(16000, np.float32))
    assert model.classes == {head: list(found) for head, found in score.items()} == run.heads
    assert [sum(found.values()) for found in score.values()] == pytest.approx([1, 1])
    assert load(tested("whole").checkpoint).classes == []


def test_a_detector_that_was_not_tested_says_so(tested, tmp_path):
    run = tested("neighbours")
    assert load(run.checkpoint).thresholds.keys() >= {"fan/id_00", "fan/id_02", "fan/id_04"}
    copied = shutil.copy(run.checkpoint, tmp_path)
    with pytest.raises(
        ValueError, match=rf"run python -m lightning_modules\.test --ckpt_path {copied} first"
    ):
        load(copied)
    model = load(run.checkpoint)
    with pytest.raises(
        ValueError, match="is of no machine instance: this detector scores clips of fan/id_00,"
    ):
        model.score(run.clips[0].path)
    assert load(shutil.copy(tested("machines").checkpoint, tmp_path)).thresholds == {}


IMPORTS = """
import sys
import lightning_modules
assert "torch" not in sys.modules
from lightning_modules import load_model
print(load_model(sys.argv[1], device="cpu").score(sys.argv[2]))
assert not {"lightning", "pytorch_lightning", "wandb", "datamodules.base"} & set(sys.modules)
"""


@pytest.mark.parametrize("case", ["whole", "views"])
def test_a_package_needs_no_lightning(case, tested, package):
    run = tested(case)
    arguments = [str(package(case)), run.clips[0].path]
    found = subprocess.run(
        [sys.executable, "-c", IMPORTS, *arguments], capture_output=True, text=True, check=True
    )
    assert values(ast.literal_eval(found.stdout)) == expected(run, case)[0]


def test_what_older_trees_wrote_loads():
    checkpoint, package = (load(OLDER / "ssd" / name) for name in ("last.ckpt", "package"))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 8000)
    assert checkpoint.score(noise) == package.score(noise)
    detector = load(OLDER / "asd/last.ckpt")  # with the thresholds in itself
    assert isinstance(detector.score(noise, instance="fan/id_00"), float)
    assert detector.thresholds
    with pytest.raises(
        ValueError, match=r"LearnedEffect gives clips no scores: .* lightning_modules.process"
    ):
        load(OLDER / "production/last.ckpt")


def test_a_configuration_stands_in_for_that_of_the_checkpoint(tmp_path):
    checkpoint = torch.load(OLDER / "ssd/last.ckpt", weights_only=True)
    (tmp_path / "my.yaml").write_text(checkpoint.pop("config"))
    torch.save(checkpoint, tmp_path / "bare.ckpt")
    with pytest.raises(ValueError, match=r"bare\.ckpt: carries no configuration"):
        load_model(tmp_path / "bare.ckpt")
    model = load_model(tmp_path / "bare.ckpt", config=tmp_path / "my.yaml", device="cpu")
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 8000)
    assert model.score(noise) == load(OLDER / "ssd/last.ckpt").score(noise)
    other = Path(__file__).parents[2] / "configs/ssd_aasist.yaml"
    with pytest.raises(ValueError, match="checkpoint of another model or configuration"):
        load_model(tmp_path / "bare.ckpt", config=other)
