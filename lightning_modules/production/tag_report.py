"""Evaluation of tagged clips: figures, the mistakes one by one, the ROC of every class, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torchmetrics.functional.classification import multilabel_average_precision

from datamodules.clips import Clip
from datamodules.clips.coverage import Coverage
from lightning_modules.event.event_report import READABLE, Heads, class_table, coverage_warnings
from lightning_modules.figures.confusion import confusion_figure
from lightning_modules.figures.detection import SIZE_INCHES
from lightning_modules.metrics.functional import auc, roc_curve
from lightning_modules.run.rows import Report, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED = 10  # curves of a figure that the legend names


def tag_metrics(probabilities: Tensor, target: Tensor, heads: Heads) -> dict[str, float]:
    """Figures of a scored split, fractions but for ``log_loss``.

    Args:
        probabilities: (clip, sum of classes), heads side by side.
        target: int64 (clip,), or (clip, tag) of 0 and 1.
        heads: Head -> class names.

    Returns:
        ``accuracy``: of clips, with tags those of which all are right; ``balanced_accuracy``: mean over classes that
        occur of their recall, with tags mean over tags of recall and specificity; ``auc``: mean over classes or tags
        of the area under the ROC, one against the rest; ``map``: likewise of the average precision; ``majority``:
        accuracy of always the most frequent answer; ``log_loss``: mean negative logarithm of the right answer's
        probability, with tags also over tags.
    """
    scores, truth = _columns(probabilities, target, heads)
    found = _decided(scores, heads)
    occurs = truth.any(dim=0)
    both = occurs & ~truth.all(dim=0)
    recall = _share(found & truth, truth)
    if len(heads) > 1:
        balanced = ((recall + _share(~found & ~truth, ~truth)) / 2)[both].mean()
    else:
        balanced = recall[occurs].mean()
    answers, counts = truth.unique(dim=0, return_counts=True)
    # Of a sure tag, 1 - its probability has no digits; what stands beside it, that of its absence, has.
    absent = probabilities[:, ::2].double().clamp(0, 1)
    right = torch.where(truth, scores, absent) if len(heads) > 1 else scores[truth]
    precision = multilabel_average_precision(
        scores[:, occurs].float(), truth[:, occurs].long(), int(occurs.sum()), validate_args=False
    )
    areas = [auc(scores[:, k], truth[:, k]) for k in both.nonzero().flatten().tolist()]
    return {
        "accuracy": (found == truth).all(dim=1).double().mean().item(),
        "balanced_accuracy": balanced.item(),
        "auc": torch.stack(areas).mean().item() if areas else float("nan"),
        "map": precision.item(),
        "majority": counts.max().item() / len(truth) if len(answers) else float("nan"),
        "log_loss": -right.clamp_min(torch.finfo(torch.float32).tiny).log().mean().item(),
    }


def tag_report(
    clips: Sequence[Clip], probabilities: Tensor, heads: Heads, *, coverage: Coverage | None = None
) -> Report:
    """Evaluates the probabilities of clips of known classes.

    Args:
        clips: The scored clips.
        probabilities: (clip, sum of classes), heads side by side.
        heads: Head -> class names.
        coverage: How much of the data set's list the clips are; less than all of it is a warning.
    """
    target = torch.tensor([clip.target for clip in clips])
    scores, truth = _columns(probabilities, target, heads)
    found, names = _decided(scores, heads), _names(heads)
    certainty = torch.where(found, scores, 1 - scores).amin(dim=1)  # of the least certain label
    rows = [
        {"key": clip.key, "target": _said(truth[row], names), "predicted": _said(found[row], names)}
        | {"probability": float(certainty[row])}
        for row, clip in enumerate(clips)
    ]
    mistakes = [row for row in rows if row["target"] != row["predicted"]]
    tables: dict[str, Sequence[Row]] = {
        "clips": rows,
        "classes": class_table(heads),
    }
    if mistakes:
        tables["mistakes"] = sorted(mistakes, key=lambda row: -float(row["probability"]))  # the surest first
    figures = {"roc": roc_of_classes(scores, truth, names)}
    if len(heads) == 1 and len(names) <= READABLE:
        figures["confusion"] = confusion_figure(target, scores.argmax(dim=1), names)
    return Report(
        keys=[clip.key for clip in clips],
        scores=probabilities.numpy(),
        metrics=tag_metrics(probabilities, target, heads),
        table=_by_source(clips, (found == truth).all(dim=1)),
        tables=tables,
        figures=figures,
        data=str(coverage or ""),
        warnings=coverage_warnings(coverage),
    )


def roc_of_classes(scores: Tensor, truth: Tensor, names: Sequence[str]) -> Figure:
    """Receiver operating characteristic of each class against the rest.

    Args:
        scores: (clip, class) in [0, 1].
        truth: bool (clip, class); a class without positives or without negatives has no curve.
        names: Of the classes.
    """
    from matplotlib.figure import Figure

    figure = Figure(SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    curves = [k for k in range(len(names)) if truth[:, k].any() and not truth[:, k].all()]
    areas = {k: float(auc(scores[:, k], truth[:, k])) for k in curves}
    for rank, k in enumerate(sorted(curves, key=lambda k: areas[k])):  # the worst classes are named
        label = f"{names[k]}, AUC {areas[k]:.3f}" if rank < _NAMED else None
        false_alarm, hit = roc_curve(scores[:, k], truth[:, k])
        axes.plot(false_alarm.numpy(), hit.numpy(), label=label, clip_on=False)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="share of other clips taken for the class",
        ylabel="share of the class found",
        title="Receiver operating characteristic, one against the rest",
        aspect="equal",
    )
    axes.grid(color="0.9")
    if curves:
        axes.legend(loc="lower right", fontsize=8)
    return figure


def _names(heads: Heads) -> list[str]:
    """One name a column of `_columns`."""
    return list(heads) if len(heads) > 1 else list(next(iter(heads.values())))


def _columns(probabilities: Tensor, target: Tensor, heads: Heads) -> tuple[Tensor, Tensor]:
    """Probability and truth (bool) of each class, or of each tag, (clip, class)."""
    probabilities = probabilities.double().clamp(0, 1)
    if len(heads) > 1:
        return probabilities[:, 1::2], target.bool()
    return probabilities, target.reshape(-1, 1) == torch.arange(probabilities.shape[1])


def _decided(scores: Tensor, heads: Heads) -> Tensor:
    """The most probable class, or all tags above one half; bool (clip, class)."""
    if len(heads) > 1:
        return scores > 0.5
    return torch.nn.functional.one_hot(scores.argmax(dim=1), scores.shape[1]).bool()


def _share(found: Tensor, among: Tensor) -> Tensor:
    return found.sum(dim=0).double() / among.sum(dim=0)


def _said(labels: Tensor, names: Sequence[str]) -> str:
    """The labels (class,) of a clip in words."""
    return ";".join(name for name, holds in zip(names, labels.tolist(), strict=True) if holds)


def _by_source(clips: Sequence[Clip], right: Tensor) -> list[Mapping[str, str | int | float]]:
    """Accuracy by source, where sources have several clips."""
    sources: dict[str, list[bool]] = {}
    for clip, is_right in zip(clips, right.tolist(), strict=True):
        sources.setdefault(clip.attributes.get("source", ""), []).append(is_right)
    if len(sources) == len(clips):
        return []
    return [
        {"source": source, "clips": len(hits), "accuracy": sum(hits) / len(hits)}
        for source, hits in sorted(sources.items())
    ]
