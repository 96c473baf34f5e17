"""What a generator and its discriminator learn from each other: scores (batch,) -> losses ()."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def wasserstein_critic(real: Tensor, generated: Tensor) -> Tensor:
    """Negative estimate of the Wasserstein distance (Arjovsky et al., 2017), to minimise."""
    return generated.mean() - real.mean()


def wasserstein_generator(generated: Tensor) -> Tensor:
    """What the generator minimises against `wasserstein_critic`."""
    return -generated.mean()


def cross_entropy_critic(real: Tensor, generated: Tensor, *, real_label: float = 1.0) -> Tensor:
    """Mean of both cross entropies (Goodfellow et al., 2014; Radford et al., 2016).

    Args:
        real: Logits of real sounds.
        generated: Logits of generated ones.
        real_label: Target of real sounds; less than 1 keeps the discriminator from certainty (Salimans et al., 2016).
    """
    wanted = torch.full_like(real, real_label)
    of_real = F.binary_cross_entropy_with_logits(real, wanted)
    return (of_real + F.softplus(generated).mean()) / 2


def cross_entropy_generator(generated: Tensor) -> Tensor:
    """The non-saturating loss: the logarithm of how real the generated seems."""
    return F.softplus(-generated).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor) -> Tensor:
    """Mean of (slope - 1)² at a random point between each real and a generated sound (Gulrajani et al., 2017).

    Args:
        critic: (batch, ...) -> scores (batch,), each of its own sound alone.
        real: (batch, ...).
        generated: (batch, ...).
    """
    with torch.autocast(real.device.type, enabled=False):
        real, generated = real.float(), generated.float()
        mix = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
        between = torch.lerp(real, generated, mix).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
