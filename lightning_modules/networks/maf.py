"""MAF: masked autoregressive flow, the density of spectrogram snippets given a machine.

Sources: Papamakarios et al., "Masked autoregressive flow for density estimation" (NeurIPS 2017) with the layers
of Germain et al., "MADE" (ICML 2015) and the batch norm of Dinh et al., "Density estimation using Real NVP"
(ICLR 2017); Haunschmid and Praher (DCASE 2020) for its use. Letters b batch, d variable.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from lightning_modules.networks.cpu_rule import is_trained_on_cpu

_ROWS = 256  # units of a product: fewer leave out more, and take more of them


class MaskedLinear(nn.Linear):
    """Linear layer whose units see only inputs of at most their own degree (MADE paper, eq. 13).

    Trained on a CPU, it sorts units by degree and leaves out most of the products with the half of the weights that is
    zero: sums of the same terms, in another order.

    Args:
        in_degrees: int64 (in,).
        out_degrees: int64 (out,).
    """

    in_degrees: Tensor
    out_degrees: Tensor

    def __init__(self, in_degrees: Tensor, out_degrees: Tensor) -> None:
        super().__init__(len(in_degrees), len(out_degrees))
        # A mask would make a training step 1 % faster, but distributed training would broadcast its megabytes.
        self.register_buffer("in_degrees", in_degrees, persistent=False)
        self.register_buffer("out_degrees", out_degrees, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(b, in) -> (b, out), by a weight with zeros where the mask forbids."""
        if is_trained_on_cpu(x) and self.weight.dtype == x.dtype:
            return _OfSorted.apply(x, self.weight, self.bias, self.in_degrees, self.out_degrees)  # pyright: ignore
        weight = torch.where(self.out_degrees[:, None] >= self.in_degrees, self.weight, 0)
        return F.linear(x, weight, self.bias)


class _OfSorted(torch.autograd.Function):
    """Product with weights sorted by degree, `_ROWS` units at a time, each with the inputs that one of them sees."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, in_degrees: Tensor, out_degrees: Tensor
    ) -> Tensor:
        columns, rows = in_degrees.argsort(stable=True), out_degrees.argsort(stable=True)
        ctx.columns, ctx.rows = columns, rows
        ctx.steps = list(_steps(in_degrees[columns], out_degrees[rows]))
        x = x.index_select(1, columns)
        weight = weight.index_select(0, rows).index_select(1, columns)
        bias = bias.index_select(0, rows)
        y = x.new_empty(len(x), len(rows))
        for step in ctx.steps:
            weight[step.units, step.some].masked_fill_(step.forbidden, 0)
            seen = weight[step.units, step.seen].t()
            torch.addmm(bias[step.units], x[:, step.seen], seen, out=y[:, step.units])
        ctx.save_for_backward(x, weight)
        return y.index_select(1, rows.argsort())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        back, of_bias = ctx.columns.argsort(), grad.sum(0)
        grad = grad.index_select(1, ctx.rows)
        of_x, of_weight = torch.zeros_like(x), torch.zeros_like(weight)
        for step in ctx.steps:
            units = grad[:, step.units]
            if ctx.needs_input_grad[0]:
                of_x[:, step.seen].addmm_(units, weight[step.units, step.seen])
            torch.mm(units.t(), x[:, step.seen], out=of_weight[step.units, step.seen])
            of_weight[step.units, step.some].masked_fill_(step.forbidden, 0)
        of_weight = of_weight.index_select(0, ctx.rows.argsort()).index_select(1, back)
        return of_x.index_select(1, back), of_weight, of_bias, None, None


class _Step(NamedTuple):
    """Units of one product.

    Attributes:
        units: Them, of all that are sorted.
        seen: Inputs that at least one of them sees.
        some: Those that not all of them see.
        forbidden: Which unit (row) does not see which of these.
    """

    units: slice
    seen: slice
    some: slice
    forbidden: Tensor


def _steps(in_degrees: Tensor, out_degrees: Tensor) -> Iterator[_Step]:
    """Of sorted degrees."""
    for begin in range(0, len(out_degrees), _ROWS):
        units = slice(begin, begin + _ROWS)
        degrees = out_degrees[units]
        all_see, one_sees = torch.searchsorted(in_degrees, degrees[[0, -1]], right=True).tolist()
        some = slice(all_see, one_sees)
        yield _Step(units, slice(one_sees), some, degrees[:, None] < in_degrees[some])


class MADE(nn.Module):
    """Normalize each variable by a mean and a scale that depend on the earlier ones (MAF paper, eq. 4).

    Args:
        input_dim: Variables, at least 2.
        hidden_dim: Units of every hidden layer.
        num_hidden: Hidden layers after the first.
        num_conditions: Values of the condition; 0 for none.
        backwards: Whether the last variable is the earliest.
    """

    def __init__(
        self, input_dim: int, hidden_dim: int, num_hidden: int, num_conditions: int, *, backwards: bool
    ) -> None:
        super().__init__()
        order = torch.arange(input_dim)
        order = order.flip(0) if backwards else order
        hidden = [torch.arange(hidden_dim) % (input_dim - 1)] * (num_hidden + 1)
        # Mean and scale of variable i see only degrees below i.
        degrees = [order, *hidden, (order - 1).repeat(2)]
        self.layers = nn.ModuleList(MaskedLinear(*pair) for pair in pairwise(degrees))
        self.condition = None
        if num_conditions:
            self.condition = nn.Embedding(num_conditions, hidden_dim)
            nn.init.uniform_(self.condition.weight, 0, num_conditions**-0.5)

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map x (b, d) to u (b, d) and log|det du/dx| (b,)."""
        first, *others = self.layers
        h = first(x)
        if self.condition is not None:
            h = h + self.condition(condition)
        for layer in others:
            h = layer(h.relu())
        # Half precision perturbs the two functions, not the change of variables made with them.
        shift, log_scale = h.to(torch.promote_types(h.dtype, x.dtype)).chunk(2, dim=1)
        return (x - shift) * torch.exp(-log_scale), -log_scale.sum(1)


class FlowBatchNorm(nn.Module):
    """Batch norm as an invertible layer of a flow (Real NVP paper, appendix E).

    As published with the DCASE system: unbiased variance of the batch, running statistics that keep 0.9 of their
    value. Processes of distributed training normalize by their own batches.

    Args:
        dim: Variables.
    """

    running_mean: Tensor
    running_var: Tensor
    momentum, eps = 0.1, 1e-5

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_gamma = nn.Parameter(torch.zeros(dim))
        self.beta = nn.Parameter(torch.zeros(dim))
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_var", torch.ones(dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (b, d) to u (b, d) and log|det du/dx|, a scalar."""
        mean, var = self.running_mean, self.running_var
        if self.training:
            if len(x) < 2:
                raise ValueError(
                    "a batch of 1 has no variance: train the flow on batches of at least 2 snippets"
                )
            var, mean = torch.var_mean(x, dim=0)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(var.detach(), self.momentum)
        u = (x - mean) * (var + self.eps).rsqrt() * self.log_gamma.exp() + self.beta
        return u, (self.log_gamma - 0.5 * torch.log(var + self.eps)).sum()


class MAF(nn.Module):
    """Masked autoregressive flow on vectors, conditioned on a class.

    Args:
        input_dim: Variables d, as 4 frames of 128 mel bands.
        hidden_dim: Units of every hidden layer.
        num_hidden: Hidden layers after the first, in every block.
        num_blocks: MADE layers, each followed by a batch norm; every other one takes the variables backwards.
        num_conditions: Values of the condition, as machine ids; 0 for a flow without.
    """

    def __init__(
        self,
        input_dim: int = 512,
        hidden_dim: int = 2048,
        num_hidden: int = 1,
        num_blocks: int = 4,
        num_conditions: int = 41,
    ) -> None:
        super().__init__()
        if input_dim < 2:
            raise ValueError(f"input_dim={input_dim}: an autoregressive flow needs at least 2 variables")
        self.num_conditions = num_conditions
        self.made = nn.ModuleList(
            MADE(input_dim, hidden_dim, num_hidden, num_conditions, backwards=bool(i % 2))
            for i in range(num_blocks)
        )
        self.batch_norm = nn.ModuleList(FlowBatchNorm(input_dim) for _ in range(num_blocks))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to normal noise.

        Args:
            x: (b, d).
            condition: int64 (b,); None in a flow without conditions.

        Returns:
            u (b, d) and log|det du/dx| (b,).

        Raises:
            ValueError: For a condition that is missing, not wanted or out of range; the range is looked at only
                on the CPU, elsewhere the device's own check remains.
        """
        self._check(condition)
        log_det = x.new_zeros(len(x))
        for made, batch_norm in zip(self.made, self.batch_norm, strict=True):
            x, made_log_det = made(x, condition)
            x, norm_log_det = batch_norm(x)
            log_det = log_det + made_log_det + norm_log_det
        return x, log_det

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log density (b,) of x (b, d) given its condition (b,), in nats."""
        u, log_det = self(x, condition)
        return log_det - 0.5 * u.square().sum(1) - 0.5 * math.log(2 * math.pi) * u.shape[1]

    def marginal_log_prob(self, x: Tensor, conditions: Tensor, *, rows_at_once: int = 8192) -> Tensor:
        """Log of the mean of p(x | y) over conditions y; for all of them, the log density of x alone.

        Args:
            x: (b, d).
            conditions: int64 (n,), each as likely as the others.
            rows_at_once: Pairs of x and condition evaluated together; bounds the memory.

        Returns:
            (b,), in nats.

        Raises:
            ValueError: In training mode, whose batch statistics would mix the conditions.
        """
        if self.training:
            raise ValueError("marginal_log_prob needs evaluation mode: call eval() on the flow first")
        n = len(conditions)
        log_probs = []
        for part in x.split(max(1, rows_at_once // n)):
            pairs = repeat(part, "b d -> (b n) d", n=n), conditions.repeat(len(part))
            log_probs.append(rearrange(self.log_prob(*pairs), "(b n) -> b n", n=n).logsumexp(1))
        return torch.cat(log_probs) - math.log(n)

    def _check(self, condition: Tensor | None) -> None:
        if (condition is None) != (self.num_conditions == 0):
            given = "none" if condition is None else "one"
            raise ValueError(f"this MAF has {self.num_conditions} conditions, but {given} was given")
        if condition is not None and condition.device.type == "cpu" and len(condition):
            low, high = condition.min().item(), condition.max().item()
            if low < 0 or high >= self.num_conditions:
                wrong = low if low < 0 else high
                raise ValueError(
                    f"condition {wrong} is not in 0 to {self.num_conditions - 1}, this MAF's range"
                )
