"""What a whole training step of a configuration costs, with batches of its size: memory and time.

Front end, network, objectives, backward pass and optimizer; fetching data is not in it.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from lightning_modules.benchmark.cost_counters import peak_bytes
from lightning_modules.benchmark.steps import bare_steps, name_of, now

if TYPE_CHECKING:
    from lightning_modules.config.cli import Platform

_MAX_TIMED = 9


def step_cost(platform: "Platform", budget_s: float) -> dict[str, Any]:
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
    model = platform.model
    network: Any = model.network or model
    parameters = sum(each.numel() for each in network.parameters())
    if not parameters:
        raise ValueError(f"{type(network).__name__} learns in one go: there is no training step to measure")
    figures: dict[str, Any] = {}

    def measure(trainer: Trainer, module: LightningModule, batch: Any) -> None:
        def step() -> None:
            bare_steps(trainer, module, [batch])

        held = [*_held(trainer, module), *(each for each in batch if isinstance(each, Tensor))]
        bytes_ = peak_bytes(step, device=module.device, held=held)  # and warms up
        seconds: list[float] = []
        while not seconds or (sum(seconds) + seconds[-1] < budget_s and len(seconds) < _MAX_TIMED):
            begin = now(module.device)
            step()
            seconds.append(now(module.device).since(begin).wall)
        figures.update(batch=list(batch[0].shape), step_gib=bytes_ / 2**30, step_s=min(seconds))

    at_second_step(platform, measure)
    return {
        "device": name_of(model.device),
        "precision": str(platform.trainer.precision),
        "parameters": parameters,
        **figures,
    }


def at_second_step(platform: "Platform", do: Callable[[Trainer, LightningModule, Any], None]) -> None:
    """Trains for one step, which makes gradients and the optimizer's state, does something, and ends the training.

    Args:
        platform: The built configuration.
        do: Is given trainer, model and a batch of the configuration's size, filled up where the data are few.
    """
    model, data = platform.model, platform.datamodule
    data.prepare_data()
    data.setup("fit")
    size = data.batch_size
    data.batch_size = min(size, len(data.rows["train"]))  # smaller data have no whole batch
    batch = next(iter(data.train_dataloader()))
    then = _Then(do, _of_rows(batch, max(size, len(batch[0]))))
    platform.trainer.callbacks.insert(0, then)  # pyright: ignore[reportAttributeAccessIssue]
    first = [_of_rows(batch, 2)] * 2
    data.train_dataloader = lambda: DataLoader(first, batch_size=None)  # pyright: ignore
    platform.trainer.fit(model, data)


class _Then(Callback):
    def __init__(self, do: Callable[[Trainer, LightningModule, Any], None], batch: Any) -> None:
        self._do, self._batch = do, batch

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Before the second step."""
        if batch_idx > 0:
            self._do(trainer, pl_module, self._batch)
            trainer.should_stop = True


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
