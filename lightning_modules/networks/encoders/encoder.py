"""What pretrained encoders share: which hidden states they give, and how much of them trains."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from lightning_modules.networks.encoders.lora import (
    LoRA,
    adapted,
    add_lora,
    merge_lora,
    refuse_without_effect,
)
from lightning_modules.networks.weights import load_strictly

Layers = Literal["last", "blocks", "all"] | int | list[int]
Trainable = Literal["none", "all", "lora"] | int
Rows = Literal["mean", "stack", "all"]


class Hidden(NamedTuple):
    """Hidden states of a batch.

    Attributes:
        states: (batch, layer, time, dim), layers in the order in which they were asked for.
        length: int64 (batch,), time steps of each clip; what follows is of padding.
        class_tokens: (batch, layer, token, dim) of encoders that have such tokens, else None.
    """

    states: Tensor
    length: Tensor
    class_tokens: Tensor | None = None


class Stages(NamedTuple):
    """What an encoder computed on the way.

    Attributes:
        states: The input of the first block and what each block gave, (batch, token, dim); class tokens come first,
            then patches, of which the rows of one time step are neighbours.
        last: What the encoder ends in, after its last norm; None where it was not asked for.
        length: int64 (batch,), time steps of each clip.
    """

    states: Sequence[Tensor]
    last: Tensor | None
    length: Tensor


class Encoder(nn.Module, ABC):
    """A stack of blocks, of which any part may train.

    A subclass builds its modules, loads their weights and calls `choose` last; it implements `blocks` and `encode`, and
    states `width`, `shortest` and, where something follows the last block, `after_blocks`.

    Args:
        layers: Which hidden states `forward` gives. ``last`` is what the encoder ends in, after its last norm;
            ``all`` are the input of the first block and what every block gives, numbered from 0, before any norm that
            follows the last block; ``blocks`` leaves out number 0; a number or several choose of ``all``.
        trainable: ``all``, ``none``, the number of blocks on top that train, or ``lora``. What does not train works as
            in evaluation: no gradient, no dropout, no change of statistics.
        lora: Which layers are adapted, for ``trainable: lora``.
        rows: Of encoders of spectrogram patches, what becomes of the rows (bands) of one time step: their ``mean``,
            side by side in one state (``stack``), or each a state of its own (``all``).

    Attributes:
        dim: Width of a hidden state as `forward` gives it.
        num_layers: Number of hidden states that `forward` gives.
        weights_sha256: Fingerprint of the file that the weights came from, see `weights.fingerprint`; None of an
            encoder that began anew.
    """

    num_rows = 1
    """Patches of a time step."""

    num_class_tokens = 0

    width: int
    """Of a token."""

    shortest: tuple[int, ...]
    """Shape of the shortest clip that it hears, (..., time)."""

    weights_sha256: str | None = None

    def __init__(
        self,
        *,
        layers: Layers = "last",
        trainable: Trainable = "all",
        lora: LoRA | None = None,
        rows: Rows = "mean",
    ) -> None:
        super().__init__()
        if trainable == "lora" and lora is None:
            raise ValueError("trainable=lora: lora: {targets: [...]} says what is adapted")
        if lora is not None and trainable != "lora":
            raise ValueError(
                f"lora: goes with trainable=lora, and trainable={trainable}: set it, or leave lora out"
            )
        self.layers, self.trainable, self.lora, self.rows = layers, trainable, lora, rows

    @property
    def _training_blocks(self) -> Sequence[nn.Module]:
        """The blocks on top of those that are needed which train, where not all of the encoder does."""
        return self.blocks[self._top - self.trainable : self._top] if isinstance(self.trainable, int) else ()

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks from the input to the output."""

    @property
    def after_blocks(self) -> Sequence[nn.Module]:
        """What follows the last block, and is computed for ``layers: last`` alone."""
        return ()

    @abstractmethod
    def encode(self, inputs: Tensor, length: Tensor | None, *, depth: int, last: bool) -> Stages:
        """Computes the hidden states.

        Args:
            inputs: What the encoder hears, (batch, ..., time).
            length: int64 (batch,), of each clip in steps of ``inputs``; None where all fill the batch.
            depth: Number of blocks that are needed.
            last: Whether what the encoder ends in is needed; ``depth`` is all blocks then.
        """
        ...

    @property
    def dim(self) -> int:
        """Width of a hidden state as `forward` gives it."""
        return self.width * (self.num_rows if self.rows == "stack" else 1)

    @property
    def num_layers(self) -> int:
        """Number of hidden states that `forward` gives."""
        return len(self._chosen) or 1

    @property
    def _top(self) -> int:
        """Number of blocks that are needed."""
        return self._chosen[-1] if self._chosen else len(self.blocks)

    @property
    def _chosen(self) -> list[int]:
        """Of `Stages.states`; empty stands for the last one."""
        depth = len(self.blocks)
        named = {"last": [], "blocks": list(range(1, depth + 1)), "all": list(range(depth + 1))}
        if isinstance(self.layers, str):
            return named[self.layers]
        return [self.layers] if isinstance(self.layers, int) else self.layers

    def choose(self) -> None:
        """Lets only that train which shall and whose states are given, and sets the mode of all.

        Raises:
            ValueError: There is no such layer, or there are not so many blocks, or nothing to adapt by that name.
        """
        depth, chosen = len(self.blocks), self._chosen
        if any(not 0 <= layer <= depth for layer in chosen) or chosen != sorted(set(chosen)):
            raise ValueError(
                f"layers={self.layers}: {type(self).__name__} has layers 0 (the input of its first block) to {depth},"
                " to be named in their order"
            )
        if isinstance(self.trainable, int) and not 0 < self.trainable <= self._top:
            raise ValueError(
                f"trainable={self.trainable}: layers={self.layers} of {type(self).__name__} needs {self._top} blocks;"
                " none is 'none', all of it 'all'"
            )
        if self.trainable != "all":
            self.requires_grad_(False)
        if self.lora is not None:
            add_lora(self, self.lora)
        for block in self._training_blocks:
            block.requires_grad_()
        if chosen:  # what lies above is never computed
            for module in (*self.blocks[self._top :], *self.after_blocks):
                module.requires_grad_(False)
        self.train()
        if self.lora is not None:
            parameter = next(self.blocks[0].parameters())
            clip = torch.zeros(1, *self.shortest, dtype=parameter.dtype, device=parameter.device)
            refuse_without_effect(self, self(clip).states)

    def load_state(self, tensors: dict[str, Tensor], path: str | Path) -> None:
        """Load the encoder of a published detector, every tensor of it.

        Args:
            tensors: By the names of the encoder's own published code, which a subclass translates.
            path: Where they are from, for messages.

        Raises:
            ValueError: They are of another encoder.
        """
        load_strictly(self, tensors, path)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of what trains; the rest stays in that of evaluation."""
        super().train(mode and self.trainable == "all")
        for block in self._training_blocks:
            block.train(mode)
        for _, layer in adapted(self):
            layer.lora_dropout.train(mode)
        return self

    def merge(self) -> Self:
        """Makes an adapted encoder a plain one, with the names that it has without LoRA; nothing of it trains then."""
        merge_lora(self)
        self.requires_grad_(False)
        self.trainable, self.lora = "none", None
        return self.train(self.training)

    def from_weights(self) -> set[str]:
        """Names of what the file of weights tells and training leaves as it is, of the entries of the state.

        A checkpoint may leave them out, where it notes `weights_sha256`; empty of an encoder that began anew or trains
        as a whole.
        """
        if self.weights_sha256 is None or self.trainable == "all":
            return set()
        changing = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        statistics = {id(buffer) for module in self._training_blocks for buffer in module.buffers()}
        changing |= {name for name, buffer in self.named_buffers() if id(buffer) in statistics}
        return {name for name in self.state_dict() if name not in changing and ".lora_" not in name}

    def former_state(self) -> dict[str, Tensor]:
        """What checkpoints leave out; see `weights.completed`."""
        left_out = self.from_weights()
        return {name: tensor for name, tensor in self.state_dict().items() if name in left_out}

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name, tensor in self.former_state().items():
            state_dict.setdefault(prefix + name, tensor)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def as_packaged(self) -> dict[str, Any]:
        """Arguments in place of the configuration's, with which a package builds the encoder that `merge` makes."""
        return {"weights": None, "trainable": "none", "lora": None, **self.as_built()}

    def as_built(self) -> dict[str, Any]:
        """Arguments in place of the configuration's, where a file of weights decides them."""
        return {}

    def depth_of(self, name: str) -> int:
        """How deep a parameter lies: 0 before the blocks, then the number of its block, and one more after them."""
        parts = [*self.blocks, *self.after_blocks]
        names = {module: prefix for prefix, module in self.named_modules()}
        for depth, part in enumerate(parts, start=1):
            if name.startswith(f"{names[part]}."):
                return min(depth, len(self.blocks) + 1)
        return 0

    def forward(self, inputs: Tensor, length: Tensor | None = None) -> Hidden:
        """Encode clips.

        Args:
            inputs: What the encoder hears, (batch, ..., time): waveforms, or the features of its front end.
            length: int64 (batch,), of each clip in steps of ``inputs``; None where all fill the batch.
        """
        chosen = self._chosen
        with torch.no_grad() if self.trainable == "none" else nullcontext():
            states, last, length = self.encode(inputs, length, depth=self._top, last=not chosen)
            layers = [states[number] for number in chosen] if last is None else [last]
            tokens = torch.stack(layers, dim=1)  # (batch, layer, token, dim)
        classes, patches = tokens.split(
            [self.num_class_tokens, tokens.shape[2] - self.num_class_tokens], dim=2
        )
        return Hidden(self._in_time(patches), self._steps(length), classes if self.num_class_tokens else None)

    def _in_time(self, patches: Tensor) -> Tensor:
        if self.num_rows == 1 or self.rows == "all":
            return patches
        if self.rows == "stack":
            return rearrange(patches, "b l (t f) d -> b l t (f d)", f=self.num_rows)
        return rearrange(patches, "b l (t f) d -> b l t f d", f=self.num_rows).mean(dim=3)

    def _steps(self, length: Tensor) -> Tensor:
        return length * self.num_rows if self.rows == "all" else length
