"""Tensors that follow from the size of a map alone, made once per size."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec

import torch
from torch import Tensor

_P = ParamSpec("_P")


def cached_by_size(make: Callable[_P, Tensor], *, max_sizes: int = 32) -> Callable[_P, Tensor]:
    """Keep the tensors that `make` returned last, by its arguments, all hashable; nobody may write to them.

    `torch.compile` traces `make` itself and fuses what it computes.
    """
    # Made while evaluating, a tensor must serve training, too.
    cached = lru_cache(max_sizes)(torch.inference_mode(False)(make))

    @wraps(make)
    def get(*args: _P.args, **kwargs: _P.kwargs) -> Tensor:
        return make(*args, **kwargs) if torch.compiler.is_compiling() else cached(*args, **kwargs)

    return get
