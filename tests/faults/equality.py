"""Equality of what checkpoints hold."""

from typing import Any

import torch


def assert_equal(ours: Any, theirs: Any, where: str = "") -> None:
    """Compares tensors to the last bit, in collections of any depth, and other values as they are."""
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            assert_equal(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), where
        for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(our, their, f"{where}/{index}")
    else:
        assert ours == theirs, where
