"""The challenge's evaluation of a scored split: figures, table per machine instance, decisions, plots."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from datamodules.clips import Clip
from lightning_modules.figures.detection import roc_figure
from lightning_modules.metrics.dcase_evaluation import evaluate_dcase
from lightning_modules.run.rows import Report

_MAX_CURVES = 12  # more cannot be told apart


def machine_report(
    clips: Sequence[Clip], scores: Tensor, *, year: int, thresholds: Mapping[str, float]
) -> Report:
    """Evaluates one score a clip.

    Args:
        clips: The scored clips; target 1 is anomalous, 0 normal, -1 unknown, as in an evaluation set.
        scores: (clip,), higher = more anomalous.
        year: Of the challenge whose rules apply.
        thresholds: Machine instance -> score above which a clip counts as anomalous.
    """
    values = scores.tolist()
    report = Report(keys=[clip.key for clip in clips], scores=values, metrics={})
    instances = [clip.attributes["instance"] for clip in clips]
    report.decisions = decide(clips, values, thresholds)
    if any(clip.target == -1 for clip in clips):
        report.warnings = ["the clips have no labels: scores are written, AUC is unknown"]
        return report
    machine, section, domain = (
        [clip.attributes[name] for clip in clips] for name in ("machine", "section", "domain")
    )
    is_anomaly = np.array([clip.target == 1 for clip in clips])
    evaluation = evaluate_dcase(
        scores,
        is_anomaly,
        machine=machine,
        section=section,
        domain=domain,
        year=year,
        decisions=report.decisions,
    )
    report.metrics, report.table, report.warnings = evaluation.summary, evaluation.rows, evaluation.warnings
    members = {name: np.flatnonzero(np.array(instances) == name) for name in sorted(set(instances))}
    curves = {
        name.replace("/", " "): (scores[rows], is_anomaly[rows])
        for name, rows in members.items()
        if 0 < is_anomaly[rows].sum() < len(rows)
    }
    if curves and len(curves) <= _MAX_CURVES:
        report.figures = {"roc": roc_figure(curves)}
    return report


def decide(
    clips: Sequence[Clip], scores: Sequence[float], thresholds: Mapping[str, float]
) -> list[int] | None:
    """1 for every clip that scores above its instance's threshold, else 0; None where an instance has none."""
    limits = [thresholds.get(clip.attributes["instance"], np.nan) for clip in clips]
    if np.isnan(limits).any():
        return None
    return [int(score > limit) for score, limit in zip(scores, limits, strict=True)]
