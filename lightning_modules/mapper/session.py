"""A mapper in use: examples come and go, and it learns anew."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_modules.production.mapping import Mapper


class Session:
    """Records examples, learns them, and maps inputs to outputs.

    Args:
        mapper: Trained, e.g. loaded from a checkpoint; its examples are those of the session.

    Attributes:
        inputs: (example, input).
        outputs: (example, output), values or class indices.
        current: Output values that the next recorded inputs belong to; those of the last example at first.
        recording: Whether inputs that come become examples.
        running: Whether they are mapped.
    """

    def __init__(self, mapper: Mapper) -> None:
        if mapper.examples is None:
            raise ValueError("the mapper has learnt nothing yet: train it with lightning_modules.fit")
        self.mapper = mapper.eval()
        self.inputs, self.outputs = mapper.examples
        self.current: list[float] = self.outputs[-1].tolist()
        self.recording, self.running = False, True

    def add(self, inputs: Sequence[float], outputs: Sequence[float]) -> None:
        """Adds an example, which `train` learns.

        Raises:
            ValueError: Another number of values, or a class that does not exist.
        """
        self._check("inputs", inputs, self.mapper.input_names)
        self._check_outputs(outputs)
        self.inputs = torch.cat([self.inputs, self.inputs.new_tensor([inputs])])
        self.outputs = torch.cat([self.outputs, self.outputs.new_tensor([outputs])])

    def delete(self, rows: Sequence[int]) -> None:
        """Takes examples back, by their number from 0."""
        kept = torch.ones(len(self.inputs), dtype=torch.bool)
        kept[list(rows)] = False
        self.inputs, self.outputs = self.inputs[kept], self.outputs[kept]

    def train(self) -> float:
        """Learns the present examples from the start and returns the loss.

        Raises:
            ValueError: There are none.
        """
        if not len(self.inputs):
            raise ValueError("no examples: record some before training")
        return self.mapper.learn(self.inputs, self.outputs).item()

    def set_outputs(self, values: Sequence[float]) -> None:
        """Says which outputs the inputs recorded from now on belong to."""
        self._check_outputs(values)
        self.current = list(values)

    def receive(self, values: Sequence[float]) -> list[float] | None:
        """Takes one row of inputs: records it, and returns the outputs unless the session is stopped."""
        if self.recording:
            self.add(values, self.current)
        self._check("inputs", values, self.mapper.input_names)
        return self._map(self.mapper.network, self.inputs.new_tensor([values])) if self.running else None

    def hear(self, waveform: Tensor) -> list[float]:
        """Maps one window of sound, (time,), through the front end."""
        return self._map(self.mapper, waveform[None])

    @torch.inference_mode()
    def _map(self, function: torch.nn.Module, values: Tensor) -> list[float]:
        return function(values)[0].tolist()

    def _check_outputs(self, values: Sequence[float]) -> None:
        self._check("outputs", values, list(self.mapper.outputs))
        for value, (name, classes) in zip(values, self.mapper.outputs.items(), strict=True):
            if classes and value not in range(len(classes)):
                raise ValueError(f"{name}: no class of index {value:g} among {classes}")

    def _check(self, kind: str, values: Sequence[float], names: Sequence[str]) -> None:
        if len(values) != len(names) or not all(map(torch.isfinite, torch.tensor(values).unbind())):
            raise ValueError(f"{kind} {list(values)}: expected {len(names)} finite numbers, {list(names)}")
