"""Training steps on a GPU that need not be there: fake tensors have devices, types and shapes, but no values.

A step fails that mixes devices, or that reads a value, for which it would have to wait for the GPU.
"""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities import move_data_to_device
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from lightning_modules.config import cli

CONFIGS = Path(__file__).parents[1] / "configs"
CUDA = torch.device("cuda")
SPEECH = ["--data.train_crop_s=1", "--data.eval_crop_s=1"]
NO_MIXUP = "--model.mixup=null"  # its weight is drawn on the GPU, which takes a real one
DATAR = ["--model.network.dim=32", "--model.network.group_dim=32", "--model.network.depths=[2,2,2,2]"]


@pytest.fixture(autouse=True)
def a_gpu_that_is_not_there(monkeypatch):
    """Without one autocast turns itself off, and code for convolutions and sampling asks its driver."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(False)


class KeepBatch(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batch = batch


def on_gpu(model, batch, step):
    """Runs a step with bf16 autocast, on a fake copy of the model and the batch."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to(CUDA)
        with torch.autocast("cuda", torch.bfloat16):
            return step(move_data_to_device(batch, CUDA))


def step_of(config, monkeypatch, tmp_path, *arguments):
    """The model of a configuration, its training step, and a batch for it."""
    platform = cli.build("fit", "", [f"--config={CONFIGS / config}.yaml", *arguments, "--check"])
    platform.trainer.callbacks.append(keep := KeepBatch())  # pyright: ignore[reportAttributeAccessIssue]
    data = platform.datamodule
    data.batch_size, data.eval_batch_size, data.num_workers = 2, 2, 0
    data.make_small(tmp_path)
    platform.trainer.fit(platform.model, data)
    monkeypatch.setattr(platform.model, "log", lambda *_, **__: None)
    platform.model.train()
    return platform.model, keep.batch, lambda batch: platform.model.training_step(batch, 0)


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ("ssd_aasist_inf_ini", SPEECH),
        ("ssd_lcnn_inf_ini", [*SPEECH, "--model.network.num_frames=126"]),
        ("asd_proxy_outlier", ["--model.window=24"]),
        ("asd_arcface", ["--model.window=24"]),
        ("event_datar", [*DATAR, NO_MIXUP]),
        ("event_resnet", []),
        ("production_effect", []),
        ("production_tagger", []),
    ],
)
def test_no_step_mixes_devices_or_waits(
    config, arguments, monkeypatch, tmp_path, demo_corpus, demo_machines, demo_events
):
    monkeypatch.setenv("ASVSPOOF2019_LA_ROOT", str(demo_corpus))
    monkeypatch.setenv("DCASE2020_ROOT", str(demo_machines))
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
    monkeypatch.setenv("EPIC_ROOT", str(demo_events / "EPIC-KITCHENS-100"))
    loss = on_gpu(*step_of(config, monkeypatch, tmp_path, *arguments))
    assert loss.device.type == "cuda"
    assert loss.shape == ()
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (lambda batch: batch / int(batch.max()), DataDependentOutputException),
        (lambda batch: batch + torch.ones(3), RuntimeError),
    ],
)
def test_such_steps_are_found(step, error):
    with pytest.raises(error):
        on_gpu(torch.nn.Linear(3, 3), torch.rand(2, 3), step)
