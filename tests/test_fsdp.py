"""Sharded training gives what unsharded training gives, and checkpoints that the other continues from."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from lightning_modules import optimization
from lightning_modules.networks import AST, EncoderClassifier
from lightning_modules.networks.back_ends import PooledLinear
from lightning_modules.networks.encoders import BEATs
from lightning_modules.run.checkpoints import AtomicCheckpointIO, read_checkpoint
from lightning_modules.sharding import ShardedStrategy

REPOSITORY = Path(__file__).parents[1]


class Classifier(LightningModule):
    def __init__(self, saved, network=None):
        super().__init__()
        self.saved = saved
        torch.manual_seed(0)
        self.network = network or AST(3, input_size=(16, 36), embed_dim=12, depth=2, num_heads=3)

    def training_step(self, batch, batch_idx):
        return self.network(batch).logits.square().mean()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.trainer.save_checkpoint(self.saved)

    def configure_optimizers(self):
        return torch.optim.AdamW(optimization.decay_weights_only(self), lr=1e-2)


@pytest.fixture
def train(tmp_path):
    data = torch.randn(5, 2, 16, 36, generator=torch.Generator().manual_seed(0))

    def run(name, strategy, *, steps, network=None, ckpt_path=None):
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            strategy=strategy,
            max_steps=steps,
            use_distributed_sampler=False,
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        saved = tmp_path / f"{name}.ckpt"
        module = Classifier(saved, network)
        trainer.fit(module, DataLoader(data, batch_size=None), ckpt_path=ckpt_path)  # pyright: ignore[reportArgumentType]
        return saved, module

    environment = dict(os.environ)
    yield run
    os.environ.clear()  # of addresses of the processes, which others would take for theirs
    os.environ.update(environment)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def difference(first, second):
    """Largest difference of weights and of the optimizers' moments, which each file numbers in its own way."""
    first, second = read_checkpoint(first), read_checkpoint(second)
    assert first["state_dict"].keys() == second["state_dict"].keys()
    pairs = [(value, second["state_dict"][name]) for name, value in first["state_dict"].items()]
    states = [checkpoint["optimizer_states"][0] for checkpoint in (first, second)]
    numbers = [[i for group in state["param_groups"] for i in group["params"]] for state in states]
    pairs += [
        (states[0]["state"][one][name], states[1]["state"][other][name])
        for one, other in zip(*numbers, strict=True)
        for name in ("exp_avg", "exp_avg_sq")
    ]
    return max(float((one.float() - other.float()).abs().max()) for one, other in pairs)


def results(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_rank_and_back(train):
    plain, _ = train("plain", "auto", steps=3)
    sharded, module = train("sharded", ShardedStrategy(), steps=3)
    assert difference(plain, sharded) < 1e-6
    assert type(module.network) is AST  # whole again
    for name, value in read_checkpoint(sharded)["state_dict"].items():
        torch.testing.assert_close(module.state_dict()[name], value)
    plain_on, _ = train("plain_on", "auto", steps=5, ckpt_path=sharded)
    sharded_on, _ = train("sharded_on", ShardedStrategy(), steps=5, ckpt_path=plain)
    assert difference(plain_on, sharded_on) < 1e-6
    assert difference(plain, plain_on) > 1e-3


def test_a_table_that_blocks_share_is_sharded_once(train):
    """BEATs has one table of relative positions, under the name of every block."""

    def network():
        torch.manual_seed(0)
        encoder = BEATs(depth=2, width=32, num_heads=4, ffn_width=64, patch_width=8, num_mel_bins=16)
        return EncoderClassifier(encoder, PooledLinear(3, dim=32))

    plain, _ = train("plain", "auto", steps=3, network=network())
    sharded, _ = train("sharded", ShardedStrategy(), steps=3, network=network())
    assert difference(plain, sharded) < 1e-6


class WithConvolution(AST):
    """Hears maps that a convolution in channels last made, as back ends of AASIST have them."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(3, input_size=(16, 36), embed_dim=12, depth=2, num_heads=3)
        self.convolution = nn.Conv2d(4, 1, (2, 3), padding="same").to(memory_format=torch.channels_last)

    def forward(self, features):
        return super().forward(self.convolution(features.unsqueeze(1).expand(-1, 4, -1, -1)).squeeze(1))


def test_weights_in_channels_last_are_sharded(train):
    plain, _ = train("plain", "auto", steps=3, network=WithConvolution())
    sharded, module = train("sharded", ShardedStrategy(), steps=3, network=WithConvolution())
    assert difference(plain, sharded) < 1e-6
    assert module.network.convolution.weight.is_contiguous(memory_format=torch.channels_last)


def test_networks_without_blocks_are_refused(train):
    with pytest.raises(ValueError, match="Linear names no blocks"):
        train("linear", ShardedStrategy(), steps=1, network=nn.Linear(36, 2))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_ranks_are_those_of_ddp(demo_events, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("VGGSOUND_ROOT", str(demo_events / "VGGSound"))
    overlays = ("event_small_corpus", "event_small_datar")

    def run(command, name, *arguments):
        files = ["event_datar.yaml", *(f"overlays/{overlay}.yaml" for overlay in overlays)]
        settings = [
            *(f"--config=configs/{file}" for file in files),
            *("--trainer.accelerator=cpu", "--data.batch_size=2", "--data.num_workers=0"),
            *("--data.train_crop_s=0.7", "--data.eval_crop_s=0.7", "--model.frontend.num_frames=64"),
            *("--model.network.input_size=[64,64]", "--model.network.depths=[2,2,2,2]"),
            *("--tracking.wandb=disabled", f"--run.root={tmp_path}", f"--run.id={name}"),
        ]
        module = f"lightning_modules.{command}"
        subprocess.run([sys.executable, "-m", module, *settings, *arguments], check=True)
        return tmp_path / f"event_datar/{name}/checkpoints/last.ckpt"

    ddp = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.max_steps"]
    fsdp = ["--trainer.devices=2", "--config=configs/overlays/fsdp.yaml", "--trainer.max_steps"]
    replicated, sharded = run("fit", "ddp", *ddp, "2"), run("fit", "fsdp", *fsdp, "2")
    assert difference(replicated, sharded) < 1e-5
    of_fit = results(tmp_path / "event_datar/fsdp")
    run("test", "fsdp", f"--ckpt_path={sharded}")  # one process
    (of_test,) = results(tmp_path / "event_datar/fsdp")  # in the place of the first
    assert of_fit[0]["map"] == of_test["map"]
    assert of_fit[0]["date"] != of_test["date"]
    continued = run("fit", "fsdp3", *fsdp, "3", f"--ckpt_path={replicated}")
    assert difference(run("fit", "ddp3", *ddp, "3", f"--ckpt_path={sharded}"), continued) < 1e-5
