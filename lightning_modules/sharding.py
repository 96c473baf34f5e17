"""Parameters, gradients and optimizer states spread over all ranks."""

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.strategies.parallel import ParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from lightning_modules.callbacks.network import blocks_of

_WHOLE = StateDictOptions(full_state_dict=True)


class ShardedStrategy(ModelParallelStrategy):
    """Trains with the ``network`` sharded over all ranks, block by block (PyTorch's FSDP2).

    Each rank keeps 1/N of the parameters, gradients and optimizer states, and gathers a block's parameters while it
    computes the block. Checkpoints are whole, as those of one process, and evaluation runs on whole networks.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)
        self._whole: nn.Module | None = None

    def setup_environment(self) -> None:
        """Lets all ranks share one network."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        """Shards the network, once it has its head and its restored weights, and builds the optimizer of the shards."""
        module = self.lightning_module
        assert module is not None
        module.configure_model = _nothing_left
        if trainer.state.fn == TrainerFn.FITTING:
            self._shard()
        super().setup(trainer)

    def _shard(self) -> None:
        module: Any = self.lightning_module
        for name, parameter in module.named_parameters():
            if parameter.requires_grad and not name.startswith("network."):
                raise ValueError(
                    f"{name} is trained outside of model.network, which alone is sharded: use ddp"
                )
        self._whole = copy.deepcopy(module.network)
        for parameter in module.network.parameters():  # FSDP2 takes no other layout, such as channels last
            parameter.data = parameter.data.contiguous()
        mesh = self.device_mesh["data_parallel"]
        blocks = list(blocks_of(module.network))
        holders = Counter(part for block in blocks for part in block.modules())
        shared = [part for part, count in holders.items() if count > 1]  # read before any block that holds it
        for part in (*shared, *blocks):
            fully_shard(part, mesh=mesh)
        fully_shard(module.network, mesh=mesh)

    def on_train_end(self) -> None:
        """Puts the network together again, for evaluation."""
        module: Any = self.lightning_module
        assert self._whole is not None
        state = get_model_state_dict(module.network, options=_WHOLE)
        self._whole.load_state_dict(state)
        module.network, self._whole = self._whole, None
        self.optimizers, self.lr_scheduler_configs = [], []  # of the shards

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        """Writes one whole file on rank zero, by the run's own writer."""
        ParallelStrategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        """False: data must know where to go on before a schedule asks for loaders, and whole networks take weights."""
        return False

    @property
    def lightning_restore_optimizer(self) -> bool:
        """True: optimizers, of shards, are restored by `load_optimizer_state_dict`."""
        return True

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a whole checkpoint, whatever strategy wrote it."""
        return ParallelStrategy.load_checkpoint(self, checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Loads weights into the network, which is sharded later."""
        ParallelStrategy.load_model_state_dict(self, checkpoint, strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes each rank's share.

        Lightning's own takes the numbers of an optimizer's parameters for their order in the model, which they are not
        where there are several groups.
        """
        module = self.lightning_module
        assert module is not None
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            set_optimizer_state_dict(module, optimizer, _by_name(state, optimizer, module), options=_WHOLE)


def _nothing_left() -> None:
    """For a hook that Lightning insists on, and calls before weights are restored."""


def _by_name(state: dict[str, Any], optimizer: Optimizer, module: nn.Module) -> dict[str, Any]:
    """Names the parameters that an optimizer's state numbers; both list them by group, in the same order."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    named = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    name_of = dict(zip(numbers, named, strict=True))
    return {
        "state": {name_of[number]: of_parameter for number, of_parameter in state["state"].items()},
        "param_groups": [
            group | {"params": [name_of[number] for number in group["params"]]}
            for group in state["param_groups"]
        ],
    }
