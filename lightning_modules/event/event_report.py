"""Evaluation of a scored split of audio events: figures, tables by head, class and clip, confusion, warnings."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from datamodules.clips import Clip
from datamodules.clips.coverage import Coverage
from lightning_modules.figures.confusion import confusion_figure
from lightning_modules.metrics.classification import classification_metrics, ranks
from lightning_modules.metrics.epic_evaluation import epic_ranks, epic_report_rows, log_probabilities
from lightning_modules.run.rows import Report, Row

Heads = Mapping[str, Sequence[str]]
_ACTION = ("verb", "noun")  # heads whose pairs are actions
_UNLABELLED = "clips without a label: no figures; the written scores are complete"
READABLE = 40
"""Classes of a confusion matrix at most."""


def head_metrics(probabilities: Tensor, target: Tensor, heads: Heads) -> dict[str, float]:
    """Figures of every head, and ``top1`` of all heads together.

    Args:
        probabilities: (clip, sum of classes), heads side by side.
        target: int64 (clip,) or (clip, head).
        heads: Head -> class names.

    Returns:
        `classification_metrics`, where there are several heads named ``<head>_top1`` and so on beside ``top1``, the
        share of clips that are right in all heads.
    """
    columns = list(target.reshape(len(target), -1).unbind(dim=1))
    parts = probabilities.split([len(names) for names in heads.values()], dim=1)
    figures = [classification_metrics(part, column) for part, column in zip(parts, columns, strict=True)]
    if len(figures) == 1:
        return figures[0]
    right = torch.stack([ranks(part, column) == 1 for part, column in zip(parts, columns, strict=True)])
    known = torch.stack(columns).amin(dim=0) >= 0
    metrics = {"top1": right.all(dim=0)[known].double().mean().item()}
    return metrics | {
        f"{head}_{name}": value
        for head, found in zip(heads, figures, strict=True)
        for name, value in found.items()
    }


def event_report(
    clips: Sequence[Clip], probabilities: Tensor, heads: Heads, *, coverage: Coverage | None = None
) -> Report:
    """Evaluates the probabilities of clips.

    Args:
        clips: The scored clips.
        probabilities: (clip, sum of classes), heads side by side.
        heads: Head -> class names.
        coverage: How much of the data set's list the clips are; less than all of it is a warning.
    """
    target = torch.tensor([clip.target for clip in clips]).reshape(len(clips), -1)
    parts = dict(
        zip(heads, probabilities.split([len(names) for names in heads.values()], dim=1), strict=True)
    )
    targets = dict(zip(heads, target.unbind(dim=1), strict=True))
    found = {head: ranks(part, targets[head]) for head, part in parts.items()}
    are_actions = tuple(heads) == _ACTION
    if are_actions:
        verb, noun = (log_probabilities(part) for part in parts.values())
        found["action"] = epic_ranks(verb, noun, target)[:, 2].masked_fill((target < 0).any(dim=1), 0)
    labelled = bool((target >= 0).all())
    metrics = head_metrics(probabilities, target, heads) if labelled else {}
    if are_actions and labelled:
        metrics |= {f"action_top{k}": (found["action"] <= k).double().mean().item() for k in (1, 5)}
    return Report(
        keys=[clip.key for clip in clips],
        scores=probabilities.numpy(),
        metrics=metrics,
        table=epic_report_rows(clips, probabilities) if are_actions and labelled else (),
        tables={
            "clips": _clip_rows(clips, parts, targets, found, heads),
            "by_class": [
                row
                for head, names in heads.items()
                for row in _class_rows(head, names, targets[head], found[head])
            ],
            "classes": class_table(heads),
        },
        figures={
            f"confusion_{head}": confusion_figure(targets[head], part.argmax(dim=1), heads[head])
            for head, part in parts.items()
            if len(heads[head]) <= READABLE and labelled
        },
        data=str(coverage or ""),
        warnings=([] if labelled else [_UNLABELLED]) + coverage_warnings(coverage),
    )


def class_table(heads: Heads) -> list[Row]:
    """Which column of the scores is which class of which head."""
    return [
        {"head": head, "index": index, "name": name}
        for head, names in heads.items()
        for index, name in enumerate(names)
    ]


def coverage_warnings(coverage: Coverage | None) -> list[str]:
    """What the reader must know where not all of the list was scored."""
    if coverage is None or coverage.share == 1:
        return []
    return [f"{coverage}: figures of other coverage are not comparable"]


def _clip_rows(
    clips: Sequence[Clip],
    parts: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    heads: Heads,
) -> list[Row]:
    columns: dict[str, list] = {"key": [clip.key for clip in clips]}
    for head, part in parts.items():
        names = [*heads[head], ""]  # -1 is unknown
        columns[f"{head}_target"] = [names[index] for index in targets[head].tolist()]
        columns[f"{head}_predicted"] = [names[index] for index in part.argmax(dim=1).tolist()]
    columns |= {f"{head}_rank": rank.tolist() for head, rank in found.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _class_rows(head: str, names: Sequence[str], target: Tensor, rank: Tensor) -> list[Row]:
    known = target >= 0
    support = target[known].bincount(minlength=len(names))
    counts = [target[known & (rank <= k)].bincount(minlength=len(names)) / support for k in (1, 5)]
    return [
        {"head": head, "class": name, "clips": int(support[index])}
        | {f"top{k}": float(count[index]) for k, count in zip((1, 5), counts, strict=True)}
        for index, name in enumerate(names)
    ]
