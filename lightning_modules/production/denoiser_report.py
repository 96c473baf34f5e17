"""Evaluation of a denoiser: gain in signal-to-noise ratio, harm to clean signals, silence where there is only noise."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datamodules.production.pairs.pairs import Pair
from lightning_modules.metrics.functional.audio import SILENCE, si_sdr, snr
from lightning_modules.production.pair_module import named_columns
from lightning_modules.run.rows import Report, Row

COLUMNS = (
    "snr_in",  # of the input, dB
    "snr_out",  # of the estimate
    "snr_gain",
    "si_sdr",  # of the estimate, dB
    "level_change",  # power of the estimate over that of the input, dB
    "subtraction_gain",  # of spectral subtraction that estimates the noise
    "oracle_subtraction_gain",  # of spectral subtraction that knows the noise
)
CLEAN, NOISE = "clean", "noise"  # conditions of the column "snr" without noise, and of noise alone
_TOLD = {CLEAN: ("snr_out", "si_sdr", "level_change"), NOISE: ("level_change",)}


def figures_of_pairs(
    noisy: Tensor, estimate: Tensor, clean: Tensor, *, blind: Tensor, oracle: Tensor
) -> Tensor:
    """Figures of signals (batch, 1, time): float32 (batch, column), the columns as `COLUMNS`."""
    before, after = snr(noisy, clean), snr(estimate, clean)
    power_in, power_out = (
        each.float().square().mean(dim=(1, 2)).clamp_min(SILENCE) for each in (noisy, estimate)
    )
    columns = [
        before,
        after,
        after - before,
        si_sdr(estimate, clean),
        10 * (power_out / power_in).log10(),
        snr(blind, clean) - before,
        snr(oracle, clean) - before,
    ]
    return torch.stack(columns, dim=1).float()


def denoiser_report(pairs: Sequence[Pair], figures: Tensor) -> Report:
    """Evaluates the figures of pairs, of mixtures, clean signals and noise alone by themselves.

    Args:
        pairs: The rows; their attribute ``snr``, if they have it, is ``clean``, ``noise``, or a name of the mixture.
        figures: (pair, column).
    """
    conditions = np.array([pair.attributes.get("snr", "mixture") for pair in pairs])
    of = {name: figures[torch.from_numpy(conditions == name)] for name in dict.fromkeys(conditions.tolist())}
    table = [_row(name, part) for name, part in of.items()]
    mixtures = figures[torch.from_numpy(~np.isin(conditions, [CLEAN, NOISE]))]
    metrics: dict[str, float] = {}
    if len(mixtures):
        metrics |= {name: value.item() for name, value in zip(COLUMNS, mixtures.mean(dim=0), strict=True)}
        gain = mixtures[:, COLUMNS.index("snr_gain")]
        metrics |= {"snr_gain_p10": gain.quantile(0.1).item(), "improved": (gain > 0).double().mean().item()}
        del metrics["level_change"]
    for name, column, label in (
        (CLEAN, "si_sdr", "clean_si_sdr"),
        (NOISE, "level_change", "noise_level_change"),
    ):
        if name in of:
            metrics[label] = of[name][:, COLUMNS.index(column)].mean().item()
    return Report(
        keys=[pair.key for pair in pairs],
        scores=named_columns(figures, COLUMNS),
        metrics=metrics,
        table=table,
        warnings=[] if len(mixtures) else ["no mixtures among the pairs: there is no gain to tell"],
    )


def _row(name: str, figures: Tensor) -> Row:
    """Means over the pairs of a condition; what says nothing there is undefined."""
    means = dict(zip(COLUMNS, figures.mean(dim=0).tolist(), strict=True))
    kept = _TOLD.get(name, COLUMNS)
    row = {column: means[column] if column in kept else float("nan") for column in COLUMNS}
    gain = figures[:, COLUMNS.index("snr_gain")]
    tenth = gain.quantile(0.1).item() if "snr_gain" in kept else float("nan")
    return {"snr": name, "pairs": len(figures), **row, "snr_gain_p10": tenth}
