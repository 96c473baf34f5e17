"""Inter-instance correlation: embeddings approach those of their class and leave those of the other."""

from copy import deepcopy
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class InterInstance(nn.Module):
    """Compare embeddings with a labelled memory of a momentum encoder (paper section 3.2, eq. 3 and 4).

    One training step: ``loss = inter_instance(embedding, target)``, then
    ``inter_instance.enqueue(inter_instance.keys(features), target)``, and after the optimizer's step
    ``inter_instance.update(network)``. `bind` comes first, once, before checkpoints are loaded.

    The momentum encoder follows the network's parameters by eq. 3, takes its buffers (batch norm statistics)
    as they are, and works in evaluation mode: memory entries then carry neither dropout noise nor the
    statistics of the batch they happened to be in. Parameters that do not train it shares with the network: of an
    encoder that is frozen or adapted by LoRA there is one, in memory and in checkpoints.

    Args:
        weight: Of the loss in the sum of all losses.
        momentum: α of eq. 3, in [0, 1).
        bank_size: Entries of the memory, the oldest replaced first.
    """

    encoder: nn.Module
    bank: Tensor
    labels: Tensor
    pointer: Tensor

    def __init__(self, weight: float = 1.0, *, momentum: float = 0.999, bank_size: int = 4096) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum} must be in [0, 1); the paper's α, 0.999 by default")
        if bank_size < 1:
            raise ValueError(f"bank_size={bank_size} must be at least 1")
        self.weight = weight
        self.momentum = momentum
        self.bank_size = bank_size

    def bind(self, network: nn.Module) -> None:
        """Build the momentum encoder and an empty memory; what the network trains is settled by then.

        Args:
            network: With an integer `embedding_dim` and a `forward` that returns an `Output`.

        Raises:
            ValueError: If the network does not tell its embedding's size.
        """
        dim = getattr(network, "embedding_dim", None)
        if not isinstance(dim, int):
            raise ValueError(
                f"{type(network).__name__} has no integer attribute embedding_dim, which InterInstance "
                "needs to size its memory; add it to the network or train without InterInstance"
            )
        frozen = {id(each): each for each in network.parameters() if not each.requires_grad}
        self.encoder = deepcopy(network, frozen).requires_grad_(False)
        self._shared = [
            f"encoder.{name}" for name, each in self.encoder.named_parameters() if id(each) in frozen
        ]
        self.register_state_dict_post_hook(_leave_out_shared)
        self.register_load_state_dict_pre_hook(_keep_shared)
        self.register_buffer("bank", torch.zeros(self.bank_size, dim))  # unit vectors
        self.register_buffer("labels", torch.full((self.bank_size,), -1))  # -1: empty
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))  # oldest entry

    def forward(self, embedding: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of eq. 4, not yet weighted, against the memory.

        Args:
            embedding: (batch, dim), with gradient.
            target: int64 (batch,), class indices.

        Returns:
            Scalar of at least float32: 0.6265 if all cosines are right, 1.3863 if all are 0, 2.6265 if all
            are wrong. Samples count nothing for a side (same class, other class) the memory has no entry of.
        """
        embedding = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
        with torch.autocast(embedding.device.type, enabled=False):
            bank = self.bank.to(embedding.dtype, copy=True)  # `enqueue` may write before the backward pass
            cosine = F.normalize(embedding, dim=-1) @ bank.T  # (batch, bank)
        same = target.unsqueeze(-1) == self.labels
        is_filled = self.labels >= 0
        approach = masked_mean(F.logsigmoid(cosine), same & is_filled)
        leave = masked_mean(F.logsigmoid(-cosine), ~same & is_filled)
        return -(approach + leave).mean()

    @torch.no_grad()
    def keys(self, features: Tensor) -> Tensor:
        """Embed the network's input with the momentum encoder, (batch, dim) without gradient."""
        return self.encoder.eval()(features).embedding

    @torch.no_grad()
    def enqueue(self, keys: Tensor, target: Tensor) -> None:
        """Replace the oldest entries by the keys (batch, dim) and targets (batch,) of all ranks.

        Ranks follow each other in their order and must bring equal batch sizes.
        """
        keys = keys.to(torch.promote_types(keys.dtype, torch.float32))
        keys, target = gather(F.normalize(keys, dim=-1)), gather(target)
        keys, target = keys[-self.bank_size :], target[-self.bank_size :]
        index = (self.pointer + torch.arange(len(keys), device=keys.device)) % self.bank_size
        self.bank.index_copy_(0, index, keys.to(self.bank.dtype))
        self.labels.index_copy_(0, index, target)
        self.pointer.add_(len(keys)).remainder_(self.bank_size)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the momentum encoder towards the network (eq. 3) and copy its buffers; once a step."""
        pairs = zip(self.encoder.parameters(), network.parameters(), strict=True)
        if moving := [(own, new) for own, new in pairs if own is not new]:
            own, new = zip(*moving, strict=True)
            get_ema_multi_avg_fn(self.momentum)(list(own), list(new), None)
        for buffer, source in zip(self.encoder.buffers(), network.buffers(), strict=True):
            buffer.copy_(source)


def _leave_out_shared(module: InterInstance, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for name in module._shared:
        del state[prefix + name]


def _keep_shared(module: InterInstance, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Takes what is shared from the network, whether or not a checkpoint of an earlier version holds it twice."""
    for name in module._shared:
        state[prefix + name] = module.get_parameter(name)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension of what the mask selects; 0 where it selects nothing."""
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1)


def gather(tensor: Tensor) -> Tensor:
    """Concatenate a tensor's rows over all ranks; the tensor itself in a single process."""
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    gathered = tensor.new_empty(dist.get_world_size() * len(tensor), *tensor.shape[1:])
    dist.all_gather_into_tensor(gathered, tensor.contiguous())
    return gathered
