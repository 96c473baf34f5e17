"""The challenge's evaluation of a scored split: figures, table by attack or by corpus, plots, warnings."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from datamodules.clips import Clip
from lightning_modules.figures.detection import det_figure, score_histogram
from lightning_modules.metrics.asv_scores import AsvScores, read_asv_scores
from lightning_modules.metrics.asvspoof_evaluation import Result, ScoreArrays, evaluate
from lightning_modules.metrics.breakdown import Factor, Groups
from lightning_modules.metrics.cross_corpus import breakdown
from lightning_modules.metrics.functional import looks_inverted
from lightning_modules.metrics.trial_table import Trials, trial_columns
from lightning_modules.run.rows import Report

_GROUPS = ("attack", "vocoder", "codec", "corpus")
_APART = ("corpus", "language", "speaker")
"""Attributes with tables of their own: a speaker may be of one class alone."""


def spoofing_report(clips: Sequence[Clip], scores: Tensor, *, asv_scores: Path | None = None) -> Report:
    """Evaluates one score a clip.

    Of several corpora the table has a row each, and ``mean_eer`` is the mean over those with both classes: attacks and
    codecs of one are none of another's, and have tables of their own.

    Args:
        clips: The scored clips (0 spoof, 1 bona fide). Of one class alone there are no figures: beside another corpus,
            whose threshold decides, there are.
        scores: (clip,), higher = bona fide.
        asv_scores: Scores of the speaker verification system behind the detector, for the t-DCF: the file of
            ASVspoof 2019, judged by the t-DCF of that year, or the folder of 2021, by the revised one and with
            the trials of the clips' subset.

    Raises:
        ValueError: A clip has no label, or a score is not finite.
    """
    if unlabelled := [clip.key for clip in clips if clip.target not in (0, 1)]:
        raise ValueError(
            f"{len(unlabelled)} of {len(clips)} clips have no label, the first is {unlabelled[0]}: such are scored by"
            " lightning_modules.predict"
        )
    columns = trial_columns(clips, scores.tolist())
    is_bonafide = np.array([clip.target == 1 for clip in clips])
    if is_bonafide.all() or not is_bonafide.any():
        only = "bona fide" if is_bonafide.any() else "spoofed"
        return Report(
            keys=columns["key"],
            scores=scores.tolist(),
            metrics={},
            trials=columns,
            warnings=[
                f"all {len(clips)} clips are {only}: there is no EER; lightning_modules.evaluate judges them by the"
                " threshold of another corpus"
            ],
        )
    names = [name for name in _GROUPS if all(name in clip.attributes for clip in clips)]
    groups = Groups({name: np.array(columns[name]) for name in names}, is_bonafide)
    trials = ScoreArrays(scores, groups)
    asv = _read_asv_scores(asv_scores, {clip.attributes.get("subset") for clip in clips})
    warnings = _warnings(scores, is_bonafide)
    num_distinct = len(scores.unique())
    if asv is not None and num_distinct < 3:  # a collapsed network: its scores shall still reach the disk
        warnings.append(f"only {num_distinct} distinct scores: without soft scores there is no t-DCF")
        asv = None
    if asv is not None:
        try:
            asv.check_attacks({clip.attributes["attack"] for clip in clips if "attack" in clip.attributes})
        except ValueError as reason:
            warnings.append(f"no t-DCF: {reason}")
            asv = None
    revision = 2021 if asv_scores is not None and asv_scores.is_dir() else 2019
    has_several = len(set(columns.get("corpus", ()))) > 1
    row = "vocoder" if "vocoder" in groups.columns else "attack"  # 2021 DF has a hundred attacks
    factors, across = ([Factor("corpus")], []) if has_several else ([Factor(row, "spoof")], [Factor("codec")])
    results = evaluate(trials, asv=asv, revision=revision, rows=factors, across=across)
    pooled = results[0]
    metrics = {"eer": pooled.eer, "min_tdcf": pooled.min_tdcf, "min_dcf": pooled.min_dcf, "cllr": pooled.cllr}
    if has_several:
        metrics["mean_eer"] = float(np.nanmean([each.eer for each in results[1:]] or [math.nan]))
    apart = (*_APART, "attack", "codec") if has_several else _APART
    return Report(
        keys=columns["key"],
        scores=scores.tolist(),
        metrics={name: value for name, value in metrics.items() if not math.isnan(value)},
        table=[_row(result, asv is not None) for result in results],
        tables={
            f"by_{name}": breakdown(Trials(scores.numpy(), is_bonafide), columns[name], pooled.threshold)
            for name in apart
            if len(set(columns.get(name, ()))) > 1
        },
        trials=columns,
        figures={
            "det": det_figure({"pooled": (scores, is_bonafide)}),
            "scores": score_histogram(scores, is_bonafide),
        },
        warnings=warnings,
    )


def _read_asv_scores(path: Path | None, subsets: set[str | None]) -> AsvScores | None:
    if path is None or len(subsets) > 1:  # several subsets together are no condition of the challenge
        return None
    return read_asv_scores(path, subset=next(iter(subsets)))


def _row(result: Result, with_tdcf: bool) -> dict[str, str | int | float]:
    condition = " ".join(value or "unknown" for value in result.condition.values()) or "pooled"
    row: dict[str, str | int | float] = {
        "condition": condition,
        "bona fide": result.num_bonafide,
        "spoof": result.num_spoof,
        "EER %": 100 * result.eer,
    }
    return row | ({"min t-DCF": result.min_tdcf} if with_tdcf else {})


def _warnings(scores: Tensor, is_bonafide: np.ndarray) -> list[str]:
    if looks_inverted(scores, is_bonafide):
        return [
            "the scores look inverted: their negatives separate the classes better; higher must mean bona fide"
        ]
    return []
