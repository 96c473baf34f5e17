"""What the evaluation of a learned effect says: errors pooled over recordings, and by recording and setting."""

from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.production.pairs.pairs import Pair
from lightning_modules.metrics.functional.audio import (
    gain_reduction_error,
    lufs_error,
    mae,
    multi_resolution_stft,
    powers,
)
from lightning_modules.production.pair_module import named_columns
from lightning_modules.run.rows import Report, Row

COLUMNS = (
    *("error", "dry_error", "power", "samples", "mae", "mr_stft", "lufs_error"),
    *("gr_error", "gr_error_dry", "gr_frames"),
)
"""Figures of a pair: powers of the errors of estimate and dry signal and of the target, then means over the pair."""

_PER_PAIR = ("esr", "esr_dry", "mae", "mr_stft", "lufs_error", "gr_error", "gr_error_dry")


def figures_of_pairs(dry: Tensor, estimate: Tensor, target: Tensor, *, sample_rate: int) -> Tensor:
    """`COLUMNS` of every pair, float32 (batch, figure); all signals (batch, 1, time)."""
    with torch.autocast(dry.device.type, enabled=False):
        error, power = powers(estimate, target)
        found, idle = gain_reduction_error(dry, estimate, target), gain_reduction_error(dry, dry, target)
        columns = [
            error,
            powers(dry, target).error,
            power,
            torch.full_like(error, dry.shape[-1]),
            mae(estimate, target),
            multi_resolution_stft(estimate, target),
            lufs_error(estimate, target, sample_rate=sample_rate),
            found.error,
            idle.error,
            found.frames,
        ]
    return torch.stack([column.float() for column in columns], dim=1)


def split_metrics(figures: Tensor) -> dict[str, float]:
    """Figures of a split from those of its pairs, (pair, figure).

    ESR is the energy of all errors over that of all targets; the gain reduction error is a mean over all frames that
    the effect turns down; ``_dry`` is what the unprocessed input gets.
    """
    column = dict(zip(COLUMNS, figures.T, strict=True))
    energy = (column["power"] * column["samples"]).sum()
    active = column["gr_frames"] > 0
    metrics = {
        "esr": (column["error"] * column["samples"]).sum() / energy,
        "esr_dry": (column["dry_error"] * column["samples"]).sum() / energy,
        "mae": (column["mae"] * column["samples"]).sum() / column["samples"].sum(),
        "mr_stft": column["mr_stft"].mean(),
        "lufs_error": column["lufs_error"].mean(),
    }
    if active.any():
        weights = column["gr_frames"] / column["gr_frames"].sum()
        samples = column["samples"][active]
        energy_active = (column["power"][active] * samples).sum()
        metrics |= {
            "esr_active": (column["error"][active] * samples).sum() / energy_active,
            "gr_error": (column["gr_error"] * weights).sum(),
            "gr_error_dry": (column["gr_error_dry"] * weights).sum(),
        }
    return {name: value.item() for name, value in metrics.items()}


def effect_report(pairs: Sequence[Pair], figures: Tensor, knob_names: Sequence[str]) -> Report:
    """Sums up a split.

    Args:
        pairs: Its rows.
        figures: `COLUMNS` of each, (pair, figure).
        knob_names: In the order of `Pair.knobs`.
    """
    rows: list[Row] = []
    for pair, values in zip(pairs, figures.split(1), strict=True):
        knobs = dict(zip(knob_names, pair.knobs, strict=True))
        found = split_metrics(values)
        rows.append({"key": pair.key, **knobs, **{name: found.get(name, float("nan")) for name in _PER_PAIR}})
    scores = torch.tensor([[row[name] for name in _PER_PAIR] for row in rows], dtype=torch.float64)
    metrics = split_metrics(figures)
    return Report(
        keys=[pair.key for pair in pairs],
        scores=named_columns(scores, _PER_PAIR),
        metrics=metrics,
        tables={"pairs": rows},
        warnings=_warnings(metrics),
    )


def _warnings(metrics: dict[str, float]) -> list[str]:
    if metrics["esr"] < metrics["esr_dry"]:
        return []
    return [
        f"an ESR of {metrics['esr']:.3f} is no better than the unprocessed input's {metrics['esr_dry']:.3f}"
    ]
