"""Fusion of log likelihood ratios of speaker verification and of a spoofing detector into one score."""

import math

import torch
from numpy.typing import ArrayLike
from torch import Tensor


def fuse_verification(
    asv_ratios: Tensor | ArrayLike, cm_ratios: Tensor | ArrayLike, *, p_spoof: float
) -> Tensor:
    """Log likelihood ratio of a target over a nontarget or a spoof, the non-linear fusion of ASVspoof 5.

    It is -log((1 - p) exp(-ASV) + p exp(-CM)), close to the lower of the two; no size of the ratios overflows.

    Args:
        asv_ratios: (trials,), natural log likelihood ratios of target over nontarget.
        cm_ratios: (trials,), natural log likelihood ratios of bona fide over spoofed.
        p_spoof: Prior of spoofs among trials that are no targets, in [0, 1]; 0 leaves verification alone, 1 the
            detector.

    Returns:
        float64 (trials,).

    Raises:
        ValueError: Shapes differ, or `p_spoof` is no probability.

    Example:
        >>> fuse_verification([2000.0], [-1000.0], p_spoof=0.5).tolist()
        [-999.3068528194401]
    """
    asv, cm = (torch.as_tensor(each, dtype=torch.float64) for each in (asv_ratios, cm_ratios))
    if asv.shape != cm.shape:
        raise ValueError(
            f"ratios of {tuple(asv.shape)} and {tuple(cm.shape)} trials: fusion needs both of each trial"
        )
    if not 0 <= p_spoof <= 1:
        raise ValueError(f"p_spoof={p_spoof} must be a probability between 0 and 1")
    if p_spoof in (0, 1):
        return (cm if p_spoof else asv).clone()
    return -torch.logaddexp(math.log(1 - p_spoof) - asv, math.log(p_spoof) - cm)
