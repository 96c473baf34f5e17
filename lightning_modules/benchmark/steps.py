"""Training steps of the platform against those of a bare loop, on the same module, optimizer and batches."""

import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from lightning_modules.base import EvaluatedModule

if TYPE_CHECKING:
    from lightning_modules.config.cli import Platform

WARMUP_STEPS = 1
ROUNDS = 9
MAX_STEPS = 50


class Instant(NamedTuple):
    """A moment in seconds, or the time between two.

    Attributes:
        wall: Of a clock that no adjustment moves.
        cpu: Processor time of this process, which other processes hardly change.
    """

    wall: float
    cpu: float

    def since(self, begin: "Instant") -> "Instant":
        """What has passed."""
        return Instant(self.wall - begin.wall, self.cpu - begin.cpu)


def now(device: torch.device) -> Instant:
    """The moment at which the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Instant(time.perf_counter(), time.process_time())


def name_of(device: torch.device) -> str:
    """What a device is called in a table."""
    on_gpu = device.type == "cuda"
    return torch.cuda.get_device_name(device) if on_gpu else f"cpu, {torch.get_num_threads()} threads"


class TakeTurns(Callback):
    """After every ``steps`` steps of the platform, runs as many of a bare loop on the same module.

    Of several ranks the first runs the bare loop, alone and without reducing gradients, while the others wait.

    Attributes:
        platform: Time of each block of platform steps.
        bare: Time of each block of bare steps, on rank zero.
    """

    def __init__(self, batches: Sequence[Any], budget_s: float) -> None:
        self.batches = batches
        self.budget_s = budget_s
        self.steps = 0
        self.platform: list[Instant] = []
        self.bare: list[Instant] = []
        self._begin = Instant(0.0, 0.0)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Ends a block of the platform when it is due, and lets the bare loop run."""
        done = batch_idx - WARMUP_STEPS
        if done == 0:
            self.steps = self._block_length(trainer, pl_module)
        elif done < 0 or done % self.steps:
            return
        else:
            self.platform.append(now(pl_module.device).since(self._begin))
            self.bare.append(self._bare_block(trainer, pl_module, self.steps))
            trainer.should_stop = len(self.bare) == ROUNDS
        self._begin = now(pl_module.device)

    def _block_length(self, trainer: Trainer, pl_module: LightningModule) -> int:
        """Steps a block, so that all blocks of both loops fit the budget; warms the bare loop up."""
        step_s = min(self._bare_block(trainer, pl_module, 1).wall for _ in range(2))
        step_s = trainer.strategy.broadcast(step_s)
        return max(1, min(MAX_STEPS, int(self.budget_s / step_s / ROUNDS / 2)))

    def _bare_block(self, trainer: Trainer, pl_module: LightningModule, steps: int) -> Instant:
        trainer.strategy.barrier()
        begin = end = now(pl_module.device)
        if trainer.is_global_zero:
            bare_steps(trainer, pl_module, list(islice(cycle(self.batches), steps)))
            end = now(pl_module.device)
        trainer.strategy.barrier()
        return end.since(begin)


def bare_steps(trainer: Trainer, module: LightningModule, batches: Sequence[Any]) -> None:
    """Takes a step on each batch without callbacks, loggers and the reduction of gradients over ranks.

    Args:
        trainer: Is training ``module``.
        module: Is trained.
        batches: On the CPU.
    """
    assert isinstance(module, EvaluatedModule)
    with _silenced(module):
        for index, batch in enumerate(batches):
            batch = trainer.strategy.batch_to_device(batch)
            if not module.automatic_optimization:
                module.training_step(batch, index)
                continue
            optimizer = trainer.optimizers[0]
            optimizer.zero_grad()
            with trainer.precision_plugin.train_step_context():
                loss: Any = module.training_step(batch, index)
            loss.backward()
            optimizer.step()
            module.after_optimizer_step()


class _silenced:  # noqa: N801
    """Takes logging out of a training step, which a bare loop would not have."""

    def __init__(self, module: LightningModule) -> None:
        self.module = module

    def __enter__(self) -> None:
        for name in ("log", "log_dict"):
            object.__setattr__(self.module, name, lambda *_, **__: None)

    def __exit__(self, *_: object) -> None:
        for name in ("log", "log_dict"):
            object.__delattr__(self.module, name)


def take_turns(platform: "Platform", batches: Sequence[Any], budget_s: float) -> TakeTurns:
    """Trains on ``batches``, over and over, and returns the times; the model is trained a little by it.

    Args:
        platform: The built configuration; its data module gives ``batches`` from here on.
        batches: Of the training split, on the CPU.
        budget_s: Seconds for the steps of both loops together.
    """
    turns = TakeTurns(batches, budget_s)
    platform.trainer.callbacks.insert(0, turns)  # pyright: ignore[reportAttributeAccessIssue]
    endless = list(islice(cycle(batches), WARMUP_STEPS + ROUNDS * MAX_STEPS + 1))
    platform.datamodule.train_dataloader = lambda: DataLoader(endless, batch_size=None)  # pyright: ignore
    platform.trainer.fit(platform.model, platform.datamodule)
    return turns


def step_figures(turns: TakeTurns) -> dict[str, Any]:
    """What the platform adds to a step, by the clock and in processor time: medians of the rounds' ratios.

    ``bare_spread`` is how much the bare loop's own blocks vary.
    """
    wall = [ours.wall / bare.wall for ours, bare in zip(turns.platform, turns.bare, strict=True)]
    cpu = [ours.cpu / bare.cpu for ours, bare in zip(turns.platform, turns.bare, strict=True)]
    return {
        "steps_per_block": turns.steps,
        "platform_steps_per_s": turns.steps / statistics.median(block.wall for block in turns.platform),
        "bare_steps_per_s": turns.steps / statistics.median(block.wall for block in turns.bare),
        "platform_over_bare": statistics.median(wall),
        "platform_over_bare_cpu": statistics.median(cpu),
        "platform_over_bare_rounds": wall,
        "platform_over_bare_cpu_rounds": cpu,
        "bare_spread": max(block.wall for block in turns.bare) / min(block.wall for block in turns.bare),
    }
