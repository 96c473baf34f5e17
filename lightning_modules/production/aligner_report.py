"""Evaluation of time alignment: how far hits begin from their lines, before and after, and what became of them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.production.pairs.pairs import Pair
from lightning_modules.metrics.functional.onset import detect_onsets, onset_errors_ms
from lightning_modules.production.pair_module import named_columns
from lightning_modules.run.rows import Report

_CLOSE_MS = 5.0
_BESIDE_S = 0.02  # a hit found at most this far from its place counts as kept
COLUMNS = (
    "hits",  # of the pair; the next five are means over them
    "onset_ms_before",
    "onset_ms",
    "within_5ms",
    "onset_ms_threshold",  # of a detector by thresholds, of windows alone
    "within_5ms_threshold",
    "energy_db",  # after over before
    "hits_kept",  # share of those that thresholds find in the target and also after, at their place
)


def figures_of_pair(
    before: Tensor, after: Tensor, target: Tensor, *, lines_s: list[float], sample_rate: int
) -> list[float]:
    """`COLUMNS` of a pair of waveforms (time,) each, whose hits should begin at some lines."""
    errors = [onset_errors_ms(x, target, lines_s, sample_rate=sample_rate).abs() for x in (before, after)]
    threshold = torch.tensor([math.nan])
    if len(lines_s) == 1:
        places_s = detect_onsets(before, sample_rate=sample_rate) / sample_rate
        true_s = lines_s[0] + float(onset_errors_ms(before, target, lines_s, sample_rate=sample_rate)) / 1000
        threshold = 1000 * (places_s[:1] - true_s).abs() if len(places_s) else errors[0]
    found, wanted = (detect_onsets(x, sample_rate=sample_rate) / sample_rate for x in (after, target))
    energy = [float(x.double().square().sum()) for x in (after, before)]
    return [
        len(lines_s),
        float(errors[0].mean()),
        float(errors[1].mean()),
        float((errors[1] <= _CLOSE_MS).double().mean()),
        float(threshold.mean()),
        float((threshold <= _CLOSE_MS).double().mean()) if len(lines_s) == 1 else math.nan,
        10 * math.log10(max(energy[0], 1e-20) / max(energy[1], 1e-20)),
        _share_found(found, wanted),
    ]


def _share_found(found_s: Tensor, wanted_s: Tensor) -> float:
    """Share of the wanted places that have a found one beside them."""
    if not len(wanted_s) or not len(found_s):
        return float(not len(wanted_s))
    return float(((found_s[:, None] - wanted_s).abs().amin(dim=0) <= _BESIDE_S).double().mean())


def align_report(pairs: Sequence[Pair], figures: Tensor) -> Report:
    """Sums up windows, named ``onset_ms`` and the like, and bars, ``bar_onset_ms`` and the like.

    Args:
        pairs: The scored pairs.
        figures: float64 (pair, `COLUMNS`).
    """
    is_bar = torch.tensor([pair.attributes["kind"] == "bar" for pair in pairs])
    metrics = _means(figures[~is_bar])
    if is_bar.any():
        metrics |= {f"bar_{name}": value for name, value in _means(figures[is_bar]).items() if value == value}
    labels = [pair.attributes["label"] for pair in pairs]
    windows = {
        label: [row for row, name in enumerate(labels) if name == label and not is_bar[row]]
        for label in labels
    }
    return Report(
        keys=[pair.key for pair in pairs],
        scores=named_columns(figures, COLUMNS),
        metrics=metrics,
        table=[
            {"class": label, "windows": len(rows)}
            | {name: value for name, value in _means(figures[rows]).items() if name != "hits_kept"}
            for label, rows in sorted(windows.items())
            if rows
        ],
    )


def _means(figures: Tensor) -> dict[str, float]:
    """Means over all hits, but the greatest change of ``energy_db``, and the mean over pairs of ``hits_kept``."""
    hits = figures[:, :1]
    means = ((figures * hits).sum(dim=0) / hits.sum()).tolist()
    found = dict(zip(COLUMNS, means, strict=True))
    del found["hits"]
    energy, kept = figures[:, COLUMNS.index("energy_db")], figures[:, COLUMNS.index("hits_kept")]
    return found | {"energy_db": float(energy[energy.abs().argmax()]), "hits_kept": float(kept.mean())}
