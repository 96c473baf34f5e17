"""Which clips a detector or classifier gets most wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_modules.metrics.functional import equal_error_rate

if TYPE_CHECKING:
    from datamodules.clips import Clip

Heads = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A clip that was taken for another class.

    Attributes:
        clip: Its row.
        target: Name of its class; of several heads or tags, those that are wrong.
        predicted: Name of the class that it was taken for.
        margin: How far it lies on the wrong side, above 0: for a detector beyond the threshold of the equal error
            rate, in standard deviations of the scores; for a classifier the probability of the wrong class less that
            of the right one.
    """

    clip: Clip
    target: str
    predicted: str
    margin: float


def find_mistakes(clips: Sequence[Clip], scores: Tensor, heads: Heads) -> list[Mistake]:
    """Returns the mistakes among labelled clips, the worst first.

    Args:
        clips: The scored clips.
        scores: (clip,), higher = more of class 1; or probabilities (clip, sum of classes), heads side by side.
        heads: Name of each label -> its class names by index.
    """
    scores = scores.double().cpu()
    found = _of_detector(clips, scores, heads) if scores.ndim == 1 else _of_classifier(clips, scores, heads)
    return sorted(found, key=lambda mistake: -mistake.margin)


def _of_detector(clips: Sequence[Clip], scores: Tensor, heads: Heads) -> list[Mistake]:
    """Scores are compared within a machine instance, whose threshold is its own."""
    names = next(iter(heads.values()))
    groups: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        if clip.target in (0, 1):
            groups.setdefault(clip.attributes.get("instance", ""), []).append(row)
    found = []
    for rows in groups.values():
        target = torch.tensor([clips[row].target for row in rows])
        if target.unique().numel() < 2:
            continue  # no threshold tells classes apart
        threshold = equal_error_rate(scores[rows], target == 1)[1]
        margins = (scores[rows] - threshold) / scores[rows].std().clamp_min(1e-12) * (1 - 2 * target)
        found += [
            Mistake(clip=clips[row], target=names[int(label)], predicted=names[1 - int(label)], margin=margin)
            for row, label, margin in zip(rows, target.tolist(), margins.tolist(), strict=True)
            if margin > 0
        ]
    return found


def _of_classifier(clips: Sequence[Clip], scores: Tensor, heads: Heads) -> list[Mistake]:
    target = torch.tensor([clip.target for clip in clips]).reshape(len(clips), -1)
    parts = scores.split([len(names) for names in heads.values()], dim=1)
    margins, predicted = [], []
    for part, column in zip(parts, target.unbind(dim=1), strict=True):
        best = part.max(dim=1)
        right = part.gather(1, column.clamp_min(0)[:, None])[:, 0]
        margins.append((best.values - right).masked_fill(column < 0, 0.0))
        predicted.append(best.indices)
    margin, choice = torch.stack(margins, dim=1), torch.stack(predicted, dim=1)
    return [
        Mistake(
            clip=clips[row],
            target=_said(target[row], margin[row] > 0, heads),
            predicted=_said(choice[row], margin[row] > 0, heads),
            margin=float(margin[row].max()),
        )
        for row in (margin > 0).any(dim=1).nonzero().flatten().tolist()
    ]


def _said(classes: Tensor, wrong: Tensor, heads: Heads) -> str:
    """The classes of the wrong heads in words; with several heads each is named."""
    words = [
        names[int(index)] if len(heads) == 1 else f"{head}={names[int(index)]}"
        for (head, names), index, is_wrong in zip(
            heads.items(), classes.tolist(), wrong.tolist(), strict=True
        )
        if is_wrong
    ]
    return " ".join(words)
