"""What a run may go on from: checkpoints that heard their clips as the configuration says."""

import pytest
import torch
import yaml

from lightning_modules.commands.restart import Restart, find_restart
from lightning_modules.run.folder import Run

_OLDER = {"class_path": "datamodules.ASVspoof", "init_args": {"seed": 0}}  # the resampler was no setting


def data(**resampler):
    return {**_OLDER, "init_args": {"seed": 0, **resampler}}


def restart(folder, before, now):
    """Where a run goes on whose checkpoint was made with some data, and whose configuration names others."""
    model = {"class_path": "x.Y", "init_args": {}}
    path = folder / "last.ckpt"
    progress = {"epoch_loop.batch_progress": {"total": {"ready": 7}}}
    checkpoint = {"state_dict": {}, "optimizer_states": [], "loops": {"fit_loop": progress}, "global_step": 5}
    config = yaml.safe_dump({"model": model, "data": before})
    torch.save(checkpoint | {"config": config}, path)
    return find_restart(Run(), str(path), yaml.safe_dump({"model": model, "data": now})), path


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (_OLDER, data(resampler="torchaudio")),
        (data(resampler="torchaudio"), data(resampler="torchaudio")),
        (data(resampler=None), data(resampler=None)),
        (data(resampler=None), data(resampler="soxr_hq")),  # what null is
    ],
)
def test_a_run_goes_on_with_the_resampler_of_its_checkpoint(before, now, tmp_path):
    found, path = restart(tmp_path, before, now)
    assert found == Restart(path, optimizer_steps=5, batches=7)


@pytest.mark.parametrize(
    ("before", "now", "was"),
    [
        (_OLDER, data(resampler=None), "torchaudio"),
        (_OLDER, data(resampler="soxr_hq"), "torchaudio"),
        (data(resampler=None), data(resampler="torchaudio"), "soxr_hq"),
    ],
)
def test_a_run_refuses_another_resampler_and_names_its_own(before, now, was, tmp_path):
    with pytest.raises(
        ValueError, match=rf"clips that {was} resampled: set data.resampler={was}, or begin another run"
    ):
        restart(tmp_path, before, now)
