"""Table 1 of the front-end ensemble: AUC of every pipeline and ensemble at every input SNR."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from datamodules.clips import Clip
from lightning_modules.asd.front_ends import PIPELINES
from lightning_modules.asd.machine_report import decide
from lightning_modules.figures.detection import roc_figure
from lightning_modules.metrics.functional import auc, partial_auc
from lightning_modules.run.rows import Report

ENSEMBLES = {"all": "ABCDEFGH", "only BD": "EFGH", "only ASE": "BCD", "proposed": "BCDFGH"}
"""The paper's ensembles."""


def ensemble_report(
    clips: Sequence[Clip],
    scores: Tensor,
    branches: Mapping[str, Tensor],
    improvements: Mapping[str, Tensor],
    *,
    thresholds: Mapping[str, float],
) -> Report:
    """Evaluates pipelines and ensembles, each SNR's anomalous clips against all normal ones.

    Args:
        clips: The scored clips; attribute ``snr`` is the input SNR of an anomalous clip in dB, where known.
        scores: (clip,), of the ensemble that the method scores by.
        branches: Label of a pipeline -> standardised errors (clip,).
        improvements: Label of a pipeline -> SDR improvement in dB (clip,), NaN where it is not known.
        thresholds: Machine instance -> score above which a clip counts as anomalous.
    """
    values = scores.tolist()
    report = Report(keys=[clip.key for clip in clips], scores=values, metrics={})
    report.decisions = decide(clips, values, thresholds)
    is_anomaly = np.array([clip.target == 1 for clip in clips])
    if not 0 < is_anomaly.sum() < len(clips):
        report.warnings = ["AUC is undefined: it needs normal and anomalous clips with labels"]
        return report
    snr = np.array([clip.attributes.get("snr", "") for clip in clips])
    levels = sorted(set(snr[is_anomaly]), key=_decibel, reverse=True)
    gains = {label: _improvement(each, snr, levels) for label, each in improvements.items()}
    rows = [
        {
            "system": label,
            "BD": "yes" if PIPELINES[label].dereverberation else "no",
            "ASE": PIPELINES[label].extraction,
            **_at_levels(branch, is_anomaly, snr, levels),
            **gains[label],
        }
        for label, branch in branches.items()
    ]
    undefined = dict.fromkeys(next(iter(gains.values()), {}), math.nan)  # an ensemble extracts nothing itself
    for name, members in ENSEMBLES.items():
        if set(members) <= set(branches):
            mean = torch.stack([branches[label] for label in members]).mean(0)
            aucs = _at_levels(mean, is_anomaly, snr, levels)
            rows.append({"system": name, "BD": "", "ASE": "", **aucs, **undefined})
    report.table = rows
    report.metrics = {
        "auc": float(auc(scores, is_anomaly)),
        "pauc": float(partial_auc(scores, is_anomaly)),
        **_at_levels(scores, is_anomaly, snr, levels),
    }
    curves = {
        f"{level} dB" if level else "all": _against_normal(snr == level, is_anomaly) for level in levels
    }
    report.figures = {
        "roc": roc_figure({name: (scores[rows], is_anomaly[rows]) for name, rows in curves.items()})
    }
    return report


def _at_levels(
    scores: Tensor, is_anomaly: np.ndarray, snr: np.ndarray, levels: Sequence[str]
) -> dict[str, float]:
    found = {}
    for level in levels:
        rows = _against_normal(snr == level, is_anomaly)
        found[f"auc_{level}_db" if level else "auc_all"] = float(auc(scores[rows], is_anomaly[rows]))
    return found


def _improvement(improvement: Tensor, snr: np.ndarray, levels: Sequence[str]) -> dict[str, float]:
    if improvement.isnan().all():
        return {}
    means = {level: improvement[np.flatnonzero(snr == level)].mean() for level in levels if level}
    return {f"sdr_improvement_{level}_db": float(mean) for level, mean in means.items()}


def _against_normal(chosen: np.ndarray, is_anomaly: np.ndarray) -> np.ndarray:
    """Rows of the chosen anomalous clips and of all normal ones."""
    return np.flatnonzero((chosen & is_anomaly) | ~is_anomaly)


def _decibel(level: str) -> float:
    return float(level) if level else 0.0
