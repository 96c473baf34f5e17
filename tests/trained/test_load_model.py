"""A checkpoint, and a package, score as the test command does: to the bit, and without a trainer."""

import subprocess
import sys
from pathlib import Path

import lightning.pytorch
import numpy as np
import pytest
import torch
from conftest import CASES

from datamodules.clips.recordings import decode, span
from lightning_modules import load_model

OLDER = Path(__file__).parents[1] / "fixtures" / "before_the_house"


def load(source):
    """On the CPU, where no trainer can be built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightning.pytorch.Trainer, "__init__", None)
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
