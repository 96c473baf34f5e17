"""Comparison of two detectors by their scores of the same trials, or of the same clips of DCASE Task 2."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lightning_modules.commands.compare_classes import name_of
from lightning_modules.metrics.asvspoof_protocols import Protocol, protocol_of, read_protocol
from lightning_modules.metrics.cm_scores import scores_of
from lightning_modules.metrics.dcase_bootstrap import compare_submissions, in_order_of
from lightning_modules.metrics.dcase_ground_truth import read_ground_truth
from lightning_modules.metrics.dcase_submission import read_submission
from lightning_modules.metrics.functional.paired_bootstrap import BootstrapDifference, paired_bootstrap
from lightning_modules.metrics.trial_files import TrialFile, read_trial_file

TITLES = {"eer": "EER", "min_dcf": "minDCF", "auc": "AUC"}


def compare_scores(options: argparse.Namespace, paths: Sequence[Path]) -> tuple[str, dict[str, Any]]:
    """Compares score files of spoofing detectors, those of `a` first; returns what to print, and the result.

    Raises:
        ValueError: A file is wrong, or the files differ in their trials or labels.
    """
    files = [read_trial_file(path, bonafide=options.bonafide) for path in paths]
    if options.protocol is not None:
        protocol = read_protocol(options.protocol, subset=options.subset, bonafide=options.bonafide)
    else:
        protocol = _own_protocol(files, options.subset)
    told_once = replace(protocol, taken="")
    scores = np.stack([scores_of(file, told_once if at else protocol) for at, file in enumerate(files)])
    is_bonafide = protocol.is_bonafide[protocol.chosen]
    metric, num_a = options.metric or "eer", len(options.a)
    result = paired_bootstrap(
        metric, scores[:num_a], scores[num_a:], is_bonafide, draws=options.draws, seed=options.seed
    )
    counts = {"num_bonafide": int(is_bonafide.sum()), "num_spoof": int((~is_bonafide).sum())}
    title = "{num_bonafide} bona fide and {num_spoof} spoofed trials".format(**counts)
    return _text(result, metric, title, options), {"metric": metric, **counts} | asdict(result)


def _own_protocol(files: Sequence[TrialFile], subset: str | None) -> Protocol:
    """The labels of the first file, where all have the same trials and labels."""
    if unlabelled := [file for file in files if file.labels is None]:
        raise ValueError(f"{unlabelled[0].path} carries no labels: give --protocol")
    protocol = protocol_of(files[0], subset=subset)
    ours = dict(zip(protocol.keys, protocol.is_bonafide.tolist(), strict=True))
    for file in files[1:]:
        theirs = dict(zip(file.keys(), file.is_bonafide().tolist(), strict=True))
        if theirs.keys() != ours.keys():
            key = next(key for key in (*ours, *theirs) if (key in ours) != (key in theirs))
            owner = files[0] if key in ours else file
            raise ValueError(
                f"{files[0].path} has {len(ours)} trials, {file.path} {len(theirs)}, and {key} is only in "
                f"{owner.path}: score both on the same trials"
            )
        if theirs != ours:
            key = next(key for key in ours if ours[key] != theirs[key])
            words = " and ".join("bona fide" if labels[key] else "spoofed" for labels in (ours, theirs))
            raise ValueError(f"{files[0].path} and {file.path}: {key} is {words}: use one set of labels")
    return replace(protocol, other_names=())


def compare_dcase(options: argparse.Namespace, folders: Sequence[Path]) -> tuple[str, dict[str, Any]]:
    """Compares folders of anomaly scores, those of `a` first; returns what to print, and the result.

    Raises:
        ValueError: A file is wrong, or the folders differ in their clips or labels.
    """
    truth = read_ground_truth(options.ground_truth) if options.ground_truth else None
    submissions = [read_submission(folder, truth) for folder in folders]
    first = submissions[0]
    aligned = [first]
    for folder, submission in zip(folders[1:], submissions[1:], strict=True):
        try:
            aligned.append(in_order_of(first, submission))
        except ValueError as reason:
            raise ValueError(
                f"{folder}: {reason}, unlike {folders[0]}: score both on the same clips"
            ) from None
    num_a = len(options.a)
    result = compare_submissions(
        aligned[:num_a],
        aligned[num_a:],
        year=options.year or first.year,
        draws=options.draws,
        seed=options.seed,
    )
    title = f"mean over machines, {len(first.keys)} clips"
    return _text(result, "auc", title, options), {"metric": "auc", "num_clips": len(first.keys)} | asdict(
        result
    )


def _text(result: BootstrapDifference, metric: str, title: str, options: argparse.Namespace) -> str:
    scale, unit, digits = (1, "", 4) if metric == "min_dcf" else (100, " %", 2)
    lines = [f"{TITLES[metric]}, {title}"]
    for name, figure, runs in zip("ab", result.figure, (options.a, options.b), strict=True):
        lines.append(f"  {name}      {figure * scale:7.{digits}f}{unit}   {name_of(runs)}")
    low, high = (f"{limit * scale:+.{digits}f}" for limit in result.interval)
    lines.append(
        f"  a - b  {result.difference * scale:+7.{digits}f}{unit}   95 % interval {low} to {high}{unit}"
    )
    what = "clips" if "clips" in title else "trials"
    lines.append(f"  p = {result.p:.3g} for these networks on other {what} ({options.draws} paired draws)")
    return "\n".join(lines)
