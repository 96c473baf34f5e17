"""A mapping from inputs, or from a sound, to control values, learnt from a handful of examples."""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lightning_modules.base import EvaluatedModule, Split
from lightning_modules.frontends import Descriptors
from lightning_modules.run.rows import Report, Row

Outputs = dict[str, list[str]]
"""Output -> its class names by index; none where it is continuous."""


class Mapper(EvaluatedModule[Any]):
    """Learns from all examples at once, in one step, from the start.

    Args:
        network: `lightning_modules.networks.Perceptron` or `NearestExamples`: learns by ``fit(inputs, outputs,
            num_classes)``, returning the loss; ``build`` of the same makes parameters of the sizes that these need.
        frontend: (batch, time) waveforms -> (batch, input), with the ``names`` of the inputs; None where examples
            are numbers.

    Attributes:
        outputs: Output -> class names, from the data of training; checkpoints keep them, the names of the inputs and
            the examples.
        input_names: Of the inputs.
        examples: Inputs (example, input) and outputs (example, output) that it learnt from.
    """

    def __init__(self, network: nn.Module, *, frontend: nn.Module | None = None) -> None:
        super().__init__(network, frontend or nn.Identity())
        self.automatic_optimization = False  # the network's own `fit` is the step
        self.outputs: Outputs = {}
        self.input_names: list[str] = []
        self.examples: tuple[Tensor, Tensor] | None = None

    def setup(self, stage: str) -> None:
        """Takes the names of inputs and outputs from the data.

        Raises:
            ValueError: The checkpoint was trained on others, or the data are audio and there is no front end.
        """
        data = self.data
        if not hasattr(data, "outputs"):
            raise ValueError(
                f"data: {type(data).__name__} has no examples of inputs and outputs: set data to MappingExamples"
            )
        names = data.input_names or (self.frontend.names if isinstance(self.frontend, Descriptors) else None)
        if names is None:
            raise ValueError(
                "the examples are audio files: set model.frontend to lightning_modules.frontends.Descriptors"
            )
        found = (names, dict(data.outputs))
        if self.outputs and found != (self.input_names, self.outputs):
            raise ValueError(
                f"trained on {self.input_names} -> {self.outputs}, and the data have {found[0]} -> {found[1]}: take"
                " the same columns or start anew"
            )
        self.input_names, self.outputs = found

    @property
    def num_classes(self) -> list[int]:
        """Classes of each output, 0 where it is continuous."""
        return [len(names) for names in self.outputs.values()]

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, input) or waveforms (batch, time) to (batch, output): values and class indices."""
        with torch.autocast(inputs.device.type, enabled=False):
            return self.network(self.frontend(inputs.float()))

    def learn(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Forgets everything, learns these examples, (example, input) -> (example, output), and returns the loss."""
        with torch.autocast(inputs.device.type, enabled=False):
            loss = self.network.fit(inputs, outputs, self.num_classes)
        self.examples = (inputs, outputs)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Learns the examples of the batch, which are all."""
        with torch.no_grad():
            inputs = self.frontend(batch.inputs.float())
        self.log("train/loss", self.learn(inputs, batch.outputs.float()), prog_bar=True, batch_size=1)

    def configure_optimizers(self) -> list[Any]:
        """None: the network's `fit` has its own."""
        return []

    def scorer(self) -> None:
        """None: inputs are mapped, and have no score."""

    def score(self, batch: Any) -> Tensor:
        """Returns the outputs, (batch, output)."""
        return self(batch.inputs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the examples and the names of inputs and outputs."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["mapping"] = {
            "input_names": self.input_names,
            "outputs": self.outputs,
            "examples": self.examples,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores them, and makes parameters for them."""
        super().on_load_checkpoint(checkpoint)
        mapping = checkpoint["mapping"]
        self.input_names, self.outputs = mapping["input_names"], mapping["outputs"]
        self.examples = mapping["examples"]
        if self.examples is not None:
            self.network.build(*self.examples, self.num_classes)

    def report(self, datamodule: Any, split: Split) -> Report:
        """Evaluates the outputs that the last validation or test loop gathered."""
        examples, predicted = self.scored(datamodule, split)
        target = torch.tensor(np.stack([example.outputs for example in examples]))
        rows = [
            {
                "output": name,
                **output_metrics(predicted[:, column], target[:, column], is_class=bool(classes)),
            }
            for column, (name, classes) in enumerate(self.outputs.items())
        ]
        unseen = datamodule.unseen(split)
        return Report(
            keys=[example.key for example in examples],
            scores=predicted.numpy(),
            metrics={
                f"{metric}_{row['output']}": cast(float, value)
                for row in rows
                for metric, value in row.items()
                if metric != "output" and value == value
            },
            table=rows,
            data="" if unseen else "training examples",
            warnings=[]
            if unseen
            else [f"no {split}.csv: these are figures on the training examples themselves"],
        )


def output_metrics(predicted: Tensor, target: Tensor, *, is_class: bool) -> Row:
    """Figures of one output, NaN where they do not apply.

    Args:
        predicted: (example,).
        target: (example,).
        is_class: Whether the values are class indices.

    Returns:
        ``r2``, 1 minus the squared error by that of the mean of the targets, and ``mae`` in the output's unit; of
        classes ``accuracy``.
    """
    predicted, target = predicted.double(), target.double()
    nan = float("nan")
    if is_class:
        return {"r2": nan, "mae": nan, "accuracy": (predicted == target).double().mean().item()}
    error = (predicted - target).square().sum() / (target - target.mean()).square().sum()
    r2 = (1 - error).item() if torch.isfinite(error) else nan  # the targets are all alike
    return {"r2": r2, "mae": (predicted - target).abs().mean().item(), "accuracy": nan}
