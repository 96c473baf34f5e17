"""What a whole training step of a configuration costs, with batches of its size: memory and time.

Front end, network, objectives, backward pass and optimizer; fetching data is not in it.
"""

from collections.abc import Iterator
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from lightning_modules.benchmark.cost_counters import peak_bytes
from lightning_modules.benchmark.steps import bare_steps, name_of, now
from lightning_modules.config.cli import Platform

_MAX_TIMED = 9


def step_cost(platform: Platform, budget_s: float) -> dict[str, Any]:
    """Takes some training steps on one batch, which is filled up with copies where the data are few.

    Args:
        platform: The built configuration.
        budget_s: Seconds for the timed steps; one is taken whatever it takes.

    Returns:
        ``device``, ``precision``, ``parameters`` of the network, shape of the ``batch``, ``step_gib``, the peak memory
        of a step, and ``step_s``, the fastest step. Memory is what PyTorch's allocator counts on CUDA, and on the CPU
        the tensors alive.

    Raises:
        ValueError: What learns has no parameters before it knows the data, and no steps.
    """
    model, data = platform.model, platform.datamodule
    network: Any = model.network or model
    parameters = sum(each.numel() for each in network.parameters())
    if not parameters:
        raise ValueError(f"{type(network).__name__} learns in one go: there is no training step to measure")
    data.prepare_data()
    data.setup("fit")
    size = data.batch_size
    data.batch_size = min(size, len(data.rows["train"]))  # smaller data have no whole batch
    batch = next(iter(data.train_dataloader()))
    measure = _Measure(_of_rows(batch, max(size, len(batch[0]))), budget_s)
    platform.trainer.callbacks.insert(0, measure)  # pyright: ignore[reportAttributeAccessIssue]
    first = [_of_rows(batch, 2)] * 2
    data.train_dataloader = lambda: DataLoader(first, batch_size=None)  # pyright: ignore
    platform.trainer.fit(model, data)
    return {
        "device": name_of(model.device),
        "precision": str(platform.trainer.precision),
        "parameters": parameters,
        "batch": list(measure.batch[0].shape),
        "step_gib": measure.bytes / 2**30,
        "step_s": min(measure.seconds),
    }


class _Measure(Callback):
    """Measures steps once the trainer has taken one, which makes gradients and the optimizer's state.

    Attributes:
        batch: Of the measured steps.
        bytes: Peak memory of the first, which warms up.
        seconds: Of the others.
    """

    def __init__(self, batch: Any, budget_s: float) -> None:
        self.batch, self.budget_s = batch, budget_s
        self.bytes = 0
        self.seconds: list[float] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Measures before the second step, and ends the training."""
        if batch_idx == 0:
            return
        held = [*_held(trainer, pl_module), *(each for each in self.batch if isinstance(each, Tensor))]
        self.bytes = peak_bytes(lambda: self._step(trainer, pl_module), device=pl_module.device, held=held)
        while not self.seconds or (
            sum(self.seconds) + self.seconds[-1] < self.budget_s and len(self.seconds) < _MAX_TIMED
        ):
            begin = now(pl_module.device)
            self._step(trainer, pl_module)
            self.seconds.append(now(pl_module.device).since(begin).wall)
        trainer.should_stop = True

    def _step(self, trainer: Trainer, module: LightningModule) -> None:
        bare_steps(trainer, module, [self.batch])


def _held(trainer: Trainer, module: LightningModule) -> Iterator[Tensor]:
    """Weights, gradients and states of optimizers."""
    yield from module.parameters()
    yield from module.buffers()
    yield from (each.grad for each in module.parameters() if each.grad is not None)
    for optimizer in trainer.optimizers:
        yield from (each for each in tree_leaves(dict(optimizer.state)) if isinstance(each, Tensor))


def _of_rows(batch: Any, number: int) -> Any:
    """A batch of `number` rows: the first, and again from the beginning where there are fewer."""
    rows = [row % len(batch[0]) for row in range(number)]

    def taken(column: Any) -> Any:
        if isinstance(column, Tensor):
            return column[rows]
        if isinstance(column, list):
            return [column[row] for row in rows]
        return {name: taken(each) for name, each in column.items()} if isinstance(column, dict) else column

    return type(batch)(*map(taken, batch))
