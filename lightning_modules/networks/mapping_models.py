"""Models that learn a mapping from a handful of examples within a second.

As in Wekinator (Fiebrink, Trueman and Cook, NIME 2009): every output has a model of its own, learnt from the same
examples; inputs and continuous outputs are scaled to [-1, 1] by the examples' range.

i: input, o: output, h: hidden unit, c: column; a continuous output has one column, a class output one a class.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MAX_STEPS = 300  # a second on one core; more change little


def scale_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Middle and half range of the columns of (example, column); 1 where a column is constant."""
    low, high = values.aminmax(dim=0)
    half = (high - low) / 2
    return (low + high) / 2, torch.where(half > 0, half, 1.0)


class Perceptron(nn.Module):
    """One hidden layer of tanh units an output, or none: linear and logistic regression.

    Trained on all examples at once by L-BFGS: squared error of continuous outputs, cross entropy of classes, and
    weight decay, which decides what lies between the examples. Equal examples give equal weights.

    Args:
        hidden_dim: Units an output; None is as many as inputs, Wekinator's default, 0 is linear.
        weight_decay: Factor of half the sum of squared weights, relative to the mean loss of the examples.
        seed: Of the first weights.
    """

    owner: Tensor
    input_centre: Tensor
    input_half: Tensor
    output_centre: Tensor
    output_half: Tensor

    def __init__(self, hidden_dim: int | None = None, *, weight_decay: float = 1e-4, seed: int = 0) -> None:
        super().__init__()
        if (hidden_dim or 0) < 0 or weight_decay < 0:
            raise ValueError(
                f"hidden_dim {hidden_dim}, weight_decay {weight_decay}: neither may be negative; hidden_dim 0 is linear"
            )
        self.hidden_dim, self.weight_decay, self.seed = hidden_dim, weight_decay, seed
        self.num_classes: list[int] = []
        self.register_parameter("hidden_weight", None)

    def build(self, inputs: Tensor, outputs: Tensor, num_classes: Sequence[int]) -> None:
        """Make parameters for these examples, see `fit`; the first weights depend on the seed alone."""
        self.num_classes = list(num_classes)
        columns = [max(classes, 1) for classes in num_classes]
        num_inputs, num_outputs = inputs.shape[1], len(columns)
        hidden_dim = num_inputs if self.hidden_dim is None else self.hidden_dim
        random = torch.Generator().manual_seed(self.seed)

        def uniform(*shape: int) -> nn.Parameter:
            bound = shape[-1] ** -0.5
            return nn.Parameter((torch.rand(shape, generator=random) * 2 - 1).mul_(bound).to(inputs.device))

        if hidden_dim:
            self.hidden_weight = uniform(num_outputs, hidden_dim, num_inputs)
            self.hidden_bias = uniform(num_outputs, hidden_dim)
        self.weight = uniform(sum(columns), hidden_dim or num_inputs)
        self.bias = nn.Parameter(inputs.new_zeros(sum(columns)))
        owner = torch.repeat_interleave(torch.arange(num_outputs), torch.tensor(columns))
        centre, half = scale_of(outputs)
        is_class = torch.tensor(num_classes, device=inputs.device) > 0
        self.register_buffer("owner", owner.to(inputs.device))  # (column,) output of each column
        for name, value in zip(("input_centre", "input_half"), scale_of(inputs), strict=True):
            self.register_buffer(name, value)
        self.register_buffer("output_centre", centre.masked_fill(is_class, 0))
        self.register_buffer("output_half", half.masked_fill(is_class, 1))

    def fit(self, inputs: Tensor, outputs: Tensor, num_classes: Sequence[int]) -> Tensor:
        """Learn from examples, from the start.

        Args:
            inputs: (example, input).
            outputs: (example, output), values or class indices.
            num_classes: Classes of each output; 0 where it is continuous.

        Returns:
            The loss without weight decay, the mean over outputs.
        """
        inputs, outputs = inputs.double(), outputs.double()  # L-BFGS stops early in the noise of float32
        self.build(inputs, outputs, num_classes)
        self.double()
        optimizer = torch.optim.LBFGS(
            self.parameters(), max_iter=_MAX_STEPS, tolerance_change=1e-10, line_search_fn="strong_wolfe"
        )
        weights = [weight for name, weight in self.named_parameters() if name.endswith("weight")]

        def closure() -> Tensor:
            optimizer.zero_grad()
            decay = sum(weight.square().sum() for weight in weights) / 2
            loss = self.loss(inputs, outputs) + self.weight_decay * decay
            loss.backward()
            return loss

        optimizer.step(closure)  # pyright: ignore[reportArgumentType]
        loss = self.loss(inputs, outputs).detach()
        self.float().zero_grad()
        return loss.float()

    def loss(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Mean loss of the outputs; a continuous one in units of half its range."""
        targets = (outputs - self.output_centre) / self.output_half
        losses = [
            F.cross_entropy(part, target.long()) if classes else F.mse_loss(part.squeeze(1), target)
            for part, target, classes in zip(
                self._parts(inputs), targets.unbind(dim=1), self.num_classes, strict=True
            )
        ]
        return torch.stack(losses).mean()

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, input) to (batch, output): values, and indices of the most probable classes."""
        values = [
            part.argmax(dim=1).to(part.dtype) if classes else part.squeeze(1)
            for part, classes in zip(self._parts(inputs), self.num_classes, strict=True)
        ]
        return torch.stack(values, dim=1) * self.output_half + self.output_centre

    def _parts(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Scaled values (batch, 1) or logits (batch, class) of each output."""
        x = (inputs - self.input_centre) / self.input_half
        if self.hidden_weight is not None:
            hidden = torch.tanh(torch.einsum("bi,ohi->boh", x, self.hidden_weight) + self.hidden_bias)
            columns = torch.einsum("bch,ch->bc", hidden[:, self.owner], self.weight) + self.bias
        else:
            columns = F.linear(x, self.weight, self.bias)
        return columns.split([max(classes, 1) for classes in self.num_classes], dim=1)


class NearestExamples(nn.Module):
    """The examples themselves: mean of the outputs of the nearest, and the class of most of them.

    Distance is Euclidean after scaling the inputs by the examples' range; of equally near examples the earlier, of
    equally frequent classes the first. One neighbour, Wekinator's default, gives the outputs of an example back.

    Args:
        num_neighbours: Taken into account, at most all examples.
    """

    inputs: Tensor
    outputs: Tensor
    input_centre: Tensor
    input_half: Tensor

    def __init__(self, num_neighbours: int = 1) -> None:
        super().__init__()
        if num_neighbours < 1:
            raise ValueError(f"num_neighbours must be at least 1, found {num_neighbours}")
        self.num_neighbours = num_neighbours
        self.num_classes: list[int] = []

    def build(self, inputs: Tensor, outputs: Tensor, num_classes: Sequence[int]) -> None:
        """Keep the examples, see `Perceptron.fit`."""
        self.num_classes = list(num_classes)
        centre, half = scale_of(inputs)
        buffers = {"inputs": inputs, "outputs": outputs, "input_centre": centre, "input_half": half}
        for name, value in buffers.items():
            self.register_buffer(name, value.clone())

    def fit(self, inputs: Tensor, outputs: Tensor, num_classes: Sequence[int]) -> Tensor:
        """Keep the examples, see `Perceptron.fit`; the loss is 0."""
        self.build(inputs, outputs, num_classes)
        return inputs.new_zeros(())

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, input) to (batch, output), as `Perceptron` does."""
        x, examples = ((points - self.input_centre) / self.input_half for points in (inputs, self.inputs))
        # the quick formula by matrix products would not give an example the distance 0 to itself
        distance = torch.cdist(x, examples, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distance.sort(dim=1, stable=True).indices[:, : self.num_neighbours]
        outputs = self.outputs[nearest]  # (batch, neighbour, output)
        values = [
            F.one_hot(output.long(), classes).sum(dim=1).argmax(dim=1).to(output.dtype)
            if classes
            else output.mean(dim=1)
            for output, classes in zip(outputs.unbind(dim=2), self.num_classes, strict=True)
        ]
        return torch.stack(values, dim=1)
