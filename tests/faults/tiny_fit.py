"""A training of milliseconds a step, with what guards a real one around it: `python tiny_fit.py root=...`.

``fault`` and ``rank`` let a rank fail at step 7; ``stop_at=training:7`` and ``stop_at=validation:25`` send the
process SIGTERM within that batch, counted over all epochs. ``average=0.9`` validates an average of the weights.
"""

import os
import signal
import sys
import time
from pathlib import Path

from lightning_modules.commands.launch import launch

DEFAULTS = {
    "devices": "1",
    "epochs": "3",
    "batches": "20",
    "step_s": "0.02",
    "save_every": "5",
    "timeout_s": "50",
}


def main() -> None:
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import EMAWeightAveraging
    from torch.utils.data import DataLoader, TensorDataset

    from datamodules.loading.loader import ResumableLoader
    from lightning_modules.callbacks.continuation import Continuation
    from lightning_modules.callbacks.finite_loss import FiniteLoss
    from lightning_modules.callbacks.last_checkpoint import LastCheckpoint
    from lightning_modules.callbacks.preemption import Preemption
    from lightning_modules.callbacks.random_state import RandomState
    from lightning_modules.callbacks.ranks import Agreement, Ranks
    from lightning_modules.callbacks.standard import Checkpoints, best_checkpoint
    from lightning_modules.processes.rank_launcher import watch_ranks
    from lightning_modules.run.checkpoints import AtomicCheckpointIO, first_readable
    from lightning_modules.run.folder import Run

    given = DEFAULTS | dict(argument.split("=", 1) for argument in sys.argv[1:])
    Path(given["root"]).mkdir(parents=True, exist_ok=True)

    class Order:
        """Batches of one element, shuffled by epoch."""

        def __init__(self) -> None:
            self.epoch = self.position = 0

        def __len__(self) -> int:
            return int(given["batches"])

        def seek(self, epoch: int, position: int) -> None:
            self.epoch, self.position = epoch, position

        def __iter__(self):
            order = torch.randperm(len(self), generator=torch.Generator().manual_seed(self.epoch))
            return iter(order[self.position :].unsqueeze(1).tolist())

    class Model(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.dropout = torch.nn.Dropout()
            self.batches = {"training": 0, "validation": 0}

        def training_step(self, batch, index):
            self.stop_at("training")
            time.sleep(float(given["step_s"]))
            if (
                given.get("fault")
                and self.trainer.global_rank == int(given["rank"])
                and self.global_step == 7
            ):
                FAULTS[given["fault"]]()
            loss = (self.dropout(self.layer(batch[0])) - 1).square().mean()
            self.log("train/loss", loss)
            return loss

        def stop_at(self, loop):
            self.batches[loop] += 1
            Path(given["root"], loop).touch()
            if given.get("stop_at") == f"{loop}:{self.batches[loop]}":
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)

        def validation_step(self, batch, index):
            self.stop_at("validation")
            time.sleep(float(given["step_s"]))
            self.log("val/loss", self.layer(batch[0]).square().mean(), sync_dist=True)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.01)

        def train_dataloader(self):
            return ResumableLoader(data, batch_sampler=Order(), generator=torch.Generator())  # pyright: ignore

        def val_dataloader(self):
            return DataLoader(data, batch_size=1, generator=torch.Generator())

    torch.manual_seed(0)
    data = TensorDataset(torch.linspace(-1, 1, int(given["batches"])).unsqueeze(1))
    run = Run(experiment="tiny", id="x", root=given["root"])
    ranks = Ranks(timeout_s=float(given["timeout_s"]))
    last = LastCheckpoint(
        run.last_checkpoint,
        previous=run.previous_checkpoint,
        every_n_train_steps=int(given["save_every"]),
    )
    best = best_checkpoint(run, Checkpoints(monitor="val/loss"))
    config = given.get(f"config{os.environ.get('LOCAL_RANK', '0')}", "seed_everything: 0\n")
    average = [EMAWeightAveraging(decay=float(given["average"]))] if "average" in given else []
    standard = [
        Continuation(config),
        Agreement(config, ranks),
        RandomState(),
        FiniteLoss(),
        Preemption(last),
        *best,
        last,
    ]
    trainer = Trainer(
        accelerator="cpu",
        devices=int(given["devices"]),
        strategy="ddp" if int(given["devices"]) > 1 else "auto",
        max_epochs=int(given["epochs"]),
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[*average, *standard],
    )
    watch_ranks(trainer)
    found = first_readable(run.restarts)
    trainer.fit(Model(), ckpt_path=found[0] if found else None, weights_only=True)
    Path(given["root"], f"ended{trainer.global_rank}").touch()


def fail() -> None:
    raise ValueError("a fault of this rank alone")


FAULTS = {
    "raises": fail,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(0),
    "hangs": lambda: time.sleep(1000),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}

if __name__ == "__main__":
    launch(main)
